"""The short way that pieces of an open text take writes what the long one writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pytest

from aiclient2api.ir.events import (
    CandidateEnd,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
)
from aiclient2api.ir.parts import Text
from aiclient2api.ir.request import ModelRequest
from aiclient2api.ir.response import Finish
from aiclient2api.protocols.base import StreamEncoder
from aiclient2api.protocols.builtin import BUILTIN
from aiclient2api.protocols.carrier import Carrier
from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire import json
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.sse import SseDecoder

CARRIER = Carrier({1: b"k" * 32}, 1)
FACTORY = ConverterFactory(BUILTIN, CARRIER)
PROTOCOLS = ("anthropic", "openai_chat", "openai_responses", "gemini")
BEGUN = (ResponseStart("r", "m"), PartStart(0, Text(text="")), PartDelta(0, "Once "))
OVER = (PartEnd(0), CandidateEnd(Finish(reason="stop", raw="stop")), ResponseEnd())
QUESTION = b'{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"Go on."}]}'


def _written(encoder: StreamEncoder, events: Iterable[StreamEvent]) -> list[bytes]:
    return [encoder.feed(event) for event in events]


@pytest.mark.parametrize("client", PROTOCOLS)
def test_the_short_way_writes_the_same_bytes_and_the_same_end(client: str) -> None:
    asked = ModelRequest(protocol=client, model="m", turns=[], stream="sse")
    long, short = FACTORY[client].stream_encoder(asked), FACTORY[client].stream_encoder(asked)
    _written(long, BEGUN)
    _written(short, BEGUN)
    more: Callable[[int, int], Callable[[str], bytes] | None] = getattr(short, "more_text")  # noqa: B009
    write = more(0, 0)
    assert write is not None
    for piece in ("upon", ' "a" ', "tïme"):
        assert write(piece) == long.feed(PartDelta(0, piece))
    assert _written(short, OVER) == _written(long, OVER)
    assert short.losses == long.losses


def _chunk(delta: object, beside: Mapping[str, object], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **beside}
    return b"data: " + json.encode({"id": "c", "model": "m", "choices": [choice], **beside}) + b"\n\n"


def _streamed(body: bytes, upstream: str, chunks: list[bytes], kept: list[tuple[str, bytes | None]]) -> bytes:
    inbound = Inbound(FACTORY["anthropic"], WireRequest(path="/v1/messages", body=body), "tenant")
    target = Target(model="m", profile=ModelProfile(), remember=lambda *what: kept.append(what))
    stream = FACTORY.convert(inbound, upstream, target).stream()
    frames = SseDecoder()
    out = b"".join(stream.feed(frame) for chunk in chunks for frame in frames.feed(chunk))
    assert stream.ended
    assert stream.failure is None
    return out


def test_members_that_say_nothing_do_not_change_what_a_client_reads() -> None:
    told: list[bytes] = []
    for beside in ({}, {"usage": None, "logprobs": None}):
        pieces = [_chunk({"content": text}, beside) for text in ("A", "b", "c")]
        role, end = _chunk({"role": "assistant", "content": ""}, beside), _chunk({}, beside, "stop")
        told.append(_streamed(QUESTION, "openai_chat", [role, *pieces, end, b"data: [DONE]\n\n"], []))
    assert told[0] == told[1]
    assert told[0].count(b"text_delta") == 3


def test_every_character_of_a_run_is_counted_for_the_turns_record() -> None:
    call = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": '{"a":1.50}'}}
    said = ["I ", "will ", "look."]
    chunks = [
        *(_chunk({"content": text}, {}) for text in said),
        _chunk({"tool_calls": [call]}, {}),
        _chunk({}, {}, "tool_calls"),
        b"data: [DONE]\n\n",
    ]
    kept: list[tuple[str, bytes | None]] = []
    _streamed(QUESTION, "openai_chat", chunks, kept)
    ((call_id, signed),) = kept
    assert signed is not None
    record = CARRIER.verified(signed, "tenant", call_id)
    assert record is not None
    assert b'"length":%d' % len("".join(said)) in record


def test_another_candidates_text_takes_no_part_in_a_run() -> None:
    chunks = [_chunk({"content": "one"}, {}), _chunk({"content": " more"}, {})]
    other = json.encode({"id": "c", "model": "m", "choices": [{"index": 1, "delta": {"content": "two"}}]})
    ends = [{"index": index, "delta": {}, "finish_reason": "stop"} for index in (0, 1)]
    end = json.encode({"id": "c", "model": "m", "choices": ends})
    chunks += [b"data: " + other + b"\n\n", _chunk({"content": " again"}, {}), b"data: " + end + b"\n\n"]
    out = _streamed(QUESTION, "openai_chat", [*chunks, b"data: [DONE]\n\n"], [])
    assert b"two" not in out
    assert out.count(b"text_delta") == 3
