"""What streams through the IR have in common: decoding, what is seen of the answer, and its passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from aiclient2api.errors import ErrorInfo, Incomplete, MalformedMessage
from aiclient2api.ir.events import (
    CandidateEnd,
    Failure,
    NativeEvent,
    PartDelta,
    PartEnd,
    PartStart,
    Ping,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    UsageReport,
    is_content,
)
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.response import REFUSALS, Usage
from aiclient2api.protocols.answer_report import AnswerReport
from aiclient2api.protocols.base import StreamDecoder
from aiclient2api.protocols.passes import Passes
from aiclient2api.protocols.plain_answer import PlainAnswer
from aiclient2api.wire.frames import Frame

if TYPE_CHECKING:
    from aiclient2api.protocols.pivot import PivotConversion


class TextRun:
    """A text that is being told: until another event comes, its pieces need only be written."""

    __slots__ = ("candidate", "length", "number", "write")

    def __init__(self, candidate: int, number: int, write: Callable[[str], bytes | None]) -> None:
        self.candidate, self.number = candidate, number
        self.write = write
        self.length = 0
        """Characters of the run so far."""


class EventStream:
    """An upstream's stream through the IR, wherever it goes.

    As long as the answer is one plain text it needs no passes; they are told of it when something else comes.
    """

    __slots__ = (
        "_conversion",
        "_decoder",
        "_made",
        "_next_text",
        "_next_texts",
        "_plain",
        "_report",
        "_run",
        "content",
        "ended",
        "failure",
        "refused",
        "response_id",
        "usage",
    )

    def __init__(self, decoder: StreamDecoder, conversion: PivotConversion) -> None:
        self.content = False
        self.ended = False
        self.refused = False
        self.usage: Usage | None = None
        self.failure: ErrorInfo | None = None
        self.response_id = ""
        self._decoder = decoder
        self._next_text: Callable[[Frame], str | None] | None = getattr(decoder, "more_text", None)
        self._next_texts: Callable[[list[Frame]], list[str]] | None = getattr(decoder, "more_texts", None)
        """See TextDecoder: not every decoder is one."""
        self._conversion = conversion
        self._plain: PlainAnswer | None = PlainAnswer()
        self._made: Passes | None = None
        self._report: AnswerReport | None = None
        self._run: TextRun | None = None

    @property
    def finished(self) -> bool:
        """See AnswerStream."""
        return self._decoder.finished

    @property
    def goes_on(self) -> bool:
        """See AnswerStream."""
        return self._conversion.has_many or self._decoder.goes_on

    def feed(self, frame: Frame) -> bytes:
        """See AnswerStream. A unary client gets nothing before its answer."""
        run = self._run
        if run is None:
            return self._take(self._decoder.feed(frame))
        if self._next_text is not None:
            text = self._next_text(frame)
            if text is not None:
                run.length += len(text)
                return run.write(text) or b""
        events = self._decoder.feed(frame)
        if len(events) == 1:
            event = events[0]
            if type(event) is PartDelta and event.channel == "text" and event.number == run.number:
                text = event.text
                if text and event.candidate == run.candidate:
                    run.length += len(text)
                    return run.write(text) or b""
        return self._take(events) if events else b""

    def feed_all(self, frames: list[Frame], out: list[bytes]) -> None:
        """See BatchStream."""
        raise NotImplementedError

    def close(self) -> bytes:
        """See AnswerStream."""
        return self._take(self._decoder.close())

    def _take(self, events: list[StreamEvent]) -> bytes:
        """Any events: those for the client, written."""
        if self._run is not None:
            self._end_run(self._run)
        if not events:
            return b""
        written = self._told(events)
        last = events[-1]
        if type(last) is PartDelta and last.channel == "text" and last.text:
            self._begin_run(last)
        return written

    def _told(self, events: list[StreamEvent]) -> bytes:
        """Up to the first terminal."""
        raise NotImplementedError

    def _more_text(self, candidate: int, number: int) -> Callable[[str], bytes | None] | None:
        """What takes further pieces of a text by the client's number."""
        raise NotImplementedError

    def _catch_up(self, told: Sequence[StreamEvent]) -> None:
        """Events of the plain text that the answer was until now, when it turns out to be more."""
        raise NotImplementedError

    @property
    def _passes(self) -> Passes:
        passes = self._made
        if passes is None:
            passes = self._made = Passes(self._conversion, self._beside, is_nameless=not self.response_id)
            plain, self._plain = self._plain, None
            self._catch_up(_replayed(plain, passes) if plain is not None else ())
        return passes

    @property
    def _beside(self) -> AnswerReport:
        if self._report is None:
            self._report = AnswerReport(self._conversion.client)
        return self._report

    def _cut_short(self, error: MalformedMessage) -> None:
        message = f"the answer is incomplete: {error}"
        self.failure = ErrorInfo(kind=Incomplete.kind, code=Incomplete.code, message=message)

    def _begin_run(self, told: PartDelta) -> None:
        """More of this text will come, as nearly always: as long as nothing else does, nobody else has to see it."""
        if self.ended or self.failure is not None:
            return
        candidate, passes = told.candidate, self._made
        number = told.number if passes is None else passes.text_number(candidate, told.number)
        write = None if number is None else self._more_text(candidate, number)
        if write is not None:
            self._run = TextRun(candidate, told.number, write)

    def _end_run(self, run: TextRun) -> None:
        self._run = None
        if self._plain is not None:
            self._plain.length += run.length
        else:
            self._passes.note_text(run.candidate, run.number, run.length)

    @property
    def _answer_losses(self) -> list[Loss]:
        sealed = [] if self._made is None else self._made.losses
        return sealed if self._report is None else [*sealed, *self._report.losses]

    def _delta(self, event: PartDelta) -> Sequence[StreamEvent]:
        self.content = self.content or bool(event.text) or event.value is not None
        plain = self._plain
        if plain is None or not plain.adds(event):
            return self._passes.delta(event)
        return (event,)

    def _part_start(self, event: PartStart) -> Sequence[StreamEvent]:
        if self._plain is not None and self._plain.begins(event):
            return (event,)
        self.content = self.content or is_content(event)
        return self._passes.settled(event)

    def _part_end(self, event: PartEnd) -> Sequence[StreamEvent]:
        if self._plain is not None and self._plain.ends(event):
            return (event,)
        return self._passes.settled(event)

    def _candidate_end(self, event: CandidateEnd) -> Sequence[StreamEvent]:
        if self._plain is not None and self._plain.finishes(event):
            return (event,)
        self.refused = self.refused or event.finish.reason in REFUSALS
        return self._passes.settled(event)

    def _response_start(self, event: ResponseStart) -> Sequence[StreamEvent]:
        self.response_id = event.id
        if event.ext:
            self._beside.note(event)
        if self._plain is not None:
            self._plain.start = event
        return (event,)

    def _usage(self, event: UsageReport) -> Sequence[StreamEvent]:
        self.usage = event.usage
        if event.usage.ext:
            self._beside.note(event)
        return (event,)

    def _response_end(self, event: ResponseEnd) -> Sequence[StreamEvent]:
        self.ended = True
        if event.ext or event.blocked is not None:
            self._beside.note(event)
        if self._plain is None or event.blocked is not None:
            self.refused = self.refused or event.blocked is not None
            self._passes.keep()
        else:
            self._plain.end = event
        return (event,)

    def _failure(self, event: Failure) -> Sequence[StreamEvent]:
        self.failure = event.error
        return ()

    def _unchanged(self, event: Ping | NativeEvent) -> Sequence[StreamEvent]:
        return (event,)

    _WAYS: Final[dict[type[StreamEvent], Callable[[Any, Any], Sequence[StreamEvent]]]] = {
        PartDelta: _delta,
        PartStart: _part_start,
        PartEnd: _part_end,
        CandidateEnd: _candidate_end,
        ResponseStart: _response_start,
        UsageReport: _usage,
        ResponseEnd: _response_end,
        Failure: _failure,
        Ping: _unchanged,
        NativeEvent: _unchanged,
    }
    """What takes each event's place on the client's side."""


def _replayed(plain: PlainAnswer, passes: Passes) -> list[StreamEvent]:
    """What the passes make of a plain text, its pieces aside."""
    told: list[StreamEvent] = []
    for event in plain.seen():
        match event:
            case PartStart():
                told += passes.settled(event)
                passes.note_text(event.candidate, event.number, plain.length)
            case PartEnd() | CandidateEnd():
                told += passes.settled(event)
            case _:
                told.append(event)
    return told
