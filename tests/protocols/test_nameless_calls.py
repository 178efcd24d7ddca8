"""Upstreams that give neither a call nor its answer an id: in a conversation no two calls have the same all the same."""

from __future__ import annotations

import re
from typing import Any

import pytest

from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.wire import json
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest, WireResponse
from tests.protocols.exchanges import FACTORY

CALL: dict[str, Any] = {"function": {"name": "f", "arguments": "{}"}}
CHUNK = {
    "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, **CALL}]}, "finish_reason": "tool_calls"}]
}
CHAT = {"choices": [{"index": 0, "message": {"tool_calls": [CALL]}, "finish_reason": "tool_calls"}]}
PARTS = {
    "content": {"parts": [{"functionCall": {"name": "f", "args": {}}}]},
    "finishReason": "STOP",
    "index": 0,
}
GOOGLE = {"candidates": [PARTS]}


def ids(upstream: str, answer: dict[str, Any], turns: int, *, stream: bool) -> set[str]:
    """What the calls of an answer are named in a conversation of so many turns."""
    said = [{"role": ("user", "assistant")[turn % 2], "content": "x"} for turn in range(turns)]
    body = {"model": "m", "max_tokens": 9, "messages": said, **({"stream": True} if stream else {})}
    wire = WireRequest(path="/v1/messages", body=json.encode(body))
    target = Target(model="m", profile=DEFAULT_PROFILE, streams=stream)
    conversion = FACTORY.convert(Inbound(FACTORY["anthropic"], wire, "t"), upstream, target)
    if not stream:
        told = conversion.whole(WireResponse(status=200, body=json.encode(answer))).response.body
    else:
        live = conversion.stream()
        told = live.feed(Frame(b"", json.encode(answer))) + live.close()
    return set(re.findall(r"call_gw_\w+", told.decode()))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("upstream", "whole", "chunk"), [("openai_chat", CHAT, CHUNK), ("gemini", GOOGLE, GOOGLE)]
)
def test_calls_of_different_turns_have_different_ids(
    upstream: str, whole: dict[str, Any], chunk: dict[str, Any], *, stream: bool
) -> None:
    answer = chunk if stream else whole
    first, second = (ids(upstream, answer, turns, stream=stream) for turns in (1, 3))
    assert len(first) == len(second) == 1
    assert first != second
    assert first == ids(upstream, answer, 1, stream=stream)
    assert first != ids(upstream, {**answer, "id": "a", "responseId": "a"}, 1, stream=stream)
