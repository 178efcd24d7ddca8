"""A Claude client whose conversation moves between models: foreign state travels sealed and never leaks."""

from __future__ import annotations

import json
from collections.abc import Iterable

from aiclient2api.ir.events import StreamEvent
from aiclient2api.ir.fold import fold, unfold
from aiclient2api.ir.parts import Citation, Opaque, Reasoning, Text, ToolCall
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.ir.response import Candidate, Finish, ModelResponse
from aiclient2api.protocols.anthropic import AnthropicConverter
from aiclient2api.protocols.base import SystemPrompt
from aiclient2api.protocols.carrier import MAGIC, Carrier, SealingStream
from aiclient2api.protocols.conversion import Inbound, PatchConversion, RelayConversion, Target
from aiclient2api.protocols.opening import open_request
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.sse import SseDecoder

CONVERTER = AnthropicConverter()
CARRIER = Carrier({1: b"k" * 32}, 1)
ASKED = ModelRequest(protocol="anthropic", model="m")
CLAUDES = [
    {"type": "thinking", "thinking": "own", "signature": "SIGa"},
    {"type": "text", "text": "by Claude"},
]

THOUGHT = Reasoning(summary=["A", "B"], id="rs_1", opaque=Opaque("openai.encrypted", "gAAA"))
ANSWER = ModelResponse(
    protocol="openai_responses",
    id="resp_1",
    model="gpt",
    candidates=[
        Candidate(
            turn=Turn(
                role="assistant",
                parts=[
                    THOUGHT,
                    Text(text="by GPT", citations=[Citation(kind="url", url="https://x")]),
                    ToolCall(call_id="c", name="f", opaque=Opaque("gemini.signature", "R0c=")),
                ],
            ),
            finish=Finish(reason="stop"),
        )
    ],
)


def seen_by_client(events: Iterable[StreamEvent]) -> list[dict[str, object]]:
    """The blocks that an Anthropic client collects from our stream, and sends back."""
    sealing = SealingStream(CARRIER, "tenant", CONVERTER.slots)
    encoder, decoder = CONVERTER.stream_encoder(ASKED), CONVERTER.stream_decoder()
    data = b"".join([encoder.feed(sealed) for event in events for sealed in sealing.feed(event)])
    decoded = [event for frame in SseDecoder().feed(data) for event in decoder.feed(frame)]
    response = CONVERTER.encode_response(fold(decoded, "anthropic"), ASKED)
    return json.loads(response.wire.body)["content"]


def history() -> Inbound:
    body = {
        "model": "m",
        "max_tokens": 9,
        "system": "S",
        "messages": [
            {"role": "user", "content": "1"},
            {"role": "assistant", "content": CLAUDES},
            {"role": "user", "content": "2"},
            {"role": "assistant", "content": seen_by_client(unfold(ANSWER))},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "R"}]},
        ],
    }
    return Inbound(CONVERTER, WireRequest(path="/v1/messages", body=json.dumps(body).encode()), "tenant")


def test_foreign_thoughts_reach_the_client_sealed() -> None:
    blocks = seen_by_client(unfold(ANSWER))

    assert [block["type"] for block in blocks] == ["thinking", "text", "thinking", "tool_use"]
    assert blocks[0]["thinking"] == "A\n\nB"
    assert str(blocks[0]["signature"]).startswith(MAGIC)
    assert (blocks[2]["thinking"], str(blocks[2]["signature"])[:12]) == ("", MAGIC)


def test_the_clients_echo_restores_what_the_model_wrote() -> None:
    opened, losses = open_request(history().request(), CARRIER, "tenant")

    parts = opened.turns[4].parts
    assert parts[0] == THOUGHT
    assert isinstance(parts[2], ToolCall)
    assert parts[2].opaque == Opaque("gemini.signature", "R0c=")
    assert losses == []


def test_no_foreign_state_reaches_a_real_upstream() -> None:
    inbound = history()
    assert inbound.has_envelopes

    conversion = PatchConversion(
        inbound,
        Target(model="claude", profile=DEFAULT_PROFILE),
        SystemPrompt(mode="append", text="own"),
        CARRIER,
    )

    body = json.loads(conversion.request.body)
    assert body["model"] == "claude"
    assert body["system"] == [{"type": "text", "text": "S"}, {"type": "text", "text": "own"}]
    assert [message["content"] for message in body["messages"]] == [
        "1",
        CLAUDES,
        "2",
        [{"type": "text", "text": "by GPT"}, {"type": "tool_use", "id": "c", "name": "f", "input": {}}],
        [{"type": "tool_result", "tool_use_id": "c", "content": "R"}],
    ]
    assert MAGIC.encode() not in conversion.request.body
    assert conversion.request.header("anthropic-version") == "2023-06-01"
    assert {loss.feature for loss in conversion.losses} == {"reasoning.opaque", "reasoning.text", "citation"}


def test_a_relay_and_a_patch_write_the_same_system_text() -> None:
    body = (
        b'{"model":"m","max_tokens":1,"system":[{"type":"text","text":"S"}],'
        b'"messages":[{"role":"user","content":"x"}]}'
    )
    inbound = Inbound(CONVERTER, WireRequest(path="/v1/messages", body=body), "tenant")
    target, system = Target(model="m", profile=DEFAULT_PROFILE), SystemPrompt(mode="append", text="own")

    relayed = json.loads(RelayConversion(inbound, target, system).request.body)
    patched = json.loads(PatchConversion(inbound, target, system, CARRIER).request.body)

    assert relayed == patched
