"""Short words for the tests of this protocol."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from aiclient2api.ir.events import (
    CandidateEnd,
    Failure,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
)
from aiclient2api.ir.parts import Part, Text
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.ir.response import Candidate, Finish, ModelResponse, Usage
from aiclient2api.protocols.openai_responses import OpenAIResponsesConverter
from aiclient2api.protocols.profile import DEFAULT_PROFILE, ModelProfile
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest, WireResponse
from aiclient2api.wire.sse import SseDecoder

CONVERTER = OpenAIResponsesConverter()
RECORDED = (
    Path(os.environ.get("AICLIENT2API_SHARED") or Path(__file__).resolve().parents[4] / "shared") / "recorded"
)
USER = Turn(role="user", parts=[Text(text="hi")])
HI = {"role": "user", "content": [{"type": "input_text", "text": "hi"}]}
BASE = {"model": "m", "store": False, "include": ["reasoning.encrypted_content"]}


def wire(body: object) -> WireRequest:
    return WireRequest(path="/v1/responses", body=json.dumps(body).encode())


def decode(body: object) -> ModelRequest:
    return CONVERTER.decode_request(wire(body))


def encode(request: ModelRequest, profile: ModelProfile = DEFAULT_PROFILE) -> dict[str, Any]:
    return json.loads(CONVERTER.encode_request(request, profile).wire.body)


def losses(request: ModelRequest, profile: ModelProfile = DEFAULT_PROFILE) -> list[tuple[str, str]]:
    encoded = CONVERTER.encode_request(request, profile)
    return [(loss.feature, loss.act) for loss in encoded.losses]


def foreign(*turns: Turn, **members: Any) -> ModelRequest:
    """A request that came in another protocol."""
    return ModelRequest(protocol="anthropic", model="m", turns=list(turns), **members)


def answer(*parts: Part, finish: Finish | None = None, usage: Usage | None = None) -> ModelResponse:
    """An answer of another protocol's upstream."""
    return ModelResponse(
        protocol="anthropic",
        id="msg_1",
        model="claude",
        candidates=[
            Candidate(turn=Turn(role="assistant", parts=list(parts)), finish=finish or Finish(reason="stop"))
        ],
        usage=usage,
    )


def encode_answer(response: ModelResponse, request: ModelRequest | None = None) -> dict[str, Any]:
    request = request or decode({"model": "m", "input": "hi"})
    return json.loads(CONVERTER.encode_response(response, request).wire.body)


def decode_answer(body: object) -> ModelResponse:
    return CONVERTER.decode_response(WireResponse(status=200, body=json.dumps(body).encode()))


def frames_of(events: Iterable[object]) -> list[Frame]:
    return [Frame(b"", json.dumps(event).encode()) for event in events]


def decode_stream(events: Iterable[object]) -> list[StreamEvent]:
    decoder = CONVERTER.stream_decoder()
    out: list[StreamEvent] = []
    for frame in frames_of(events):
        out.extend(decoder.feed(frame))
    return [*out, *decoder.close()]


def payloads(data: bytes) -> list[dict[str, Any]]:
    """The objects of an encoded stream; checks the framing, the names and the numbers."""
    frames = SseDecoder().feed(data)
    objects: list[dict[str, Any]] = [json.loads(frame.data) for frame in frames]
    assert [frame.event for frame in frames] == [event["type"] for event in objects]
    assert [event["sequence_number"] for event in objects] == list(range(len(objects)))
    return objects


def encode_stream(events: Sequence[StreamEvent], request: ModelRequest | None = None) -> bytes:
    encoder = CONVERTER.stream_encoder(request or decode({"model": "m", "input": "hi"}))
    return b"".join(encoder.feed(event) for event in events)


def check(events: Sequence[StreamEvent]) -> None:
    """The invariants of event streams."""
    assert isinstance(events[-1], ResponseEnd | Failure)
    assert isinstance(events[0], ResponseStart | Failure)
    assert sum(isinstance(event, ResponseStart) for event in events) <= 1
    assert sum(isinstance(event, ResponseEnd | Failure) for event in events) == 1
    is_open: dict[int, Part] = {}
    started = 0
    for event in events:
        match event:
            case PartStart():
                assert event.number == started
                started += 1
                is_open[event.number] = event.part
            case PartDelta():
                assert event.number in is_open
            case PartEnd():
                header = is_open.pop(event.number)
                assert event.part is None or type(event.part) is type(header)
            case CandidateEnd():
                assert not is_open
            case _:
                pass
    assert not is_open or isinstance(events[-1], Failure)


def normal(value: Any) -> Any:
    """The normal form: a null member is an absent one."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: normal(inner) for name, inner in members.items() if inner is not None}
    return [normal(inner) for inner in cast("list[Any]", value)] if isinstance(value, list) else value


def builtins(value: Any) -> Any:
    """Plain data of an IR value."""
    return json.loads(msgspec.json.encode(value))
