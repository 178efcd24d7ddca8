"""What answers say about the state that their upstream missed reaches the loss report, and so the health metric."""

from __future__ import annotations

import pytest

from aiclient2api.gateway.state_refusals import misses_state
from aiclient2api.protocols.carrier import Carrier
from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.protocols.registry import converters
from aiclient2api.wire import json
from aiclient2api.wire.http import WireRequest, WireResponse

ANSWERS: dict[str, tuple[str, dict[str, object]]] = {
    "a missing signature": (
        "gemini",
        {
            "candidates": [
                {
                    "content": {"role": "model", "parts": [{"text": "Hm"}]},
                    "finishReason": "MISSING_THOUGHT_SIGNATURE",
                }
            ]
        },
    ),
    "a thought that was withheld from the model": (
        "anthropic",
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "m",
            "content": [{"type": "text", "text": "Hm"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 1},
            "input_transformations": [
                {"type": "thinking_dropped", "path": "messages[1]", "reason": "prefix_binding_mismatch"}
            ],
        },
    ),
}


def misses(upstream: str, body: dict[str, object]) -> bool:
    factory = ConverterFactory(converters(), Carrier({1: b"k" * 16}, 1))
    wire = WireRequest(
        path="/v1/chat/completions", body=b'{"model":"m","messages":[{"role":"user","content":"x"}]}'
    )
    inbound = Inbound(factory["openai_chat"], wire, "t")
    conversion = factory.convert(inbound, upstream, Target(model="m", profile=DEFAULT_PROFILE, streams=False))
    answer = conversion.whole(WireResponse(status=200, body=json.encode(body)))
    return misses_state(answer.losses)


@pytest.mark.parametrize("name", ANSWERS)
def test_an_upstream_that_did_without_state_is_heard(name: str) -> None:
    assert misses(*ANSWERS[name])


def test_a_plain_answer_complains_of_nothing() -> None:
    upstream, body = ANSWERS["a thought that was withheld from the model"]
    assert not misses(upstream, {key: value for key, value in body.items() if key != "input_transformations"})
