"""A complete answer for a client."""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.ir.loss import Encoded
from aiclient2api.ir.parts import Refusal
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.ir.response import Candidate, Finish, ModelResponse
from aiclient2api.protocols.openai_responses.echo import (
    created_at,
    note_finish,
    outcome,
    request_echo,
)
from aiclient2api.protocols.openai_responses.encode_settings import client_tier
from aiclient2api.protocols.openai_responses.encode_tools import custom_names
from aiclient2api.protocols.openai_responses.ext import kept
from aiclient2api.protocols.openai_responses.output_items import output_items, response_id
from aiclient2api.protocols.openai_responses.schema import NAME
from aiclient2api.protocols.openai_responses.usage import encode_usage
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json
from aiclient2api.wire.http import JSON_HEADERS, WireResponse


def encode_response(response: ModelResponse, request: ModelRequest) -> Encoded[WireResponse]:
    """A complete answer for a client."""
    report = LossReport(NAME)
    if request.operation == "count_tokens":
        count = (response.usage.input or 0) if response.usage else 0
        answer: dict[str, object] = {"object": "response.input_tokens", "input_tokens": count}
        return Encoded(WireResponse(status=200, body=json.encode(answer), headers=JSON_HEADERS))
    for candidate in response.candidates[1:]:
        report.dropped("candidates", f"candidates[{candidate.index}]")
    first = (
        response.candidates[0] if response.candidates else Candidate(turn=Turn(role="assistant", parts=[]))
    )
    parts = first.turn.parts
    note_finish(response.blocked or first.finish, report)
    id_ = response.id if response.protocol == NAME else response_id(response.id)
    report.tier(response.tier, client_tier(response.tier))
    body: dict[str, object] = {
        "id": id_,
        "object": "response",
        "created_at": created_at(response.created),
        **request_echo(request),
        **outcome(response.blocked or first.finish, any(isinstance(part, Refusal) for part in parts)),
        "model": response.model or request.model,
        "output": output_items(parts, id_, custom_names(request), report),
        "usage": encode_usage(response.usage) if response.usage else None,
        **json.compact({"service_tier": client_tier(response.tier)}),
        **kept(response),
    }
    if response.protocol == NAME:
        body |= _own_outcome(response, first.finish)
    return Encoded(WireResponse(status=200, body=json.encode(body), headers=JSON_HEADERS), report.losses)


def _own_outcome(response: ModelResponse, finish: Finish | None) -> dict[str, object]:
    """The words of an upstream of this protocol, where it had any."""
    if response.status == "incomplete" and finish is not None:
        later = json.decode(kept(response).get("incomplete_details", b"{}"), dict[str, Raw])
        reason = {} if finish.raw is None else {"reason": finish.raw}
        return {"status": response.status, "incomplete_details": {**reason, **later} or None}
    return json.compact({"status": response.status})
