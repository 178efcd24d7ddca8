"""Streams that our encoders emit, taken apart, for the rules of what SDKs cannot read."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any, Final, NamedTuple

from aiclient2api.errors import ErrorInfo
from aiclient2api.ir.events import PartDelta, PartStart, ResponseStart
from aiclient2api.ir.parts import Text
from aiclient2api.ir.request import ModelRequest
from tests.laws.exchange import CONVERTERS, Exchange
from tests.laws.laws import said_of
from tests.laws.native import answer, request, say
from tests.laws.streams import streamed
from tests.laws.words import Words

SEEDS: Final = 12


class Stream(NamedTuple):
    """One stream: its bytes, and the JSON of each event."""

    body: bytes
    events: list[Any]
    names: list[str]


def taken_apart(body: bytes) -> Stream:
    """A stream as a strict reader sees it: one `data: ` line per event."""
    events: list[Any] = []
    names: list[str] = []
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        for line in block.split(b"\n"):
            if line.startswith(b"event: "):
                names.append(line[7:].decode())
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                events.append(json.loads(line[6:]))
    return Stream(body, events, names)


@cache
def streams(client: str) -> list[Stream]:
    """What clients of a protocol get of generated answers of every other protocol."""
    found: list[Stream] = []
    for upstream in CONVERTERS:
        if upstream == client:
            continue
        for seed in range(SEEDS):
            words = Words(Random(seed))
            doc = request(client)
            say(client, doc, "x")
            told = answer(upstream, said_of(upstream, words), words)
            exchange = Exchange(client, upstream, doc, stream=True)
            body, _ = exchange.streamed(streamed(upstream, told, words), words)
            found.append(taken_apart(body))
    return found


def failed(client: str) -> bytes:
    """The bytes that end a stream which dies in the middle."""
    encoder = CONVERTERS[client].stream_encoder(ModelRequest(protocol=client, model="m", stream="sse"))
    for event in (ResponseStart(id="r", model="m"), PartStart(0, Text(text="")), PartDelta(0, "Hi")):
        encoder.feed(event)
    return encoder.fail(ErrorInfo(kind="overloaded", message="gone", code="overloaded"))


def ping(client: str) -> bytes:
    """The keep-alive."""
    return CONVERTERS[client].stream_encoder(ModelRequest(protocol=client, model="m", stream="sse")).ping()
