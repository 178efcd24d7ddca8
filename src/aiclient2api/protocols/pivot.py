"""Different protocols: one request through the IR, and its answer back.

Unary calls are streamed upstream and folded, where the account can stream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from aiclient2api.errors import ErrorInfo, Incomplete, MalformedMessage
from aiclient2api.ir.events import (
    CandidateEnd,
    Failure,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    UsageReport,
    is_content,
)
from aiclient2api.ir.fold import Folder, fold, unfold
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import HostedCall, Media, Reasoning
from aiclient2api.ir.request import ModelRequest, is_plain, kinds_of
from aiclient2api.ir.response import REFUSALS, ModelResponse, Usage
from aiclient2api.protocols.answer_report import AnswerReport
from aiclient2api.protocols.base import (
    Converter,
    StreamDecoder,
    StreamEncoder,
    SystemPrompt,
)
from aiclient2api.protocols.carrier import Carrier, SealingStream
from aiclient2api.protocols.conversion import Answer, Inbound, Target, is_empty, require_ends
from aiclient2api.protocols.cut_calls import CutCalls, settled
from aiclient2api.protocols.namespaces import without_namespaces
from aiclient2api.protocols.opening import join_continued, open_request
from aiclient2api.protocols.refusals import encoded_for, refuse_foreign_state
from aiclient2api.protocols.shadow import with_shadows
from aiclient2api.protocols.side_table import SideTable, TurnRecorder
from aiclient2api.protocols.spoken_answers import with_transcripts
from aiclient2api.protocols.stored_thoughts import without_stored_thoughts
from aiclient2api.protocols.system_prompt import apply_system_prompt
from aiclient2api.protocols.tool_names import ToolNames
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireResponse


class PivotConversion:
    """Different protocols: through the IR."""

    local: Answer | None = None

    def __init__(
        self,
        inbound: Inbound,
        upstream: Converter,
        target: Target,
        system: SystemPrompt | None,
        carrier: Carrier,
    ) -> None:
        self.label = f"{inbound.converter.name}>{upstream.name}"
        self.thinks = not target.profile.thinking_off
        self.upstream = upstream
        self._client = inbound.converter
        self._tenant = inbound.tenant
        self._carrier, self._account = carrier, target.account
        self._remember: Callable[[str, bytes | None], None] | None = target.remember
        self._asked = inbound.request()
        refuse_foreign_state(self._asked)
        request, losses = self._asked, list[Loss]()
        if not is_plain(request.turns):
            request, losses = self._readable(inbound)
        request = apply_system_prompt(request, system)
        request, spaces, spaced = without_namespaces(request)
        losses.extend(spaced)
        self._names = ToolNames(request, upstream.tool_names, spaces)
        request = self._names.shorten(request)
        self.streaming = self._wants_stream or target.streams
        request = msgspec.structs.replace(
            request, model=target.model, stream="sse" if self.streaming else "no", include_usage=True
        )
        encoded = encoded_for(upstream, request, target, inbound)
        self.request = encoded.wire
        self.losses = [*losses, *spaces.relocated([*self._names.losses, *encoded.losses])]

    def _readable(self, inbound: Inbound) -> tuple[ModelRequest, list[Loss]]:
        """The request with what earlier answers held beside words, as far as this upstream can have it."""
        upstream = self.upstream
        request, losses = open_request(join_continued(self._asked), self._carrier, self._tenant)
        table = SideTable(inbound.records or {}, self._carrier, self._tenant)
        request, found = table.put_back(request, upstream.slots)
        kinds = kinds_of(request.turns)
        request, spoken = with_transcripts(request, upstream.name) if Media in kinds else (request, [])
        request, stored = without_stored_thoughts(request) if Reasoning in kinds else (request, [])
        if HostedCall in kinds:
            request = with_shadows(request, upstream.name)
        return request, [*losses, *found, *spoken, *stored]

    @property
    def _wants_stream(self) -> bool:
        return self._asked.stream != "no"

    def stream(self) -> PivotStream | FoldingStream:
        """Decoder, sealing, and the client's encoder, or a fold for a unary client."""
        decoder, sealing = self.upstream.stream_decoder(), self._sealing()
        if not self._wants_stream:
            return FoldingStream(decoder, self._names, sealing, self)
        return PivotStream(decoder, self._names, sealing, self, self._client.stream_encoder(self._asked))

    @property
    def has_many(self) -> bool:
        """Whether more than one candidate was asked for."""
        return (self._asked.sampling.candidates or 1) > 1

    @property
    def client(self) -> str:
        """The client's protocol."""
        return self._client.name

    def whole(self, response: WireResponse) -> Answer:
        """An upstream's unary answer, by way of the same events as a stream."""
        sealing, report, recorder = self._sealing(), AnswerReport(self._client.name), self.recorder()
        decoded = self.upstream.decode_response(response)
        require_ends(decoded)
        report.note_whole(decoded)
        sealed: list[StreamEvent] = []
        for event in settled(unfold(decoded), self.upstream.name, streamed=False):
            report.note(event)
            named = self._names.restore(event)
            recorder.note(named)
            sealed.extend(sealing.feed(named))
        self.keep(recorder)
        return self.answer(fold(sealed, self.upstream.name), [*sealing.losses, *report.losses])

    def answer(self, response: ModelResponse, losses: list[Loss]) -> Answer:
        """A sealed answer for the client."""
        if not response.candidates and response.blocked is None:
            raise MalformedMessage("the upstream's answer has no candidate")
        try:
            encoded = self._client.encode_response(response, self._asked)
        except MalformedMessage as error:
            raise Incomplete(f"the answer is incomplete: {error}") from error
        return Answer(
            response=encoded.wire,
            response_id=response.id,
            usage=response.usage,
            losses=[*losses, *encoded.losses],
            is_empty=is_empty(response),
        )

    def recorder(self) -> TurnRecorder:
        """What watches one answer for the side table."""
        return TurnRecorder(self._asked, self._account)

    def keep(self, recorder: TurnRecorder) -> None:
        """An answer is complete: what its client may not send back is kept."""
        found = recorder.record() if self._remember is not None else None
        if found is None or self._remember is None:
            return
        call_id, record = found
        signed = self._carrier.sign(record, self._tenant, call_id) if record is not None else None
        self._remember(call_id, signed)

    def _sealing(self) -> SealingStream:
        return SealingStream(self._carrier, self._tenant, self._client.slots, self._account)


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
        self._recorder: TurnRecorder = conversion.recorder()
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
        return self._take(events)

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

    def _passed(self, event: StreamEvent) -> Sequence[StreamEvent]:
        """What takes an event's place on the client's side."""
        match event:
            case PartDelta():
                self.content = self.content or bool(event.text) or event.value is not None
                if self._cuts.open:
                    self._cuts.add(event)
                return self._sealed(event)
            case PartStart():
                self.content = self.content or is_content(event)
                return self._settled(event)
            case PartEnd():
                return self._settled(event)
            case CandidateEnd():
                self.refused = self.refused or event.finish.reason in REFUSALS
                return self._settled(event)
            case Failure():
                self.failure = event.error
                return ()
            case UsageReport():
                self.usage = event.usage
            case ResponseEnd():
                self.ended = True
                self.refused = self.refused or event.blocked is not None
                self._conversion.keep(self._recorder)
            case ResponseStart():
                self.response_id = event.id
            case _:
                pass
        self._beside.note(event)
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
                for told in self._passed(event):
                    out.append(self._encoder.feed(told))
        except MalformedMessage as error:
            message = f"the answer is incomplete: {error}"
            self.failure = ErrorInfo(kind=Incomplete.kind, code=Incomplete.code, message=message)
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
        for event in events:
            if self.ended or self.failure is not None:
                break
            for told in self._passed(event):
                self._folder.feed(told)
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
