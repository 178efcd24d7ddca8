"""An upstream's stream through the IR: to a client's stream, or folded into one answer for a unary client."""

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
from aiclient2api.ir.fold import Folder
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.response import REFUSALS, Usage
from aiclient2api.protocols.answer_report import AnswerReport
from aiclient2api.protocols.base import StreamDecoder, StreamEncoder
from aiclient2api.protocols.carrier import SealingStream
from aiclient2api.protocols.conversion import Answer
from aiclient2api.protocols.cut_calls import CutCalls
from aiclient2api.protocols.tool_names import ToolNames
from aiclient2api.wire.frames import Frame

if TYPE_CHECKING:
    from aiclient2api.protocols.pivot import PivotConversion


_MoreText = Callable[[int, int], Callable[[str], bytes] | None]


class _TextRun:
    """A text that is being told: until another event comes, its pieces need only be written."""

    __slots__ = ("candidate", "length", "number", "write")

    def __init__(self, candidate: int, number: int, write: Callable[[str], bytes | None]) -> None:
        self.candidate, self.number = candidate, number
        self.write = write
        self.length = 0
        """Characters of the run so far."""


class _EventStream:
    """What streams through the IR have in common: decoding, restoring names, sealing and watching."""

    def __init__(
        self, decoder: StreamDecoder, names: ToolNames, sealing: SealingStream, conversion: PivotConversion
    ) -> None:
        self.content = False
        self.ended = False
        self.refused = False
        self.usage: Usage | None = None
        self.failure: ErrorInfo | None = None
        self.response_id = ""
        self._decoder = decoder
        self._names = names
        self._sealing = sealing
        self._conversion = conversion
        self._beside = AnswerReport(conversion.client)
        self._recorder = conversion.recorder()
        self._cuts = CutCalls(conversion.upstream.name, streamed=True)
        self._run: _TextRun | None = None

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
        events = self._decoder.feed(frame)
        run = self._run
        if run is not None and len(events) == 1:
            event = events[0]
            if type(event) is PartDelta and event.channel == "text" and event.number == run.number:
                text = event.text
                if text and event.candidate == run.candidate:
                    run.length += len(text)
                    return run.write(text) or b""
        return self._take(events) if events else b""

    def close(self) -> bytes:
        """See AnswerStream."""
        return self._take(self._decoder.close())

    def _take(self, events: list[StreamEvent]) -> bytes:
        """Any events: those for the client, written."""
        if self._run is not None:
            self._end_run(self._run)
        written = self._told(events)
        last = events[-1] if events else None
        if type(last) is PartDelta and last.channel == "text" and last.text:
            self._begin_run(last)
        return written

    def _told(self, events: list[StreamEvent]) -> bytes:
        """Up to the first terminal."""
        raise NotImplementedError

    def _more_text(self, candidate: int, number: int) -> Callable[[str], bytes | None] | None:
        """What takes further pieces of a text by the client's number."""
        raise NotImplementedError

    def _cut_short(self, error: MalformedMessage) -> None:
        message = f"the answer is incomplete: {error}"
        self.failure = ErrorInfo(kind=Incomplete.kind, code=Incomplete.code, message=message)

    def _begin_run(self, told: PartDelta) -> None:
        """More of this text will come, as nearly always: as long as nothing else does, nobody else has to see it."""
        if self.ended or self.failure is not None or self._cuts.open:
            return
        number = self._sealing.text_number(told.candidate, told.number)
        write = None if number is None else self._more_text(told.candidate, number)
        if write is not None:
            self._run = _TextRun(told.candidate, told.number, write)

    def _end_run(self, run: _TextRun) -> None:
        self._run = None
        self._recorder.note_text(run.candidate, run.number, run.length)

    @property
    def _answer_losses(self) -> list[Loss]:
        return [*self._sealing.losses, *self._beside.losses]

    def _delta(self, event: PartDelta) -> Sequence[StreamEvent]:
        self.content = self.content or bool(event.text) or event.value is not None
        if self._cuts.open:
            self._cuts.add(event)
        self._recorder.note(event)
        return self._sealing.feed(event)

    def _part_start(self, event: PartStart) -> Sequence[StreamEvent]:
        self.content = self.content or is_content(event)
        return self._settled(event)

    def _candidate_end(self, event: CandidateEnd) -> Sequence[StreamEvent]:
        self.refused = self.refused or event.finish.reason in REFUSALS
        return self._settled(event)

    def _response_start(self, event: ResponseStart) -> Sequence[StreamEvent]:
        self.response_id = event.id
        if event.ext:
            self._beside.note(event)
        return (event,)

    def _usage(self, event: UsageReport) -> Sequence[StreamEvent]:
        self.usage = event.usage
        if event.usage.ext:
            self._beside.note(event)
        return (event,)

    def _response_end(self, event: ResponseEnd) -> Sequence[StreamEvent]:
        self.ended = True
        self.refused = self.refused or event.blocked is not None
        self._conversion.keep(self._recorder)
        if event.ext or event.blocked is not None:
            self._beside.note(event)
        return (event,)

    def _failure(self, event: Failure) -> Sequence[StreamEvent]:
        self.failure = event.error
        return ()

    def _unchanged(self, event: Ping | NativeEvent) -> Sequence[StreamEvent]:
        return (event,)

    def _settled(self, event: PartStart | PartEnd | CandidateEnd) -> list[StreamEvent]:
        """An event with whatever was held back until it."""
        self._beside.note(event)
        settled = self._cuts.feed(event)
        if len(settled) == 1:
            return self._sealed(settled[0])
        return [sealed for each in settled for sealed in self._sealed(each)]

    def _sealed(self, event: StreamEvent) -> list[StreamEvent]:
        named = self._names.restore(event) if self._names.restores else event
        self._recorder.note(named)
        return self._sealing.feed(named)

    _WAYS: Final[dict[type[StreamEvent], Callable[[Any, Any], Sequence[StreamEvent]]]] = {
        PartDelta: _delta,
        PartStart: _part_start,
        PartEnd: _settled,
        CandidateEnd: _candidate_end,
        ResponseStart: _response_start,
        UsageReport: _usage,
        ResponseEnd: _response_end,
        Failure: _failure,
        Ping: _unchanged,
        NativeEvent: _unchanged,
    }
    """What takes each event's place on the client's side."""


class PivotStream(_EventStream):
    """An upstream's frames to the client's stream; at its end the answer's own losses are added to `losses`."""

    def __init__(
        self,
        decoder: StreamDecoder,
        names: ToolNames,
        sealing: SealingStream,
        conversion: PivotConversion,
        encoder: StreamEncoder,
    ) -> None:
        super().__init__(decoder, names, sealing, conversion)
        self._encoder = encoder
        self._shorter: _MoreText | None = getattr(encoder, "more_text", None)
        """See TextEncoder: not every encoder is one."""

    def fail(self, error: ErrorInfo) -> bytes:
        """See AnswerStream."""
        self._run = None
        self._report()
        return self._encoder.fail(error)

    def _told(self, events: list[StreamEvent]) -> bytes:
        """What our encoder cannot write is no fault of the upstream: `failure` says so, what came before is kept."""
        was_over = self.ended
        out: list[bytes] = []
        try:
            for event in events:
                if self.ended or self.failure is not None:
                    break
                for told in self._WAYS[type(event)](self, event):
                    out.append(self._encoder.feed(told))
        except MalformedMessage as error:
            self._cut_short(error)
        if self.ended and not was_over:
            self._report()
        return b"".join(out)

    def _more_text(self, candidate: int, number: int) -> Callable[[str], bytes | None] | None:
        return self._shorter(candidate, number) if self._shorter is not None else None

    def _report(self) -> None:
        self._conversion.losses.extend((*self._answer_losses, *self._encoder.losses))

    def ping(self) -> bytes:
        """See AnswerStream."""
        return self._encoder.ping()


class FoldingStream(_EventStream):
    """An upstream's frames collected into one answer, for a unary client, who gets nothing before it."""

    def __init__(
        self, decoder: StreamDecoder, names: ToolNames, sealing: SealingStream, conversion: PivotConversion
    ) -> None:
        super().__init__(decoder, names, sealing, conversion)
        self._folder = Folder(conversion.upstream.name)

    def _told(self, events: list[StreamEvent]) -> bytes:
        ways, feed = self._WAYS, self._folder.feed
        for event in events:
            if self.ended or self.failure is not None:
                break
            for told in ways[type(event)](self, event):
                feed(told)
        return b""

    def _more_text(self, candidate: int, number: int) -> Callable[[str], bytes | None] | None:
        return self._folder.more_text(candidate, number)

    def fail(self, error: ErrorInfo) -> bytes:
        """A unary client gets a plain error answer instead."""
        return b""

    def ping(self) -> bytes:
        """A unary client gets nothing before the answer."""
        return b""

    def answer(self) -> Answer:
        """The whole answer, once `ended`."""
        return self._conversion.answer(self._folder.response(), self._answer_losses)
