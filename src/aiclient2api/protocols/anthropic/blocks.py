"""What requests and answers write alike: tool inputs, citations, cache marks."""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.ir.parts import (
    CacheMark,
    Citation,
    Control,
    HostedCall,
    Media,
    Native,
    Part,
    Reasoning,
    ToolCall,
)
from aiclient2api.protocols import carrier, ids
from aiclient2api.protocols.anthropic.ext import kept
from aiclient2api.protocols.anthropic.schema import NAME, TOOL_ID
from aiclient2api.protocols.report import media_feature
from aiclient2api.wire import json

Block = dict[str, object] | Raw
"""A content block on its way out: built here, or kept as it came."""

EMPTY_INPUT = Raw(b"{}")


def tool_input(call: ToolCall) -> tuple[Raw, bool]:
    """The `input` object of a call, and whether it is the exact text of its arguments.

    Other text than an object travels as `{"_raw": text}`, a custom tool's as `{"input": text}`.
    """
    if call.kind == "custom":
        return json.raw({"input": call.arguments}), True
    if not call.arguments.strip():
        return EMPTY_INPUT, True
    if json.is_object(call.arguments.encode()):
        return Raw(call.arguments.encode()), True
    return json.raw({"_raw": call.arguments}), False


def tool_id(call: ToolCall) -> str:
    """The id of a call as this protocol takes it."""
    return ids.legal(call.call_id, TOOL_ID)


def tool_use(call: ToolCall, arguments: Raw) -> dict[str, object]:
    """The block of a tool call."""
    return {"type": "tool_use", "id": tool_id(call), "name": call.name, "input": arguments}


def cache_control(mark: CacheMark, ttl: str | None) -> dict[str, object]:
    """The breakpoint; its lifetime is absent for the default of five minutes."""
    wire: dict[str, object] = {"type": "ephemeral"}
    if ttl is not None:
        wire["ttl"] = ttl
    return {**wire, **kept(mark)}


def native_block(part: Part) -> Raw | None:
    """The kept block of a part that only this protocol has."""
    match part:
        case HostedCall() | Control() | Native() if part.protocol == NAME:
            return part.raw
        case _:
            return None


def answer_citation(citation: Citation) -> Raw | None:
    """A citation for a client; None where the protocol has no form for it.

    A foreign one gets our magic as its encrypted index: a client echoes it, and it marks the request as one
    whose citations must be taken out before a real upstream reads them.
    """
    if citation.protocol == NAME and citation.raw is not None:
        return citation.raw
    if citation.kind != "url" or citation.url is None:
        return None
    return json.raw(
        {
            "type": "web_search_result_location",
            "cited_text": citation.quote or "",
            "encrypted_index": carrier.MAGIC,
            "title": citation.title,
            "url": citation.url,
        }
    )


def slot_data(reasoning: Reasoning) -> str | None:
    """What goes into the opaque slot of a client's block; None when the state does not fit there."""
    state = reasoning.opaque
    if state is None or state.kind not in ("anthropic.signature", "anthropic.redacted", "envelope"):
        return None
    return state.data


def is_redacted(reasoning: Reasoning) -> bool:
    """Whether it is a native redacted block; in an envelope it travels as a thinking block."""
    return reasoning.opaque is not None and reasoning.opaque.kind == "anthropic.redacted"


def thinking_text(reasoning: Reasoning) -> str:
    """The one text that a thinking block has room for."""
    return "\n\n".join((*reasoning.summary, *reasoning.raw))


def foreign_feature(part: Part) -> str:
    """Under which name a part that has no block here is reported."""
    match part:
        case Media():
            return media_feature(part)
        case Control():
            return f"control.{part.kind}"
        case _:
            return "tool.hosted"
