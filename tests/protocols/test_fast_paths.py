"""What is quicker must tell the same: runs of text, plain answers, events of one read, plain requests and counts.

Streams that no book has go both ways: as the gateway takes them, and event by event with every shorter way left out.
"""

from __future__ import annotations

from json import JSONDecoder
from random import Random
from typing import Any

import pytest

from aiclient2api.errors import MalformedMessage, UpstreamError
from aiclient2api.ir.events import PartDelta
from aiclient2api.ir.fold import Folder
from aiclient2api.protocols.base import StreamDecoder, StreamEncoder
from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.openai_chat.usage import decode_usage
from aiclient2api.protocols.pivot import PivotConversion
from aiclient2api.protocols.pivot_streams import FoldingStream, PivotStream
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire import json
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest
from tests.laws.exchange import CONVERTERS, FACTORY, TENANT, client_wire
from tests.laws.laws import said_of
from tests.laws.native import PAIRS, answer, request, say
from tests.laws.streams import events
from tests.laws.words import Words
from tests.protocols.woven import Event, framed, frames_for, hurt, reads, woven

CASES = 300
"""Streams per pair of protocols."""
CONVERTED = [(client, upstream) for client, upstream in PAIRS if client != upstream]
PING = b'event: ping\ndata: {"type":"ping"}\n\n'
Stream = PivotStream | FoldingStream


class _LongPivot(PivotStream):
    """Every event goes through everything."""

    __slots__ = ()

    def __init__(self, decoder: StreamDecoder, conversion: PivotConversion, encoder: StreamEncoder) -> None:
        super().__init__(decoder, conversion, encoder)
        self._plain = self._next_text = self._next_texts = None

    def _begin_run(self, told: PartDelta) -> None:
        pass


class _LongFold(FoldingStream):
    """The same for a unary client."""

    __slots__ = ()

    def __init__(self, decoder: StreamDecoder, conversion: PivotConversion) -> None:
        super().__init__(decoder, conversion)
        self._plain = self._next_text = self._next_texts = None
        self._folder = Folder(conversion.upstream.name)

    def _begin_run(self, told: PartDelta) -> None:
        pass

    def _catch_up(self, told: object) -> None:
        pass


class _Way:
    """One stream on one of the ways, and all that can be seen of it from outside."""

    def __init__(self, client: str, upstream: str, *, streams: bool, long: bool) -> None:
        doc = request(client)
        say(client, doc, "Go.")
        inbound = Inbound(FACTORY[client], client_wire(client, doc, stream=streams), TENANT)
        self._kept: list[Any] = []
        target = Target(model="m", profile=ModelProfile(), remember=lambda *what: self._kept.append(what))
        conversion = FACTORY.convert(inbound, upstream, target)
        assert isinstance(conversion, PivotConversion)
        made: Stream = conversion.stream()
        if long and streams:
            encoder = FACTORY[client].stream_encoder(inbound.request())
            made = _LongPivot(FACTORY[upstream].stream_decoder(), conversion, encoder)
        elif long:
            made = _LongFold(FACTORY[upstream].stream_decoder(), conversion)
        self._stream, self._conversion, self._long = made, conversion, long
        self._frames = frames_for(upstream)
        self._out: list[bytes] = []

    def told(self, chunks: list[bytes]) -> dict[str, Any]:
        """As `gateway/upstream.py` does it, up to the end."""
        stream, broken = self._stream, False
        try:
            for chunk in chunks:
                self._feed(self._frames.feed(chunk))
                if self._is_over:
                    break
            else:
                self._out.append(stream.close())
        except MalformedMessage:
            broken = True
        seen = ("content", "ended", "refused", "finished", "goes_on", "response_id", "usage", "failure")
        told: dict[str, Any] = {name: getattr(stream, name) for name in seen}
        # how a blank line too many is cut decides whether it is a sign of life
        out = b"".join(self._out).replace(PING, b"")
        lost = sorted(map(repr, self._conversion.losses))
        return told | {
            "out": _without_blanks(out),
            "broken": broken,
            "lost": lost,
            "whole": self._whole(),
            "kept": self._kept,
        }

    @property
    def _is_over(self) -> bool:
        return self._stream.ended or self._stream.failure is not None

    def _feed(self, frames: list[Frame]) -> None:
        if len(frames) > 1 and not self._long:
            self._stream.feed_all(frames, self._out)
            return
        for frame in frames:
            if self._is_over:
                break
            self._out.append(self._stream.feed(frame))

    def _whole(self) -> Any:
        stream = self._stream
        if not isinstance(stream, FoldingStream) or not stream.ended or stream.failure is not None:
            return None
        try:
            told = stream.answer()
        except (MalformedMessage, UpstreamError) as error:
            return str(error)
        return told.response.body, sorted(map(repr, told.losses)), told.usage, told.is_empty, told.response_id


def _without_blanks(out: bytes) -> bytes:
    """Signs of life are blank lines for most clients."""
    return b"\n".join(line for line in out.splitlines() if line)


def _proper(upstream: str, words: Words) -> list[Event]:
    found: list[Event] = []
    for event in events(upstream, answer(upstream, said_of(upstream, words), words), words):
        head, _, data = event.strip().rpartition(b"data: ")
        found.append((head.strip().removeprefix(b"event: ").decode() or None, data))
    return found


@pytest.mark.parametrize(("client", "upstream"), CONVERTED)
def test_a_stream_is_told_alike_on_the_short_ways_and_on_the_long_one(client: str, upstream: str) -> None:
    for number in range(CASES):
        words = Words(Random(f"{client} {upstream} {number}"))
        told = woven(upstream, words) if number % 4 else _proper(upstream, words)
        pieces = framed(hurt(told, words), words)
        streams = words.coin()
        short = _Way(client, upstream, streams=streams, long=False).told(reads(pieces, words))
        long = _Way(client, upstream, streams=streams, long=True).told(pieces)
        assert short == long, (number, streams, pieces)


_CONTENTS = ("a", "", " ", "é", [], [{"type": "text", "text": "b"}], None)
_BESIDE: dict[str, tuple[Any, ...]] = {
    "system": ("s", "", None, [], [{"type": "text", "text": "q"}]),
    "stream": (True, False, None, 1),
    "temperature": (0, 1, 0.5, None, -0.0, "1"),
    "max_tokens": (0, -1, 1.0, None, 10**20, "9"),
    "model": ("", None, 7),
    "tools": ([],),
    "odd": (1, None),
}


@pytest.mark.parametrize("version", ["2023-06-01", "2026-10-21"])
def test_a_plain_claude_request_is_read_as_one_that_is_too_long_for_the_short_way(version: str) -> None:
    for number in range(400):
        words = Words(Random(number))
        roles = ("user", "assistant", "user", "system", "tool")
        said = [
            {"role": words.pick(roles), "content": words.pick(_CONTENTS)} for _ in range(words.count(0, 3))
        ]
        doc: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": said}
        for name, values in _BESIDE.items():
            if words.count(0, 4) == 0:
                doc[name] = words.pick(values)
        body = json.encode(doc)
        assert _read(body, version) == _read(body + b" " * 70_000, version), doc


def _read(body: bytes, version: str) -> Any:
    wire = WireRequest(path="/v1/messages", body=body, headers=(("anthropic-version", version),))
    try:
        return CONVERTERS["anthropic"].decode_request(wire)
    except MalformedMessage as error:
        return str(error), error.path


_COUNTS = (None, 0, 1, 5, -1, 1.0, 1.5, "3", True, 2**53 + 1, 10**30)


def test_plain_counts_are_read_as_those_with_a_member_that_nobody_knows() -> None:
    for number in range(2_000):
        words = Words(Random(number))
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        doc: dict[str, Any] = {name: words.pick(_COUNTS) for name in names if words.coin()}
        for place, name in (("prompt", "cached_tokens"), ("completion", "reasoning_tokens")):
            if words.coin():
                told = {name: words.pick(_COUNTS)}
                doc[f"{place}_tokens_details"] = words.pick((None, {}, [], told, told | {"audio_tokens": 3}))
        assert _counted(doc) == _counted(doc | {"odd": 1}), doc


def _counted(doc: dict[str, Any]) -> Any:
    try:
        found = decode_usage(json.raw(doc))
    except MalformedMessage as error:
        return str(error), error.path
    modalities = found.input_modalities, found.output_modalities
    return found.input, found.cache_read, found.output, found.reasoning, modalities


@pytest.mark.parametrize("again", [b'"model"', b'"mod\\u0065l"', b'"\\u006D\\u006f\\u0064\\u0065\\u006C"'])
@pytest.mark.parametrize("client", ["openai_chat", "openai_responses", "anthropic"])
def test_a_model_that_is_named_twice_is_relayed_once(client: str, again: bytes) -> None:
    """The one that was allowed; parsers differ in which of two members they read."""
    doc = request(client)
    say(client, doc, "Go.")
    wire = client_wire(client, doc, stream=False)
    body = wire.body[:-1] + b"," + again + b':"allowed"}'
    inbound = Inbound(FACTORY[client], WireRequest(path=wire.path, body=body, headers=wire.headers), TENANT)
    sent = FACTORY.convert(inbound, client, Target(model="allowed", profile=ModelProfile())).request

    assert inbound.peek.model == "allowed"
    assert [
        value
        for name, value in JSONDecoder(object_pairs_hook=list).decode(sent.body.decode())
        if name == "model"
    ] == ["allowed"]
