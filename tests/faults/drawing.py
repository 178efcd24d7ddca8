"""Random faulted streams: what happens to stream number n of a seed follows from these two numbers alone."""

from __future__ import annotations

import random
from functools import cache
from typing import Final, Literal

from msgspec import Struct

from tests.faults.asking import Question
from tests.faults.catalogue import OK, OK_UNARY
from tests.faults.script import (
    NONCE,
    AnyStep,
    Data,
    End,
    Fin,
    Gate,
    Head,
    Part,
    Play,
    Raw,
    Rst,
    Say,
    Script,
    Sleep,
    Stall,
    Whole,
)
from tests.faults.voices import CHAT, GEMINI, MESSAGES, PIECES, PROTOCOLS, RESPONSES, VOICES

POOLS: Final = {CHAT: "chat", RESPONSES: "responses", MESSAGES: "claude", GEMINI: "gemini"}
Kind = Literal["clean end", "closed", "reset", "stall", "error event", "garbage", "broken JSON", "not UTF-8"]
KINDS: Final[tuple[Kind, ...]] = (
    "clean end", "closed", "reset", "error event", "garbage", "broken JSON", "not UTF-8", "stall",
)  # fmt: skip
_WEIGHTS: Final = (20, 20, 20, 12, 8, 12, 7, 1)
"""A stall costs the idle time-out, so there are few."""
_PARTS: Final[tuple[Part, ...]] = ("prelude", "content", "more", "finish", "done")
_GARBAGE: Final = (
    b"\x00\xff\xfe rubbish \r\n\r\n",
    b"<html>502</html>\n\n",
    b"data: \xc3\x28\n\n",
    b"data: [1,2\n\n",
)


class Drawn(Struct, frozen=True, kw_only=True):
    """One stream: who asks whom, and what goes wrong where."""

    number: int
    client: str
    upstream: str
    stream: bool
    kind: Kind
    at: int
    """Bytes of the upstream's answer before the fault."""
    harmless: bool
    """Whether the upstream's own end stood before the fault."""
    doubtful: bool
    """Whether both outcomes are right: the end is only just there, the upstream takes it back with an error or with
    rubbish, or the rubbish is where readers skip it."""
    past_end: bool
    """Whether all that makes the answer complete stood before the fault, harmless or not."""
    play: Play

    @property
    def question(self) -> Question:
        """What the client asks."""
        return Question(
            protocol=self.client,
            model=f"{POOLS[self.upstream]}/r-{self.number}",
            nonce=nonce_of(self.number),
            stream=self.stream,
        )


def nonce_of(number: int) -> str:
    """The nonce of a stream; as long as the placeholder."""
    return f"n-{number:010x}"


def draw(seed: int, number: int) -> Drawn:
    """Stream `number` of `seed`."""
    chance = random.Random(f"{seed}:{number}")
    client, upstream = chance.choice(PROTOCOLS), chance.choice(PROTOCOLS)
    stream = chance.random() < 0.85
    kind = chance.choices(KINDS, _WEIGHTS)[0]
    as_stream = stream or client != upstream
    whole, end = _answer(upstream, as_stream)
    at = chance.randrange(len(whole) + 1)
    if as_stream and kind in ("error event", "garbage", "broken JSON"):
        at = max(edge for edge in _edges(upstream) if edge <= at)
    if not as_stream and kind in ("error event", "garbage", "broken JSON", "not UTF-8"):
        kind = "clean end"
    script = _script(upstream, whole, at, kind, chance) if as_stream else _cut_json(whole, at, kind)
    return Drawn(
        number=number,
        client=client,
        upstream=upstream,
        stream=stream,
        kind=kind,
        at=at,
        harmless=at >= end and kind not in ("error event", "garbage", "not UTF-8"),
        past_end=at >= end,
        doubtful=end - 4 <= at < end or kind in ("garbage", "not UTF-8") or at >= end,
        play=Play(
            stream=(script, OK) if as_stream else (OK,),
            unary=(OK_UNARY,) if as_stream else (script, OK_UNARY),
            gated=stream,
            cached=False,
        ),
    )


@cache
def _answer(protocol: str, stream: bool) -> tuple[bytes, int]:
    """All bytes of a complete answer, and how many of them make it one."""
    voice = VOICES[protocol]
    if not stream:
        whole = b"".join(voice["unary"])
        return whole, len(whole)
    whole = b"".join(event for part in _PARTS for event in voice[part])
    ends: tuple[Part, ...] = (
        ("finish", "done") if protocol == RESPONSES else ("finish",)
    )  # where the reason stands
    needed: tuple[Part, ...] = ("prelude", "content", "more", *ends)
    return whole, len(b"".join(event for part in needed for event in voice[part]))


@cache
def _edges(protocol: str) -> tuple[int, ...]:
    """Where events begin."""
    edges = [0]
    for part in _PARTS:
        for event in VOICES[protocol][part]:
            edges.append(edges[-1] + len(event))
    return tuple(edges)


@cache
def _content_edge(protocol: str) -> int:
    """Where the first content is complete."""
    parts: tuple[Part, ...] = ("prelude", "content")
    return len(b"".join(event for part in parts for event in VOICES[protocol][part]))


def _script(protocol: str, whole: bytes, at: int, kind: Kind, chance: random.Random) -> Script:
    content = _content_edge(protocol)
    said: list[AnyStep] = (
        [Data(whole[:content]), Gate(), Data(whole[content:at])] if at > content else [Data(whole[:at])]
    )
    if at == content:
        said.append(Gate())
    steps: list[AnyStep] = [Head(), *(step for step in said if not isinstance(step, Data) or step.data)]
    match kind:
        case "clean end":
            return (*steps, End())
        case "closed":
            return (*steps, Fin())
        case "reset":
            return (*steps, Sleep(0.002), Rst())
        case "stall":
            return (*steps, Stall())
        case "error event":
            return (*steps, Say(("error",)), Data(whole[at:] or b"\n"), End())
        case "garbage":
            return (*steps, Data(chance.choice(_GARBAGE)), Data(whole[at:] or b"\n"), End())
        case "broken JSON":
            return (*steps, Data(b'data: {"broken": \n\n'), Data(whole[at:] or b"\n"), End())
        case "not UTF-8":
            return (*steps, Data(b"\xff" + whole[at:]), End())


def _cut_json(whole: bytes, at: int, kind: Kind) -> Script:
    if kind == "clean end":
        return (Whole(body=whole[:at]),)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(whole)
    last: AnyStep = {"closed": Fin(), "reset": Rst(), "stall": Stall()}.get(kind, Fin())
    if at == len(whole):
        return (Raw(head), Raw(whole), Sleep(0.02), last)
    return (Raw(head), Raw(whole[:at]), Sleep(0.002), last)


assert PIECES[0].endswith(NONCE)
