"""The cells of the catalogue: every fault in front of every client protocol, whole and streamed, relayed and converted.

Nothing is written down twice: a cell's upstream script and its outcome follow from the fault's row.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Final, Literal

from msgspec import Struct

from tests.faults.catalogue import CUT, OK, OK_UNARY, Code, Fault, Outcome, t_or_s
from tests.faults.catalogue_requests import FAULTS as REQUEST_FAULTS
from tests.faults.catalogue_streams import FAULTS as STREAM_FAULTS
from tests.faults.script import Play, Script
from tests.faults.voices import CHAT, GEMINI, MESSAGES, PROTOCOLS, RESPONSES

FAULTS: Final[tuple[Fault, ...]] = (*REQUEST_FAULTS, *STREAM_FAULTS)
CONVERSIONS: Final = {CHAT: MESSAGES, RESPONSES: GEMINI, MESSAGES: CHAT, GEMINI: RESPONSES}
"""One conversion for each client protocol; each upstream protocol is in it once, too."""

Judge = Literal["raw", "sdk"]
JUDGES: Final[tuple[Judge, ...]] = ("raw", "sdk")


class Cell(Struct, frozen=True, kw_only=True):
    """One fault in one place, with one judge."""

    fault: Fault
    client: str
    upstream: str
    stream: bool
    spare: bool
    judge: Judge
    code: Code
    statuses: tuple[int, ...]

    @property
    def place(self) -> str:
        """Where it is: two protocols, the mode, and whether there is another account."""
        mode = "stream" if self.stream else "unary"
        return f"{self.client}>{self.upstream} {mode} {'spare' if self.spare else 'alone'}"

    @property
    def label(self) -> str:
        """A name that is good for pools, accounts and paths."""
        return re.sub(r"[^A-Za-z0-9_]+", "-", f"{self.fault.key} {self.place} {self.judge}").strip("-")

    @property
    def play(self) -> Play:
        """What the bad account's upstream does."""
        fault = self.fault
        unary = fault.unary or OK_UNARY
        before = tuple(OK_UNARY if script == OK else script for script in fault.before)
        return Play(
            stream=_in_turn(fault.before, fault.stream),
            unary=_in_turn(before, unary),
            when=fault.when,
            gated=self.stream,
        )

    @property
    def is_relay(self) -> bool:
        """Whether both sides speak the same protocol."""
        return self.client == self.upstream


def _in_turn(before: tuple[Script, ...], script: Script) -> tuple[Script, ...]:
    return (*before, script)


def cells(fault: Fault, judges: tuple[Judge, ...] = JUDGES) -> list[Cell]:
    """All cells of a fault."""
    found: list[Cell] = []
    for client, converted, stream in product(fault.clients, (False, True), (True, False)):
        upstream = CONVERSIONS[client] if converted else client
        if upstream not in fault.upstreams or (not stream and not converted and fault.unary is None):
            continue
        outcome = fault.outcome if stream else _collected(fault)
        places: tuple[tuple[bool, Code | None], ...] = ((True, outcome.spare), (False, outcome.alone))
        for spare, code in places:
            if code is None:
                continue
            plain: Code = "S" if code == "S or M" and not stream else code
            found.extend(
                Cell(
                    fault=fault,
                    client=client,
                    upstream=upstream,
                    stream=stream,
                    spare=spare,
                    judge=judge,
                    code=plain,
                    statuses=outcome.statuses,
                )
                for judge in judges
            )
    return found


def _collected(fault: Fault) -> Outcome:
    """What becomes of it where nothing is sent before the answer is whole."""
    if fault.unary_outcome is not None:
        return fault.unary_outcome
    return t_or_s(502, 504) if fault.outcome == CUT else fault.outcome


ALL: Final = [cell for fault in FAULTS for cell in cells(fault)]
assert len({cell.label for cell in ALL}) == len(ALL), "labels must tell cells apart"
assert {cell.client for cell in ALL} == set(PROTOCOLS)
