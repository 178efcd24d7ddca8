"""Twenty ways in which an account dies."""

from __future__ import annotations

from typing import Final

from tests.faults.catalogue_requests import HTML
from tests.faults.script import (
    AnyStep,
    Data,
    End,
    Fin,
    Head,
    Play,
    Raw,
    Refuse,
    Rst,
    Say,
    Script,
    Stall,
    Whole,
)

REFUSED: Final = "connection refused"


def _play(*steps: AnyStep) -> Play:
    return Play(stream=(steps,), unary=(steps,))


def _stream(*steps: AnyStep) -> Play:
    """A unary answer can only be nothing at all."""
    silent: Script = (Fin(),)
    return Play(stream=(steps,), unary=(silent,))


WAYS: Final[dict[str, Play]] = {
    REFUSED: _play(Rst()),
    "reset after the headers": Play(stream=((Rst(),),), unary=((Rst(),),), when="head"),
    "reset after the request": _play(Rst()),
    "closed without an answer": _play(Fin()),
    "silence": _play(Stall()),
    "401": _play(Refuse("bad key")),
    "403": _play(Refuse("forbidden")),
    "no money": _play(Refuse("money")),
    "429 with a wait": _play(Refuse("rate", headers=("retry-after: 7",))),
    "429 without one": _play(Refuse("rate")),
    "404 for the model": _play(Refuse("model")),
    "500": _play(Refuse("broken 500")),
    "502 with HTML": _play(Whole("502 Bad Gateway", HTML, "text/html")),
    "524": _play(Refuse("broken 524")),
    "overloaded": _play(Refuse("overloaded")),
    "HTML with 200": _play(Whole("200 OK", HTML, "text/html")),
    "no HTTP": _play(Raw(b"what?\r\n\r\n"), Fin()),
    "a prelude, then a reset": _stream(Head(), Say(("prelude",)), Rst()),
    "an error before content": _stream(Head(), Say(("prelude", "error")), End()),
    "a broken first event": _stream(Head(), Data(b'data: {"broken": \n\n'), End()),
}
"""A refused connection is played by closing the listener."""
assert len(WAYS) == 20
