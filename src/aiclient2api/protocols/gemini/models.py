"""Lists of models, both ways."""

from __future__ import annotations

from collections.abc import Sequence

from aiclient2api.protocols.gemini.encode_parts import Wire
from aiclient2api.protocols.gemini.fields import elements, fields
from aiclient2api.protocols.gemini.schema import VERSION
from aiclient2api.wire import json
from aiclient2api.wire.http import JSON_HEADERS, WireRequest, WireResponse

_METHODS = ["generateContent", "streamGenerateContent", "countTokens"]


def list_models_request() -> WireRequest:
    """See Converter.list_models_request; 1000 is the largest page."""
    return WireRequest(method="GET", path=f"/{VERSION}/models", query="pageSize=1000")


def decode_models(response: WireResponse) -> list[str]:
    """See Converter.decode_models."""
    body = fields(response.body)
    return [
        fields(raw, path).require("name", str).removeprefix("models/")
        for raw, path in elements(body, "models")
    ]


def encode_models(names: Sequence[str]) -> WireResponse:
    """See Converter.encode_models."""
    return _answer({"models": [_model(name) for name in names]})


def encode_model(name: str) -> WireResponse:
    """See Converter.encode_model."""
    return _answer(_model(name))


def _model(name: str) -> Wire:
    return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": _METHODS}


def _answer(body: Wire) -> WireResponse:
    return WireResponse(status=200, headers=JSON_HEADERS, body=json.encode(body))
