"""The fault catalogue of `reliability.md` 6.3 as data: what an upstream does, and what a client must see.

Outcomes: T an answer as if nothing had happened, from another account · C a complete answer despite the flaw ·
S a status error · M an in-band error and a broken connection · P the upstream's own refusal. `spare` is the outcome
with a second, healthy account in the pool; `alone` without. Stream outcomes are for streams; an answer that is
collected before it is sent (unary) can always fail over, so its M becomes T / S.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from tests.faults.script import Again, End, Head, Play, Say, Script, Stall, Whole
from tests.faults.voices import PROTOCOLS

Code = Literal["T", "C", "S", "M", "P", "S or M"]

OK: Final[Script] = (Head(), Say(("prelude", "content", "more", "finish", "done")), End())
OK_UNARY: Final[Script] = (Whole(),)
HEALTHY: Final = Play(stream=(OK,), unary=(OK_UNARY,))


SILENT_ADDRESSES: Final = ("blackhole", "no name", "tls stalls", "never reads")


class Outcome(Struct, frozen=True):
    """What a client sees. `statuses` of an S (as Messages says them; `judge.py` knows the other protocols)."""

    spare: Code | None
    """None: a second account is not needed to know."""
    alone: Code | None
    statuses: tuple[int, ...] = ()


def t_or_s(*statuses: int) -> Outcome:
    """Invisible with a spare account, a status without."""
    return Outcome("T", "S", statuses)


COMPLETES: Final = Outcome(None, "C")
CUT: Final = Outcome("M", "M")
"""Content was out: a spare account must not be asked."""
REFUSED: Final = Outcome("P", None, (400,))


class Fault(Struct, frozen=True, kw_only=True):
    """One variant of a fault."""

    id: str
    title: str
    outcome: Outcome
    stream: Script = OK
    unary: Script | None = None
    """What a unary upstream does; None where only a stream can have the fault."""
    unary_outcome: Outcome | None = None
    """Where it differs; by default T / S of the stream's statuses if that is an M, else the same."""
    before: tuple[Script, ...] = ()
    """Streams and unary answers of the requests before, on the same account (`warm_ups` of them)."""
    warm_ups: int = 0
    where: str = "server"
    """One of the addresses of `addresses.py`."""
    when: Literal["request", "head", "half body", "nothing read"] = "request"
    upstreams: tuple[str, ...] = PROTOCOLS
    """Protocols that can have it."""
    clients: tuple[str, ...] = PROTOCOLS
    """Where one pair is as good as another and the bytes are many: fewer of them."""
    padding: int = 0
    """Bytes by which the prompt is longer."""
    tools: bool = False
    hits: tuple[int, int] = (1, 1)
    """How often the bad account is asked, at least and at most."""
    status_after: tuple[str, ...] = ()
    """The states that the bad account may be in afterwards; empty: any."""
    text: str | None = None
    """The text of the complete answer, where it is not the usual one."""

    @property
    def times_out(self) -> bool:
        """Whether only a time-out ends it: the bad account gets short ones then."""
        return self.where in SILENT_ADDRESSES or any(
            isinstance(step, Stall | Again) for script in (self.stream, self.unary or ()) for step in script
        )

    @property
    def key(self) -> str:
        """Id and title."""
        return f"{self.id} {self.title}"
