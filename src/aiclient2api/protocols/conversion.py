"""One request converted for one target: what the gateway sends upstream and what it makes of the answer.

Three strategies (`factory.py` chooses): **relay** passes the original bytes on and splices what must change,
**patch** rebuilds a request of the same protocol because it holds envelopes, **pivot** goes through the IR.
The gateway only sees `Conversion` and `AnswerStream`; it does not know which one it drives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec
from msgspec import Raw, Struct

from aiclient2api.errors import ErrorInfo, Incomplete, MalformedMessage, Unrepresentable
from aiclient2api.ir.events import Failure, ResponseEnd, ResponseStart, StreamEvent, UsageReport, is_content
from aiclient2api.ir.fold import Folder, fold, unfold
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.request import ModelRequest
from aiclient2api.ir.response import ModelResponse, Usage
from aiclient2api.protocols.base import (
    Converter,
    Peek,
    Splice,
    StreamDecoder,
    StreamEncoder,
    StreamTap,
    SystemPrompt,
)
from aiclient2api.protocols.carrier import MAGIC, Carrier, SealingStream, join_continued, open_request
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.system_prompt import apply_system_prompt
from aiclient2api.protocols.tool_names import ToolNames
from aiclient2api.wire import json
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import JSON_HEADERS, WireRequest, WireResponse

_MAGIC = MAGIC.encode()


class Answer(Struct, frozen=True, kw_only=True):
    """A complete answer for the client."""

    response: WireResponse
    usage: Usage | None = None
    losses: list[Loss] = []
    is_empty: bool = False
    response_id: str = ""


class _Identified(Struct):
    id: str = ""


class Target(Struct, frozen=True, kw_only=True):
    """What a conversion needs to know of where the request goes."""

    model: str
    profile: ModelProfile
    streams: bool = True
    """The upstream can stream, so that converted unary calls are streamed and folded."""


class AnswerStream(Protocol):
    """An upstream's stream on its way to the client.

    `content`, `ended`, `usage` and `failure` say where it is; see StreamTap.
    """

    content: bool
    ended: bool
    usage: Usage | None
    failure: ErrorInfo | None
    response_id: str

    def feed(self, frame: Frame) -> bytes:
        """The next frame; returns what goes to the client. Raises MalformedMessage."""
        ...

    def close(self) -> bytes:
        """The upstream closed the connection. Sets `failure` when its terminal was not seen."""
        ...

    def fail(self, error: ErrorInfo) -> bytes:
        """The in-band error for the client."""
        ...

    def ping(self) -> bytes:
        """A keep-alive for the client."""
        ...


class Inbound:
    """A client's request, read as far as anybody needed it."""

    def __init__(self, converter: Converter, wire: WireRequest, tenant: str) -> None:
        self.converter = converter
        self.wire = wire
        self.tenant = tenant
        self.peek: Peek = converter.peek(wire)
        self._request: ModelRequest | None = None

    @property
    def has_envelopes(self) -> bool:
        """Whether the client sends back state that we sealed."""
        return _MAGIC in self.wire.body

    def request(self) -> ModelRequest:
        """The decoded request, envelopes still closed. Raises MalformedMessage."""
        if self._request is None:
            self._request = self.converter.decode_request(self.wire)
        return self._request


class Conversion(Protocol):
    """See the module."""

    label: str
    request: WireRequest
    losses: list[Loss]
    streaming: bool
    """The upstream is asked for a stream."""
    local: Answer | None
    """The answer itself, where no upstream has to be asked for it."""

    def stream(self) -> AnswerStream:
        """A fresh stream state, one per upstream answer; a FoldingStream where the client is unary."""
        ...

    def whole(self, response: WireResponse) -> Answer:
        """Convert an upstream's unary answer. Raises MalformedMessage."""
        ...


class RelayConversion:
    """Same protocol: the client's bytes, the upstream's bytes."""

    local: Answer | None = None

    def __init__(self, inbound: Inbound, target: Target, system: SystemPrompt | None) -> None:
        self.label = "relay" if system is None else "patch"
        self.losses: list[Loss] = []
        self.streaming = inbound.peek.stream != "no"
        self._converter = inbound.converter
        self._wire = inbound.wire
        request = inbound.converter.splice(inbound.wire, Splice(model=target.model, system=system))
        self.request = _without_duplicates(request) if request.body is inbound.wire.body else request

    def stream(self) -> StreamTap:
        """The protocol's own tap."""
        return self._converter.stream_tap(self._wire)

    def whole(self, response: WireResponse) -> Answer:
        """The answer as it is."""
        identified = json.decode(response.body, _Identified)
        return Answer(
            response=WireResponse(status=response.status, body=response.body, headers=JSON_HEADERS),
            usage=self._converter.usage(response),
            response_id=identified.id,
        )


def _without_duplicates(request: WireRequest) -> WireRequest:
    """A second `model` member could mean another model to the upstream than the one we allowed."""
    if request.body.count(b'"model"') < 2:
        return request
    return msgspec.structs.replace(request, body=json.encode(json.decode(request.body, dict[str, Raw])))


class PatchConversion(RelayConversion):
    """Same protocol, but the history holds envelopes that an upstream must not see."""

    def __init__(
        self, inbound: Inbound, target: Target, system: SystemPrompt | None, carrier: Carrier
    ) -> None:
        super().__init__(inbound, target, None)
        self.label = "patch"
        request, self.losses = open_request(inbound.request(), carrier, inbound.tenant)
        request = msgspec.structs.replace(apply_system_prompt(request, system), model=target.model)
        encoded = inbound.converter.encode_request(request, target.profile)
        self.losses.extend(encoded.losses)
        self.request = msgspec.structs.replace(
            encoded.wire, headers=self.request.headers, path=self.request.path
        )


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
        self.upstream = upstream
        self._client = inbound.converter
        self._tenant = inbound.tenant
        self._carrier = carrier
        self._asked = inbound.request()
        refuse_foreign_state(self._asked)
        request, losses = open_request(join_continued(self._asked), carrier, inbound.tenant)
        request = apply_system_prompt(request, system)
        self._names = ToolNames(request, upstream.tool_names)
        request = self._names.shorten(request)
        self.streaming = self._wants_stream or target.streams
        request = msgspec.structs.replace(
            request, model=target.model, stream="sse" if self.streaming else "no", include_usage=True
        )
        encoded = upstream.encode_request(request, target.profile)
        self.request = encoded.wire
        self.losses = [*losses, *self._names.losses, *encoded.losses]

    @property
    def _wants_stream(self) -> bool:
        return self._asked.stream != "no"

    def stream(self) -> PivotStream | FoldingStream:
        """Decoder, sealing, and the client's encoder, or a fold for a unary client."""
        decoder, sealing = self.upstream.stream_decoder(), self._sealing()
        if not self._wants_stream:
            return FoldingStream(decoder, self._names, sealing, self)
        encoder = self._client.stream_encoder(self._asked)
        return PivotStream(decoder, self._names, sealing, encoder, self.losses)

    def whole(self, response: WireResponse) -> Answer:
        """An upstream's unary answer, by way of the same events as a stream."""
        sealing = self._sealing()
        events = (self._names.restore(event) for event in unfold(self.upstream.decode_response(response)))
        answer = fold((sealed for event in events for sealed in sealing.feed(event)), self.upstream.name)
        return self.answer(answer, sealing.losses)

    def answer(self, response: ModelResponse, losses: list[Loss]) -> Answer:
        """A sealed answer for the client."""
        if not response.candidates and response.blocked is None:
            raise MalformedMessage("the upstream's answer has no candidate")
        try:
            encoded = self._client.encode_response(response, self._asked)
        except MalformedMessage as error:
            raise Incomplete(f"the answer is incomplete: {error}") from error
        has_parts = any(candidate.turn.parts for candidate in response.candidates)
        has_output = response.usage is not None and bool(response.usage.output)
        return Answer(
            response=encoded.wire,
            response_id=response.id,
            usage=response.usage,
            losses=[*losses, *encoded.losses],
            is_empty=response.blocked is None and not has_parts and not has_output,
        )

    def _sealing(self) -> SealingStream:
        return SealingStream(self._carrier, self._tenant, self._client.slots)


def refuse_foreign_state(request: ModelRequest) -> None:
    """What only the provider that stored it has, or that only its own protocol can do, cannot be converted."""
    state = request.state
    if state is None:
        return
    if state.stored is not None:
        raise Unrepresentable(f"{state.stored}: only its own provider has this content")
    if state.previous_id is not None:
        raise _not_found("previous_response_id", f"Previous response with id '{state.previous_id}' not found")
    if state.conversation is not None:
        raise _not_found("conversation", "The conversation was not found")
    if state.background:
        message = "background: this model's provider cannot answer in the background"
        raise Unrepresentable(
            info=ErrorInfo(kind="invalid", code=Unrepresentable.code, message=message, param="background")
        )


def _not_found(param: str, fact: str) -> Unrepresentable:
    """With OpenAI's own code, which tells clients to send the whole history instead."""
    message = f"{fact}: this model's provider stores no answers. Send the whole history."
    code = "previous_response_not_found"
    return Unrepresentable(info=ErrorInfo(kind="invalid", code=code, message=message, param=param))


class _EventStream:
    """What streams through the IR have in common: decoding, restoring names, sealing and watching."""

    def __init__(self, decoder: StreamDecoder, names: ToolNames, sealing: SealingStream) -> None:
        self.content = False
        self.ended = False
        self.usage: Usage | None = None
        self.failure: ErrorInfo | None = None
        self.response_id = ""
        self._decoder = decoder
        self._names = names
        self._sealing = sealing

    def _cut_short(self, error: MalformedMessage) -> None:
        message = f"the answer is incomplete: {error}"
        self.failure = ErrorInfo(kind=Incomplete.kind, code=Incomplete.code, message=message)

    def _events(self, events: list[StreamEvent]) -> Iterator[StreamEvent]:
        """The events for the client's side, up to the first terminal."""
        for event in events:
            if self.ended or self.failure is not None:
                return
            match event:
                case Failure():
                    self.failure = event.error
                    return
                case UsageReport():
                    self.usage = event.usage
                case ResponseEnd():
                    self.ended = True
                case ResponseStart():
                    self.response_id = event.id
                case _:
                    self.content = self.content or is_content(event)
            yield from self._sealing.feed(self._names.restore(event))


class PivotStream(_EventStream):
    """An upstream's frames to the client's stream; at its end the answer's own losses are added to `losses`."""

    def __init__(
        self,
        decoder: StreamDecoder,
        names: ToolNames,
        sealing: SealingStream,
        encoder: StreamEncoder,
        losses: list[Loss],
    ) -> None:
        super().__init__(decoder, names, sealing)
        self._encoder = encoder
        self._losses = losses

    def feed(self, frame: Frame) -> bytes:
        """See AnswerStream."""
        return self._encode(self._decoder.feed(frame))

    def close(self) -> bytes:
        """See AnswerStream."""
        return self._encode(self._decoder.close())

    def fail(self, error: ErrorInfo) -> bytes:
        """See AnswerStream."""
        self._report()
        return self._encoder.fail(error)

    def _encode(self, events: list[StreamEvent]) -> bytes:
        """What our encoder cannot write is no fault of the upstream: `failure` says so, what came before is kept."""
        was_over = self.ended
        out: list[bytes] = []
        try:
            for event in self._events(events):
                out.append(self._encoder.feed(event))
        except MalformedMessage as error:
            self._cut_short(error)
        if self.ended and not was_over:
            self._report()
        return b"".join(out)

    def _report(self) -> None:
        self._losses.extend((*self._sealing.losses, *self._encoder.losses))

    def ping(self) -> bytes:
        """See AnswerStream."""
        return self._encoder.ping()


class FoldingStream(_EventStream):
    """An upstream's frames collected into one answer, for a unary client."""

    def __init__(
        self, decoder: StreamDecoder, names: ToolNames, sealing: SealingStream, conversion: PivotConversion
    ) -> None:
        super().__init__(decoder, names, sealing)
        self._conversion = conversion
        self._folder = Folder(conversion.upstream.name)

    def feed(self, frame: Frame) -> bytes:
        """Collects; a unary client gets nothing before the answer."""
        for event in self._events(self._decoder.feed(frame)):
            self._folder.feed(event)
        return b""

    def close(self) -> bytes:
        """See AnswerStream."""
        for event in self._events(self._decoder.close()):
            self._folder.feed(event)
        return b""

    def fail(self, error: ErrorInfo) -> bytes:
        """A unary client gets a plain error answer instead."""
        return b""

    def ping(self) -> bytes:
        """A unary client gets nothing before the answer."""
        return b""

    def answer(self) -> Answer:
        """The whole answer, once `ended`."""
        return self._conversion.answer(self._folder.response(), self._sealing.losses)
