"""Requests of this protocol, decoded and written back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiclient2api.ir.parts import (
    ToolCall,
)
from aiclient2api.protocols.profile import DEFAULT_PROFILE, ModelProfile
from tests.protocols.anthropic.anthropic_requests import CONVERTER, HELLO, asking, message, wire

STINGY = ModelProfile(
    thinking="none", sampling=False, forced_tool_choice=False, anthropic_version="2026-10-21"
)


ROUND_TRIPS: dict[str, dict[str, Any]] = {
    "the shortest": {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]},
    "no output": {"model": "m", "max_tokens": 0, "messages": [{"role": "user", "content": "hi"}]},
    "string system": asking(HELLO, system="be brief"),
    "empty string system": asking(HELLO, system=""),
    "system blocks with marks": asking(
        HELLO,
        system=[
            {"type": "text", "text": "S1", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "text", "text": "S2", "cache_control": {"type": "ephemeral", "scope": "org"}},
        ],
    ),
    "more marks than the provider takes": asking(
        *[{"type": "text", "text": str(i), "cache_control": {"type": "ephemeral"}} for i in range(6)]
    ),
    "settings": asking(
        HELLO,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop_sequences=["END", "\n"],
        stream=True,
        metadata={"user_id": "u"},
        service_tier="standard_only",
        cache_control={"type": "ephemeral"},
    ),
    "settings with unknown members": asking(
        HELLO,
        metadata={"user_id": "u", "trace": [1]},
        output_config={"effort": "high", "task_budget": {"n": 1.50}},
        thinking={
            "type": "adaptive",
            "display": "omitted",
            "block_binding": {"prefix_mismatch_behavior": "error"},
        },
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
        mcp_servers=[],
        inference_geo="us",
    ),
    "empty containers": asking(
        HELLO, metadata={}, output_config={}, tools=[], stop_sequences=[], stream=False
    ),
    "unknown words": asking(
        HELLO,
        output_config={"effort": "heroic", "format": {"type": "xml"}},
        thinking={"type": "dreaming", "display": "hologram"},
        service_tier="someday",
        tool_choice={"type": "some", "of": ["a"]},
    ),
    "fast": asking(HELLO, speed="fast"),
    "fast and a tier": asking(HELLO, speed="fast", service_tier="auto"),
    "budget": asking(HELLO, thinking={"type": "enabled", "budget_tokens": 2048}),
    "thinking off": asking(HELLO, thinking={"type": "disabled"}),
    "between tools": asking(HELLO, thinking={"type": "between_tools"}, output_config={"effort": "low"}),
    "schema": asking(
        HELLO,
        output_config={"format": {"type": "json_schema", "schema": {"type": "object"}, "extra": 1}},
    ),
    "tools": asking(
        HELLO,
        tools=[
            {"name": "f", "input_schema": {"type": "object", "properties": {"a": {"const": 1.5}}}},
            {
                "type": "custom",
                "name": "g",
                "description": "",
                "input_schema": {"type": "object"},
                "strict": False,
                "cache_control": {"type": "ephemeral"},
                "defer_loading": True,
                "input_examples": ["example"],
            },
            {"type": "web_search_20260209", "name": "web_search", "max_uses": 3},
        ],
        tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    ),
    "parallel calls allowed in so many words": asking(
        HELLO, tool_choice={"type": "any", "disable_parallel_tool_use": False}
    ),
    "no tool": asking(HELLO, tool_choice={"type": "none"}),
    "media": asking(
        {"type": "image", "source": {"type": "base64", "media_type": "image/tiff", "data": "AA=="}},
        {"type": "image", "source": {"type": "url", "url": "https://x/y"}, "transformations": [1]},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "image", "source": {"type": "s3", "bucket": "b"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE", "pages": 2},
            "title": "T",
            "context": "C",
            "citations": {"enabled": True},
            "cache_control": {"type": "ephemeral"},
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
        {"type": "document", "source": {"type": "content", "content": "short"}},
        {
            "type": "document",
            "source": {"type": "content", "content": [HELLO]},
            "citations": {"enabled": False, "x": 1},
        },
        {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
        {"type": "search_result", "source": "https://x", "title": "T", "content": [HELLO]},
    ),
    "text with citations": asking(
        {"type": "text", "text": "a", "citations": []},
        {
            "type": "text",
            "text": "b",
            "citations": [{"type": "char_location", "cited_text": "q", "document_index": 0}],
        },
    ),
    "a tool loop": {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            message(HELLO),
            message(
                {"type": "thinking", "thinking": "hm", "signature": "SIG"},
                {"type": "thinking", "thinking": "", "signature": "SIG2"},
                {"type": "redacted_thinking", "data": "RD"},
                {"type": "text", "text": "checking"},
                {
                    "type": "tool_use",
                    "id": "t1",
                    "name": "f",
                    "input": {"a": 1},
                    "caller": {"type": "direct"},
                },
                {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
                {"type": "compaction", "content": "summary"},
                {"type": "never_seen", "x": {"y": [1]}},
                role="assistant",
            ),
            message(
                {"type": "tool_result", "tool_use_id": "t1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "t2", "is_error": False},
                {"type": "text", "text": "and now?"},
                {
                    "type": "tool_result",
                    "tool_use_id": "t3",
                    "content": [HELLO, {"type": "tool_reference", "tool_name": "f"}],
                },
            ),
            message({"type": "tool_result", "tool_use_id": "t4", "content": [], "is_error": True}),
            {"role": "system", "content": [], "output_config": {"effort": "low"}},
            {"role": "user", "content": [], "odd": 1},
            {"role": "assistant", "content": "prefill"},
        ],
    },
}


@pytest.mark.parametrize("profile", [DEFAULT_PROFILE, STINGY], ids=["default", "stingy"])
@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_a_request_of_this_protocol_survives_unchanged(name: str, profile: ModelProfile) -> None:
    body = ROUND_TRIPS[name]

    encoded = CONVERTER.encode_request(CONVERTER.decode_request(wire(body)), profile)

    assert json.loads(encoded.wire.body) == body
    assert encoded.losses == []


def test_exact_text_of_inputs_and_schemas_survives() -> None:
    body = (
        b'{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t",'
        b'"name":"f","input":{"n": 1.50,\n"big": 12345678901234567890}}]}],"tools":[{"name":"f","input_schema":'
        b'{"type":"object", "x":1e3}}]}'
    )

    request = CONVERTER.decode_request(wire(body))
    encoded = CONVERTER.encode_request(request, DEFAULT_PROFILE).wire.body

    call = request.turns[0].parts[0]
    assert isinstance(call, ToolCall)
    assert call.arguments == '{"n": 1.50,\n"big": 12345678901234567890}'
    assert b'"input":{"n": 1.50,\n"big": 12345678901234567890}' in encoded
    assert b'"input_schema":{"type":"object", "x":1e3}' in encoded


def test_wrapped_argument_text_is_unwrapped_and_wrapped_again() -> None:
    body = asking({"type": "tool_use", "id": "t", "name": "f", "input": {"_raw": '{"a": 1'}})

    request = CONVERTER.decode_request(wire(body))
    encoded = CONVERTER.encode_request(request, DEFAULT_PROFILE)

    part = request.turns[0].parts[0]
    assert isinstance(part, ToolCall)
    assert part.arguments == '{"a": 1'
    assert json.loads(encoded.wire.body)["messages"] == body["messages"]
