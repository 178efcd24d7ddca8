"""Token counts and embeddings for an upstream of another protocol: one unary call, or no call at all."""

from __future__ import annotations

import msgspec

from aiclient2api.ir.loss import Loss
from aiclient2api.ir.request import ModelRequest
from aiclient2api.ir.response import ModelResponse, Usage
from aiclient2api.protocols.base import Converter, OpaqueSlots, SystemPrompt
from aiclient2api.protocols.carrier import Carrier
from aiclient2api.protocols.conversion import Answer, AnswerStream, Inbound, Target
from aiclient2api.protocols.counting import estimate
from aiclient2api.protocols.namespaces import without_namespaces
from aiclient2api.protocols.opening import join_continued, open_request
from aiclient2api.protocols.refusals import encoded_for, refuse_foreign_state
from aiclient2api.protocols.side_table import SideTable
from aiclient2api.protocols.system_prompt import apply_system_prompt
from aiclient2api.protocols.tool_names import ToolNames
from aiclient2api.wire.http import WireRequest, WireResponse

ESTIMATED = "count_tokens"
"""The feature that the report names when a count is our own estimate."""


Completed = tuple[ModelRequest, list[Loss]]


def complete_request(
    inbound: Inbound, carrier: Carrier, system: SystemPrompt | None, upstream: OpaqueSlots
) -> Completed:
    """The client's request with its state put back and the operator's text added. Raises Unrepresentable."""
    asked = inbound.request()
    refuse_foreign_state(asked)
    request, losses = open_request(join_continued(asked), carrier, inbound.tenant)
    request, found = SideTable(inbound.records or {}, carrier, inbound.tenant).put_back(request, upstream)
    return apply_system_prompt(request, system), [*losses, *found]


class OperationConversion:
    """See Conversion. `counts`: the upstream's protocol can count tokens, else the count is estimated here."""

    streaming = False
    thinks = False

    def __init__(
        self, inbound: Inbound, upstream: Converter, target: Target, asked: Completed, *, counts: bool
    ) -> None:
        self.label = f"{inbound.converter.name}>{upstream.name}"
        self.local: Answer | None = None
        self.request = WireRequest(path="", body=b"")
        self._client, self._upstream = inbound.converter, upstream
        self._asked = inbound.request()
        self._operation = inbound.peek.operation
        request, self.losses = asked
        if self._operation == "count_tokens" and not counts:
            note = "estimated here: the upstream offers no count"
            self.losses.append(Loss(ESTIMATED, "", "approximated", upstream.name, note))
            self.local = self._answer(
                ModelResponse(protocol="", id="", model="", usage=Usage(input=estimate(request)))
            )
            return
        request, spaces, spaced = without_namespaces(request)
        names = ToolNames(request, upstream.tool_names, spaces)
        request = msgspec.structs.replace(names.shorten(request), model=target.model)
        encoded = encoded_for(upstream, request, target, inbound)
        self.request = encoded.wire
        self.losses.extend((*spaced, *spaces.relocated([*names.losses, *encoded.losses])))

    def stream(self) -> AnswerStream:
        """There is nothing to stream."""
        raise TypeError(f"{self._operation} is unary")

    def whole(self, response: WireResponse) -> Answer:
        """See Conversion."""
        return self._answer(self._upstream.decode_response(response))

    def _answer(self, response: ModelResponse) -> Answer:
        encoded = self._client.encode_response(response, self._asked)
        # a count costs nothing: its number is the answer and no consumption
        usage = response.usage if self._operation == "embed" else None
        return Answer(response=encoded.wire, usage=usage, losses=encoded.losses)
