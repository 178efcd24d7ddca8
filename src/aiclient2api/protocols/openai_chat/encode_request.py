"""The IR to a request for an upstream."""

from __future__ import annotations

from operator import attrgetter
from typing import Final

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

_COUNTED: Final = {"include_usage": True}
_wishes: Final = attrgetter(
    *("tools", "tool_choice", "parallel_tools", "sampling", "thinking", "output", "verbosity", "modalities"),
    *("state", "tier", "user", "metadata", "cache_key", "cache_policy", "safety"),
)
"""Everything that a request may ask for beside an answer of some length."""
_NO_WISHES: Final[object] = _wishes(ModelRequest(protocol="", model=""))


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
    if request.stream != "no":
        # usage is always asked for: the gateway counts it even when the client does not want it
        body["stream"], body["stream_options"] = True, _COUNTED
    is_bare = _wishes(request) == _NO_WISHES
    if not is_bare:
        body |= encode_tools(request, target)
    body |= encode_limits(request, target)
    if not is_bare:
        body |= _wished(request, target)
    if request.ext:
        body = restore(request, body | shared)
    return Encoded(_wire("/chat/completions", body), report.losses)


def _wished(request: ModelRequest, target: Target) -> Wire:
    body = encode_sampling(request, target) | encode_thinking(request, target)
    body |= encode_output(request.output, target) | encode_settings(request, target)
    return body | encode_identity(request, target) | encode_state(request, target)


def _wire(path: str, body: Wire) -> WireRequest:
    return WireRequest(path=path, body=json.encode(body), headers=JSON_HEADERS)
