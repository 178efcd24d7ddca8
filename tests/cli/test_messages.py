from __future__ import annotations

import pytest

from aiclient2api.cli.messages import PROTOCOLS, client_request, factory


@pytest.mark.parametrize(
    ("protocol", "path"),
    [
        ("openai_chat", "/v1/chat/completions"),
        ("openai_responses", "/v1/responses"),
        ("anthropic", "/v1/messages"),
        ("gemini", "/v1beta/models/vendor/m:generateContent"),
    ],
)
def test_a_body_becomes_the_request_a_client_would_send(protocol: str, path: str) -> None:
    request = client_request(factory()[protocol], b"{}", "vendor/m")

    assert (request.method, request.path, request.body) == ("POST", path, b"{}")


def test_a_gemini_stream_is_asked_for_in_the_path() -> None:
    request = client_request(factory()["gemini"], b"{}", "m", "sse")

    assert (request.path, request.query) == ("/v1beta/models/m:streamGenerateContent", "alt=sse")


def test_every_named_protocol_has_a_converter() -> None:
    assert [protocol for protocol in PROTOCOLS if protocol not in factory()] == []
