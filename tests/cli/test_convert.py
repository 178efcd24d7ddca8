from __future__ import annotations

import pytest

from .conftest import Golden


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("convert_request_anthropic", "convert --from openai_chat --to anthropic chat_request.json"),
        (
            "convert_request_gemini",
            "convert --from openai_chat --to gemini --model gemini-3-pro chat_request.json",
        ),
        ("convert_request_same", "convert --from openai_chat --to openai_chat chat_request.json"),
        ("convert_request_json", "convert --from openai_chat --to openai_responses --json chat_request.json"),
        (
            "convert_response_chat",
            "convert --from anthropic --to openai_chat --kind response messages_response.json",
        ),
        (
            "convert_response_gemini",
            "convert --from anthropic --to gemini --kind response messages_response.json",
        ),
        (
            "convert_stream_messages",
            "convert --from openai_chat --to anthropic --kind stream chat_stream.sse",
        ),
        ("convert_stream_gemini", "convert --from openai_chat --to gemini --kind stream chat_stream.sse"),
        ("convert_stream_cut", "convert --from openai_chat --to anthropic --kind stream chat_stream_cut.sse"),
        (
            "convert_stream_torn",
            "convert --from openai_chat --to anthropic --kind stream chat_stream_torn.sse",
        ),
        (
            "convert_error",
            "convert --from gemini --to openai_chat --kind error --status 429 gemini_error.json",
        ),
        ("convert_explain_request", "convert --from openai_chat --to anthropic --explain chat_request.json"),
        (
            "convert_explain_response",
            "convert --from anthropic --to openai_chat --kind response --explain messages_response.json",
        ),
        (
            "convert_explain_stream",
            "convert --from openai_chat --to gemini --kind stream --explain chat_stream.sse",
        ),
        (
            "convert_explain_error",
            "convert --from gemini --to openai_chat --kind error --status 429 --explain gemini_error.json",
        ),
        ("convert_malformed", "convert --from gemini --to openai_chat messages_response.json"),
        ("convert_unrepresentable", "convert --from openai_chat --to anthropic chat_audio.json"),
    ],
)
def test_convert_prints_the_message_and_reports_the_losses(golden: Golden, name: str, command: str) -> None:
    golden(name, command)
