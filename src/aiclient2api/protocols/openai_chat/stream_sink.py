"""Where one candidate's decoder writes its events: numbers parts and fills in the candidate."""

from __future__ import annotations

from aiclient2api.ir.events import CandidateEnd, Channel, PartDelta, PartEnd, PartStart, StreamEvent
from aiclient2api.ir.parts import Citation, Opaque, Part, TokenLogprob
from aiclient2api.ir.response import Finish


class PartSink:
    """The events of one candidate; `events` is the list of the chunk being decoded."""

    __slots__ = ("_next", "candidate", "events")

    def __init__(self, candidate: int) -> None:
        self.candidate = candidate
        self.events: list[StreamEvent] = []
        self._next = 0

    @property
    def has_begun(self) -> bool:
        """Whether there was any part."""
        return self._next > 0

    def start(self, part: Part) -> int:
        """Open a part; returns its number."""
        number = self._next
        self._next = number + 1
        self.events.append(PartStart(number, part, self.candidate))
        return number

    def delta(self, number: int, text: str, channel: Channel) -> None:
        """A piece of text."""
        self.events.append(PartDelta(number, text, channel, 0, None, self.candidate))

    def value(self, number: int, channel: Channel, value: Citation | list[TokenLogprob] | Opaque) -> None:
        """A piece that is not text."""
        self.events.append(PartDelta(number, "", channel, 0, value, self.candidate))

    def end(self, number: int) -> None:
        """Close a part."""
        self.events.append(PartEnd(number, None, self.candidate))

    def finish(self, finish: Finish) -> None:
        """Close the candidate."""
        self.events.append(CandidateEnd(finish, self.candidate))
