"""An upstream's complete answer."""

from __future__ import annotations

from typing import Final

from msgspec import Raw

from aiclient2api.ir.parts import Ext, HostedCall, Part, Refusal, ToolCall
from aiclient2api.ir.request import Turn
from aiclient2api.ir.response import Candidate, Finish, FinishReason, ModelResponse, Usage
from aiclient2api.protocols.openai_responses.decode_turns import decode_output_item
from aiclient2api.protocols.openai_responses.echo import (
    ECHOED,
)
from aiclient2api.protocols.openai_responses.errors import decode_failure
from aiclient2api.protocols.openai_responses.ext import keep
from aiclient2api.protocols.openai_responses.schema import CLIENT_EXECUTED, NAME
from aiclient2api.protocols.openai_responses.usage import decode_usage
from aiclient2api.protocols.report import ECHO_SUFFIX
from aiclient2api.wire.http import WireResponse
from aiclient2api.wire.json import Members

_COUNT: Final = Raw(b'"response.input_tokens"')
_INCOMPLETE: Final[dict[str, FinishReason]] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
    "steered": "steered",
}

_UNDECIDED: Final = (None, "in_progress", "queued")
"""What is said of an answer that has not ended."""


def decode_response(response: WireResponse) -> ModelResponse:
    """An upstream's complete answer, or its count of input tokens."""
    members = Members.parse(response.body)
    if members.peek("object") == _COUNT:
        members.raw("object")
        usage = Usage(input=members.require("input_tokens", int))
        return ModelResponse(protocol=NAME, id="", model="", usage=usage, ext=keep(members))
    return decode_body(members)


def decode_body(members: Members) -> ModelResponse:
    """A response object."""
    parts: list[Part] = []
    path = members.at("output")
    for index, raw in enumerate(members.array("output") or ()):
        parts.extend(decode_output_item(raw, f"{path}[{index}]"))
    return decode_envelope(members, parts)


def decode_envelope(members: Members, parts: list[Part], ended: str | None = None) -> ModelResponse:
    """A response object whose output was decoded before (or streamed) to `parts`.

    `ended` is what a stream's last event says of the end, where the object itself says nothing of one.
    """
    members.take("object", str)
    status = members.take("status", str)
    if ended is not None and status in _UNDECIDED:
        status = ended
    details = members.object("incomplete_details")
    finish = _decode_finish(status, details, members, parts)
    candidate = Candidate(turn=Turn(role="assistant", parts=parts), finish=finish)
    return ModelResponse(
        protocol=NAME,
        id=members.take("id", str) or "",
        model=members.take("model", str) or "",
        created=members.take("created_at", float),
        candidates=[candidate],
        usage=decode_usage(members.object("usage")),
        status=status,
        tier=members.take("service_tier", str),
        ext=_envelope_ext(members, details),
    )


def _envelope_ext(members: Members, details: Members | None) -> Ext | None:
    """What the IR has no field for; the repeated request apart, because nothing of it can get lost."""
    rest = (keep(members, incomplete_details=details) or {}).get(NAME, {})
    own = {name: raw for name, raw in rest.items() if name not in ECHOED}
    echo = {name: raw for name, raw in rest.items() if name in ECHOED}
    ext = {namespace: found for namespace, found in ((NAME, own), (f"{NAME}{ECHO_SUFFIX}", echo)) if found}
    return ext or None


def _decode_finish(
    status: str | None, details: Members | None, members: Members, parts: list[Part]
) -> Finish:
    """Why the answer ended. An interrupted one may hold a truncated call: that is no tool use."""
    match status:
        case "incomplete":
            reason = details.take("reason", str) if details else None
            # whatever stopped it, half an answer is no whole one
            return Finish(reason=_INCOMPLETE.get(reason or "", "length"), raw=reason)
        case "failed":
            error = members.peek("error")
            info = decode_failure(error if error is not None else b"{}")
            return Finish(reason="error", raw=info.code or status, explanation=info.message)
        case "cancelled":
            return Finish(reason="cancelled", raw=status)
        case "completed":
            return Finish(reason=_completed(parts), raw=status)
        case _:
            return Finish(reason="unknown", raw=None if status in _UNDECIDED else status)


def _completed(parts: list[Part]) -> FinishReason:
    for part in parts:
        if isinstance(part, ToolCall) or (isinstance(part, HostedCall) and part.wire_type in CLIENT_EXECUTED):
            return "tool_use"
    return "refusal" if any(isinstance(part, Refusal) for part in parts) else "stop"
