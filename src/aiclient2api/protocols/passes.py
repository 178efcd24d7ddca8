"""What the events of an answer go through between two protocols: names restored, cut calls marked, state sealed,
losses and what the side table keeps noted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from aiclient2api.ir.events import (
    CandidateEnd,
    PartDelta,
    PartEnd,
    PartStart,
    StreamEvent,
)
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import ToolCall
from aiclient2api.protocols.answer_report import AnswerReport
from aiclient2api.protocols.cut_calls import CutCalls
from aiclient2api.protocols.ids import synthetic_call_id

if TYPE_CHECKING:
    from aiclient2api.protocols.pivot import PivotConversion


def with_own_id(event: StreamEvent, turn: str) -> StreamEvent:
    """A call whose upstream gave neither it nor its answer an id, with one that no other turn has."""
    if not isinstance(event, PartStart | PartEnd):
        return event
    part = event.part
    if not isinstance(part, ToolCall) or not part.synthetic_id:
        return event
    called = msgspec.structs.replace(part, call_id=synthetic_call_id(part.call_id, turn))
    return msgspec.structs.replace(event, part=called)


class Passes:
    """All of them, for one answer."""

    __slots__ = ("_beside", "_conversion", "_cuts", "_is_nameless", "_names", "_recorder", "_sealing")

    def __init__(
        self, conversion: PivotConversion, beside: AnswerReport, *, is_nameless: bool = False
    ) -> None:
        """`beside` hears of what is passed on as it is from somebody else. `is_nameless`: the answer has no id."""
        self._conversion = conversion
        self._is_nameless = is_nameless
        self._names = conversion.names
        self._sealing = conversion.sealing()
        self._beside = beside
        self._recorder = conversion.recorder()
        self._cuts = CutCalls(conversion.upstream.name, streamed=True)

    @property
    def losses(self) -> list[Loss]:
        """What was sealed so far."""
        return self._sealing.losses

    def text_number(self, candidate: int, number: int) -> int | None:
        """The client's number of a text whose further pieces need only be written; None where they do more."""
        return None if self._cuts.open else self._sealing.text_number(candidate, number)

    def note_text(self, candidate: int, number: int, length: int) -> None:
        """So many characters went by."""
        self._recorder.note_text(candidate, number, length)

    def delta(self, event: PartDelta) -> Sequence[StreamEvent]:
        """What takes a piece's place."""
        if self._cuts.open:
            self._cuts.add(event)
        self._recorder.note(event)
        return self._sealing.feed(event)

    def settled(self, event: PartStart | PartEnd | CandidateEnd) -> list[StreamEvent]:
        """An event with whatever was held back until it."""
        self._beside.note(event)
        settled = self._cuts.feed(event)
        if len(settled) == 1:
            return self._sealed(settled[0])
        return [sealed for each in settled for sealed in self._sealed(each)]

    def keep(self) -> None:
        """The answer is complete."""
        self._conversion.keep(self._recorder)

    def _sealed(self, event: StreamEvent) -> list[StreamEvent]:
        named = self._names.restore(event) if self._names.restores else event
        if self._is_nameless:
            named = with_own_id(named, self._conversion.turn)
        self._recorder.note(named)
        return self._sealing.feed(named)
