"""What a request is refused for before anybody is asked, in the caller's own words and with the caller's paths."""

from __future__ import annotations

import functools

from aiclient2api.errors import ErrorInfo, Unrepresentable
from aiclient2api.ir.loss import Encoded
from aiclient2api.ir.parts import Shape, Text, ToolCall, ToolResult
from aiclient2api.ir.request import ModelRequest
from aiclient2api.protocols.base import Converter
from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.source_path import located
from aiclient2api.protocols.stored_items import NOT_FOUND
from aiclient2api.wire.http import WireRequest


def encoded_for(
    upstream: Converter, request: ModelRequest, target: Target, inbound: Inbound
) -> Encoded[WireRequest]:
    """The upstream's request. Raises Unrepresentable with the path of what cannot be expressed there."""
    try:
        _require_calls(request)
        return upstream.encode_request(request, target.profile)
    except Unrepresentable as error:
        find = functools.partial(inbound.converter.source_path, inbound.wire)
        raise located(error, request, inbound.request(), find) from None


def _require_calls(request: ModelRequest) -> None:
    """A result answers a call before it; no provider takes another one. Those that are told by name have no id."""
    called: set[str] = set()
    for index, turn in enumerate(request.turns):
        for number, part in enumerate(turn.parts):
            match part:
                case Text():
                    pass
                case ToolCall():
                    called.add(part.call_id)
                case ToolResult() if part.call_id and part.call_id not in called:
                    if not part.shape & Shape.LEGACY_FUNCTION:
                        raise Unrepresentable("answers no tool call", f"turns[{index}].parts[{number}]")
                case _:
                    pass


def refuse_foreign_state(request: ModelRequest) -> None:
    """What only the provider that stored it has, or that only its own protocol can do, cannot be converted."""
    state = request.state
    if state is None:
        return
    if state.stored is not None:
        message = f"{state.stored}: only its own provider has this content"
        raise Unrepresentable(
            info=ErrorInfo(kind="invalid", code=Unrepresentable.code, message=message, param=state.stored)
        )
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
    return Unrepresentable(info=ErrorInfo(kind="invalid", code=NOT_FOUND, message=message, param=param))
