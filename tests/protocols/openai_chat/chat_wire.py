"""Short words for the tests of this protocol."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from aiclient2api.ir.events import (
    CandidateEnd,
    Failure,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    StreamEvent,
)
from aiclient2api.ir.fold import unfold
from aiclient2api.ir.parts import Inline, Media, Part
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.ir.response import Candidate, Finish, ModelResponse
from aiclient2api.protocols.openai_chat import OpenAIChatConverter
from aiclient2api.protocols.profile import DEFAULT_PROFILE, ModelProfile
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest, WireResponse
from aiclient2api.wire.sse import SseDecoder

CONVERTER = OpenAIChatConverter()
COMPATIBLE = ModelProfile(developer_role=False, max_tokens_field="max_tokens", reasoning_content=True)
RECORDED = (
    Path(os.environ.get("AICLIENT2API_SHARED") or Path(__file__).resolve().parents[4] / "shared") / "recorded"
)
ENVELOPE = "Z3ctY2FycnkxAAAA"
PNG = Media(kind="image", source=Inline("image/png", "iVBO"))


def wire(body: object, path: str = "/v1/chat/completions") -> WireRequest:
    return WireRequest(path=path, body=body if isinstance(body, bytes) else json.dumps(body).encode())


def chat(*messages: object, **members: object) -> dict[str, object]:
    return {"model": "m", "messages": list(messages), **members}


def decode(body: object) -> ModelRequest:
    return CONVERTER.decode_request(wire(body))


def turn(message: object) -> Turn:
    """The turn that one message becomes."""
    return decode(chat(message)).turns[0]


def encode(request: ModelRequest, profile: ModelProfile = DEFAULT_PROFILE) -> dict[str, Any]:
    return json.loads(CONVERTER.encode_request(request, profile).wire.body)


def losses(request: ModelRequest, profile: ModelProfile = DEFAULT_PROFILE) -> list[tuple[str, str]]:
    return [(loss.feature, loss.act) for loss in CONVERTER.encode_request(request, profile).losses]


def foreign(*turns: Turn, **members: Any) -> ModelRequest:
    """A request that came in another protocol."""
    return ModelRequest(protocol="anthropic", model=members.pop("model", "m"), turns=list(turns), **members)


def user(*parts: Part) -> Turn:
    return Turn(role="user", parts=list(parts))


def assistant(*parts: Part) -> Turn:
    return Turn(role="assistant", parts=list(parts))


def sent(*turns: Turn, profile: ModelProfile = DEFAULT_PROFILE, **members: Any) -> list[Any]:
    """The messages that foreign turns become."""
    return encode(foreign(*turns, **members), profile)["messages"]


def answer(*parts: Part, finish: Finish | None = None, **members: Any) -> ModelResponse:
    """A foreign upstream's answer."""
    candidate = Candidate(turn=assistant(*parts), finish=finish or Finish(reason="stop", raw="end_turn"))
    return ModelResponse(protocol="anthropic", id="msg_1", model="m", candidates=[candidate], **members)


def encode_answer(response: ModelResponse, request: ModelRequest | None = None) -> dict[str, Any]:
    encoded = CONVERTER.encode_response(response, request or foreign())
    return json.loads(encoded.wire.body)


def answer_losses(response: ModelResponse) -> list[tuple[str, str]]:
    return [(loss.feature, loss.act) for loss in CONVERTER.encode_response(response, foreign()).losses]


def message(response: ModelResponse, request: ModelRequest | None = None) -> dict[str, Any]:
    return encode_answer(response, request)["choices"][0]["message"]


def decode_answer(body: object) -> ModelResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return CONVERTER.decode_response(WireResponse(status=200, body=raw))


def frame(chunk: object) -> Frame:
    data = chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode()
    return Frame(b"data: " + data + b"\n\n", data)


def delta(members: object, finish: str | None = None, **choice: object) -> dict[str, object]:
    """A chunk with one choice."""
    each: dict[str, object] = {"index": 0, "delta": members, "finish_reason": finish, **choice}
    return {"id": "r1", "created": 7, "model": "m", "choices": [each]}


def decode_stream(*chunks: object, done: bool = True) -> list[StreamEvent]:
    decoder = CONVERTER.stream_decoder()
    frames = [frame(chunk) for chunk in chunks]
    events = [event for each in frames for event in decoder.feed(each)]
    if done:
        events.extend(decoder.feed(frame(b"[DONE]")))
    events.extend(decoder.close())
    check(events)
    return events


def encode_stream(events: Iterable[StreamEvent], request: ModelRequest | None = None) -> bytes:
    encoder = CONVERTER.stream_encoder(request or foreign(stream="sse"))
    return b"".join([encoder.feed(event) for event in events])


def streamed(response: ModelResponse, request: ModelRequest | None = None) -> list[dict[str, Any]]:
    """The chunks of an answer, without [DONE]."""
    return chunks_of(encode_stream(unfold(response), request))


def chunks_of(stream: bytes) -> list[dict[str, Any]]:
    payloads = [each.data for each in SseDecoder().feed(stream) if each.data]
    assert payloads[-1] == b"[DONE]"
    return [json.loads(payload) for payload in payloads[:-1]]


def deltas(chunks: list[dict[str, Any]]) -> list[Any]:
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]


def accumulate(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """What the official SDK's rules make of the deltas of candidate 0."""
    whole: dict[str, Any] = {}
    for each in copy.deepcopy(deltas(chunks)):
        _merge(whole, each)
    return whole


def _merge(whole: dict[str, Any], piece: dict[str, Any]) -> None:
    for key, value in piece.items():
        known = whole.get(key)
        if known is None or key in ("index", "type"):
            whole[key] = _indexed(value) if isinstance(value, list) else value
        elif isinstance(value, str):
            whole[key] = known + value
        elif isinstance(value, dict):
            _merge(known, cast(dict[str, Any], value))
        elif isinstance(value, list):
            for item in cast(list[dict[str, Any]], value):
                if item["index"] < len(known):
                    _merge(known[item["index"]], item)
                else:
                    assert item["index"] == len(known), "a gap in a delta's list"
                    known.append(item)
        else:
            raise AssertionError(f"{key} would be added up")


def _indexed(items: Any) -> Any:
    assert [item["index"] for item in items] == list(range(len(items)))
    return items


def check(events: list[StreamEvent]) -> None:
    """The invariants of ir/events.py."""
    open_parts: set[tuple[int, int]] = set()
    seen: dict[int, int] = {}
    ended: set[int] = set()
    for event in events:
        match event:
            case PartStart():
                assert event.number == seen.get(event.candidate, 0) and event.candidate not in ended
                seen[event.candidate] = event.number + 1
                open_parts.add((event.candidate, event.number))
            case PartDelta():
                assert (event.candidate, event.number) in open_parts
            case PartEnd():
                open_parts.remove((event.candidate, event.number))
            case CandidateEnd():
                assert event.candidate not in ended
                assert not any(candidate == event.candidate for candidate, _ in open_parts)
                ended.add(event.candidate)
            case _:
                pass
    ends = [event for event in events if isinstance(event, ResponseEnd | Failure)]
    assert len(ends) == 1 and events[-1] is ends[0]


def without_nulls(value: Any) -> Any:
    """The normal form: a null member is an absent one."""
    if isinstance(value, dict):
        members = cast(dict[str, Any], value)
        return {key: without_nulls(each) for key, each in members.items() if each is not None}
    return [without_nulls(each) for each in cast(list[Any], value)] if isinstance(value, list) else value
