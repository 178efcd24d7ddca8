"""An answer that is one text and nothing else, as most are: none of the passes of `passes.py` has anything to do."""

from __future__ import annotations

from typing import Final

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.events import (
    CandidateEnd,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
)
from aiclient2api.ir.fold import joined
from aiclient2api.ir.parts import Text
from aiclient2api.ir.request import Turn
from aiclient2api.ir.response import Candidate, FinishReason, ModelResponse, Usage
from aiclient2api.protocols.answer_report import LENGTHS

_BARE: Final = Text(text="")
_ENDS: Final[frozenset[FinishReason]] = frozenset(("stop", "stop_sequence"))
"""Ends that every protocol has a word for, and that withhold nothing."""


class PlainAnswer:
    """What came so far. Each of the questions keeps the event, if the answer is still plain with it."""

    __slots__ = ("_begun", "_ended", "_finish", "end", "length", "start")

    def __init__(self) -> None:
        self.start: ResponseStart | None = None
        self._begun: PartStart | None = None
        self._ended: PartEnd | None = None
        self._finish: CandidateEnd | None = None
        self.end: ResponseEnd | None = None
        self.length = 0
        """Characters of the text."""

    def begins(self, event: PartStart) -> bool:
        """See the class."""
        if self._begun is not None or event.number or event.candidate or event.part != _BARE:
            return False
        self._begun = event
        return True

    def adds(self, event: PartDelta) -> bool:
        """See the class; only how long the pieces are is kept."""
        if event.channel != "text" or event.number or event.candidate:
            return False
        if self._begun is None or self._ended is not None:
            return False
        self.length += len(event.text)
        return True

    def ends(self, event: PartEnd) -> bool:
        """See the class."""
        part = event.part
        if part is not None and (type(part) is not Text or part != Text(text=part.text)):
            return False
        if self._ended is not None or self._begun is None or event.number or event.candidate:
            return False
        self._ended = event
        return True

    def finishes(self, event: CandidateEnd) -> bool:
        """See the class."""
        finish = event.finish
        if self._finish is not None or event.candidate or finish.ext:
            return False
        if finish.reason not in _ENDS and not (finish.reason == "length" and finish.raw in LENGTHS):
            return False
        if self._begun is not None and self._ended is None:
            return False
        self._finish = event
        return True

    def seen(self) -> list[StreamEvent]:
        """All that came but the pieces of the text, which stand behind its beginning, counts and signs of life."""
        events = (self.start, self._begun, self._ended, self._finish)
        return [event for event in events if event is not None]

    def response(self, protocol: str, pieces: list[str], usage: Usage | None) -> ModelResponse:
        """The whole answer. Raises MalformedMessage when its stream did not reach its end."""
        start, end, ended, finish = self.start or ResponseStart(), self.end, self._ended, self._finish
        if end is None or (self._begun is not None and ended is None):
            raise MalformedMessage("the stream ended without its terminal event")
        candidates: list[Candidate] = []
        if ended is not None or finish is not None:
            parts = [] if ended is None else [ended.part or Text(text="".join(pieces))]
            turn = Turn(role="assistant", parts=parts)
            candidates.append(Candidate(turn=turn, finish=None if finish is None else finish.finish))
        return ModelResponse(
            protocol=protocol,
            id=start.id,
            model=start.model,
            created=start.created,
            candidates=candidates,
            usage=usage or start.usage,
            tier=end.tier or start.tier,
            ext=joined(start.ext, end.ext),
        )
