"""The IR to a request for an upstream."""

from __future__ import annotations

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.loss import Encoded
from aiclient2api.ir.request import ModelRequest
from aiclient2api.protocols.openai_chat.embeddings import encode_embedding
from aiclient2api.protocols.openai_chat.encode_parts import Target, Wire
from aiclient2api.protocols.openai_chat.encode_settings import (
    encode_identity,
    encode_limits,
    encode_output,
    encode_sampling,
    encode_settings,
    encode_state,
    encode_thinking,
)
from aiclient2api.protocols.openai_chat.encode_tools import encode_tools
from aiclient2api.protocols.openai_chat.encode_turns import encode_messages
from aiclient2api.protocols.openai_chat.ext import restore
from aiclient2api.protocols.openai_chat.schema import NAME
from aiclient2api.protocols.openai_shared import across
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json
from aiclient2api.wire.http import JSON_HEADERS, WireRequest


def encode_request(request: ModelRequest, profile: ModelProfile) -> Encoded[WireRequest]:
    """Encode for an upstream. Raises Unrepresentable."""
    report = LossReport(NAME)
    target = Target(
        report=report,
        profile=profile,
        own=request.protocol == NAME,
        gemini="gemini" in request.model.lower(),
    )
    if request.operation == "embed":
        return Encoded(_wire("/embeddings", encode_embedding(request, report)), report.losses)
    if request.operation != "generate":
        raise Unrepresentable(f"a Chat upstream cannot serve the operation {request.operation!r}")
    shared, others = (
        across(request, NAME) if request.ext and not target.compatible else ({}, request.ext or {})
    )
    if others:
        report.foreign_members(others, "request")
    body: Wire = {"model": request.model, "messages": encode_messages(request.turns, target)}
    body |= _stream(request) | encode_tools(request, target) | encode_limits(request, target)
    body |= (
        encode_sampling(request, target)
        | encode_thinking(request, target)
        | encode_output(request.output, target)
    )
    body |= (
        encode_settings(request, target) | encode_identity(request, target) | encode_state(request, target)
    )
    return Encoded(_wire("/chat/completions", restore(request, body | shared)), report.losses)


def _wire(path: str, body: Wire) -> WireRequest:
    return WireRequest(path=path, body=json.encode(body), headers=JSON_HEADERS)


def _stream(request: ModelRequest) -> Wire:
    if request.stream == "no":
        return {}
    # usage is always asked for: the gateway counts it even when the client does not want it
    return {"stream": True, "stream_options": {"include_usage": True}}
