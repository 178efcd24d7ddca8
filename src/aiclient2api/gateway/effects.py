"""Whether an upstream may do more than answer: then only what it refused may be sent again (reliability 2)."""

from __future__ import annotations

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.request import HostedTool
from aiclient2api.protocols.conversion import Inbound


def has_effects(inbound: Inbound) -> bool:
    """Background work, a stored conversation that grows, or tools that the provider runs.

    Decodes the request, so it is asked only after a failure.
    """
    if inbound.peek.operation != "generate":
        return False
    if inbound.peek.previous_id is not None:
        return True
    try:
        request = inbound.request()
    except MalformedMessage:
        return False
    state = request.state
    if state is not None and (state.background or state.previous_id or state.conversation):
        return True
    return any(isinstance(tool, HostedTool) for tool in request.tools or ())
