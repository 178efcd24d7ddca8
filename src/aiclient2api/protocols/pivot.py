"""Different protocols: one request through the IR, and its answer back.

Unary calls are streamed upstream and folded, where the account can stream.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from aiclient2api.errors import Incomplete, MalformedMessage
from aiclient2api.ir.events import (
    StreamEvent,
)
from aiclient2api.ir.fold import fold, unfold
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import HostedCall, Media, Reasoning
from aiclient2api.ir.request import ModelRequest, is_plain, kinds_of
from aiclient2api.ir.response import ModelResponse
from aiclient2api.protocols.answer_report import AnswerReport
from aiclient2api.protocols.base import (
    Converter,
    SystemPrompt,
)
from aiclient2api.protocols.carrier import Carrier, SealingStream
from aiclient2api.protocols.conversion import Answer, Inbound, Target, is_empty, require_ends
from aiclient2api.protocols.cut_calls import settled
from aiclient2api.protocols.namespaces import without_namespaces
from aiclient2api.protocols.opening import join_continued, open_request
from aiclient2api.protocols.passes import with_own_id
from aiclient2api.protocols.pivot_streams import FoldingStream, PivotStream
from aiclient2api.protocols.refusals import encoded_for, refuse_foreign_state
from aiclient2api.protocols.shadow import with_shadows
from aiclient2api.protocols.side_table import SideTable, TurnRecorder
from aiclient2api.protocols.spoken_answers import with_transcripts
from aiclient2api.protocols.stored_thoughts import without_stored_thoughts
from aiclient2api.protocols.system_prompt import apply_system_prompt
from aiclient2api.protocols.tool_names import NO_NAMES, ToolNames
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
        plain = is_plain(request.turns)
        if not plain:
            request, losses = self._readable(inbound)
        if system is not None:
            request = apply_system_prompt(request, system)
        self.streaming = target.streams or self._wants_stream
        request = msgspec.structs.replace(
            request, model=target.model, stream="sse" if self.streaming else "no", include_usage=True
        )
        self.names = NO_NAMES
        if plain and not request.tools:
            encoded = encoded_for(upstream, request, target, inbound)
            self.losses = losses + encoded.losses
        else:
            request, spaces, spaced = without_namespaces(request)
            self.names = ToolNames(request, upstream.tool_names, spaces)
            encoded = encoded_for(upstream, self.names.shorten(request), target, inbound)
            self.losses = [*losses, *spaced, *spaces.relocated([*self.names.losses, *encoded.losses])]
        self.request = encoded.wire

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
        """Decoder and the client's encoder, or a fold for a unary client."""
        decoder = self.upstream.stream_decoder()
        if not self._wants_stream:
            return FoldingStream(decoder, self)
        return PivotStream(decoder, self, self._client.stream_encoder(self._asked))

    @property
    def turn(self) -> str:
        """Which turn of its conversation the answer is."""
        return str(len(self._asked.turns))

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
        sealing, report, recorder = self.sealing(), AnswerReport(self._client.name), self.recorder()
        decoded = self.upstream.decode_response(response)
        require_ends(decoded)
        report.note_whole(decoded)
        sealed: list[StreamEvent] = []
        for event in settled(unfold(decoded), self.upstream.name, streamed=False):
            report.note(event)
            named = self.names.restore(event)
            if not decoded.id:
                named = with_own_id(named, self.turn)
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

    def sealing(self) -> SealingStream:
        """What seals the state in one answer."""
        return SealingStream(self._carrier, self._tenant, self._client.slots, self._account)
