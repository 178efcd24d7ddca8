from __future__ import annotations

import json
from typing import Any

import pytest

from aiclient2api.gateway.effects import has_effects
from aiclient2api.protocols.conversion import Inbound
from aiclient2api.protocols.registry import converters
from aiclient2api.wire.http import WireRequest

PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
}
HI = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("protocol", "body", "effects"),
    [
        ("openai_chat", {"messages": HI}, False),
        ("openai_chat", {"messages": HI, "tools": [{"type": "function", "function": {"name": "f"}}]}, False),
        ("openai_responses", {"input": "Hi"}, False),
        ("openai_responses", {"input": "Hi", "background": True}, True),
        ("openai_responses", {"input": "Hi", "previous_response_id": "resp_1"}, True),
        ("openai_responses", {"input": "Hi", "conversation": "conv_1"}, True),
        ("openai_responses", {"input": "Hi", "tools": [{"type": "web_search"}]}, True),
        (
            "anthropic",
            {
                "max_tokens": 9,
                "messages": HI,
                "tools": [{"type": "web_search_20250305", "name": "web_search"}],
            },
            True,
        ),
        ("anthropic", {"max_tokens": 9, "messages": HI}, False),
    ],
)
def test_what_the_provider_does_beside_answering_is_an_effect(
    protocol: str, body: dict[str, Any], effects: bool
) -> None:
    converter = next(each for each in converters() if each.name == protocol)
    wire = WireRequest(path=PATHS[protocol], body=json.dumps({"model": "m", **body}).encode())

    assert has_effects(Inbound(converter, wire, "tests")) is effects
