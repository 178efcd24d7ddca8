"""A small language for upstreams that misbehave: a script is a tuple of steps, and says exactly which bytes come when.

`Say` names pieces of an answer (`voices.py` has the words of each protocol); `Raw` and `Data` are bytes as they are.
A compiled script is a list of operations on one connection; the nonce of the request is put in when it is played.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

NONCE = b"n-@@@@@@@@@@"
"""Stands for the nonce of the request, which has the same length: chunk sizes stay right."""

Part = Literal[
    "prelude",
    "content",
    "more",
    "finish",
    "done",
    "late_usage",
    "error",
    "call",
    "half_call",
    "ping",
    "empty",
    "unary",
]


class Step(Struct, frozen=True, tag=True):
    """One thing that an upstream does."""


class Head(Step, frozen=True):
    """Status line and headers of a chunked answer; `media` "sse" is the protocol's own stream type."""

    status: str = "200 OK"
    media: str = "sse"
    headers: tuple[str, ...] = ()


class Say(Step, frozen=True):
    """Pieces of an answer, each its own chunk. `cut` leaves bytes of the last one out; `edits` replace text."""

    parts: tuple[Part, ...]
    cut: int = 0
    edits: tuple[tuple[bytes, bytes], ...] = ()
    joined: bool = False
    """All in one packet."""
    drip: bool = False
    """One byte in each packet."""


class Data(Step, frozen=True):
    """Bytes of the body, as one chunk."""

    data: bytes


class Gzip(Step, frozen=True):
    """Pieces of an answer, compressed, as one chunk; `bomb` adds so many zeros."""

    parts: tuple[Part, ...]
    bomb: int = 0


class Raw(Step, frozen=True):
    """Bytes of the connection."""

    data: bytes


class Whole(Step, frozen=True):
    """A complete answer with a length; without `body` it is the protocol's unary answer. `length` may lie."""

    status: str = "200 OK"
    body: bytes | None = None
    media: str = "application/json"
    headers: tuple[str, ...] = ()
    length: int | None = None
    edits: tuple[tuple[bytes, bytes], ...] = ()


class Refuse(Step, frozen=True):
    """A complete error answer in the provider's own form (`refusals.py`)."""

    kind: str
    headers: tuple[str, ...] = ()
    status: str | None = None
    """Instead of the one that belongs to it."""


class Sleep(Step, frozen=True):
    """Nothing for so many seconds."""

    seconds: float


class Gate(Step, frozen=True):
    """Nothing until the client has seen content, where it can see any."""


class Stall(Step, frozen=True):
    """Nothing more; the other side has to go."""


class Rst(Step, frozen=True):
    """Break the connection off (TCP reset)."""


class Fin(Step, frozen=True):
    """Close the connection in an orderly way (for TCP)."""


class End(Step, frozen=True):
    """The last chunk of the body; the connection may serve again."""


class Again(Step, frozen=True):
    """The same steps, so many times."""

    steps: tuple[AnyStep, ...]
    times: int


AnyStep: TypeAlias = (
    Head | Say | Data | Gzip | Raw | Whole | Refuse | Sleep | Gate | Stall | Rst | Fin | End | Again
)
Script: TypeAlias = tuple[AnyStep, ...]

Op: TypeAlias = tuple[
    Literal["write", "drip", "gzip", "sleep", "gate", "stall", "rst", "fin", "next"], bytes | float | None
]


def chunk(data: bytes) -> bytes:
    """One chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Play(Struct, frozen=True, kw_only=True):
    """What happens at one address. The first request gets the first script, the last script serves all others."""

    stream: tuple[Script, ...]
    unary: tuple[Script, ...]
    when: Literal["request", "head", "half body", "nothing read"] = "request"
    """How much of the request has been read when the script begins."""
    gated: bool = True
    """Whether the client can see content before the answer is complete."""
    cached: bool = True
    """Whether the scripts are played more than once."""
