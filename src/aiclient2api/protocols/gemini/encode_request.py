"""The IR to a request for an upstream."""

from __future__ import annotations

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.loss import Encoded
from aiclient2api.ir.request import ModelRequest
from aiclient2api.protocols.gemini.embeddings import encode_embedding
from aiclient2api.protocols.gemini.encode_parts import Wire
from aiclient2api.protocols.gemini.encode_settings import SettingsEncoder
from aiclient2api.protocols.gemini.encode_tools import ToolsEncoder
from aiclient2api.protocols.gemini.encode_turns import ContentsEncoder
from aiclient2api.protocols.gemini.ext import kept
from aiclient2api.protocols.gemini.schema import NAME, VERSION
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json
from aiclient2api.wire.http import JSON_HEADERS, WireRequest

_ELSEWHERE = frozenset({"generationConfig", "toolConfig"})
"""Kept members that the settings put back inside their own object."""


def model_path(model: str, method: str, version: str = VERSION) -> str:
    """The path of a method; tuned models are a collection of their own."""
    resource = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    return f"/{version}/{resource}:{method}"


def encode_request(request: ModelRequest, profile: ModelProfile) -> Encoded[WireRequest]:
    """See Converter.encode_request."""
    if request.operation == "embed":
        report = LossReport(NAME)
        method, body = encode_embedding(request, report)
        path = model_path(request.model, method)
        return Encoded(WireRequest(path=path, headers=JSON_HEADERS, body=json.encode(body)), report.losses)
    _refuse(request)
    report = LossReport(NAME)
    system, contents = ContentsEncoder(request, profile, report).encode()
    tools = ToolsEncoder(request, profile, report)
    settings = SettingsEncoder(request, profile, report)
    body: Wire = {"contents": contents}
    for name, value in (
        ("systemInstruction", system),
        ("tools", tools.tools()),
        ("toolConfig", tools.tool_config()),
        ("generationConfig", settings.generation_config()),
    ):
        if value:
            body[name] = value
    body.update(settings.top_level())
    for name, value in kept(request).items():
        if name not in _ELSEWHERE:
            body.setdefault(name, value)
    method, query = "generateContent", ""
    if request.operation == "count_tokens":
        method, body = "countTokens", _counted(request.model, body)
    elif request.stream != "no":
        method, query = "streamGenerateContent", "alt=sse" if request.stream == "sse" else ""
    wire = WireRequest(
        path=model_path(request.model, method), query=query, headers=JSON_HEADERS, body=json.encode(body)
    )
    return Encoded(wire, report.losses)


def _refuse(request: ModelRequest) -> None:
    """Content and duties that have no form here."""
    if request.max_output == 0 and request.protocol != NAME:
        raise Unrepresentable("0 (cache prewarm) is only available on Anthropic routes", "max_output")


def _counted(model: str, body: Wire) -> Wire:
    """Only `contents` may stand alone in a count; anything more goes in as the request it would be."""
    if body.keys() == {"contents"}:
        return body
    resource = model if "/" in model else f"models/{model}"
    return {"generateContentRequest": {"model": resource, **body}}
