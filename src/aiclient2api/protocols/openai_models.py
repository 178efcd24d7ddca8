"""Model lists of the OpenAI protocols."""

from __future__ import annotations

from collections.abc import Sequence

from aiclient2api.wire import json
from aiclient2api.wire.http import JSON_HEADERS, WireRequest, WireResponse
from aiclient2api.wire.json import Members

LIST_MODELS = WireRequest(method="GET", path="/models")
"""How an upstream is asked; the list has no pages."""


def decode_models(response: WireResponse) -> list[str]:
    """The model names of an upstream's list."""
    return [entry.require("id", str) for entry in Members.parse(response.body).objects("data")]


def encode_models(names: Sequence[str]) -> WireResponse:
    """A model list for a client."""
    return _answer({"object": "list", "data": [_model(name) for name in names]})


def encode_model(name: str) -> WireResponse:
    """One model for a client."""
    return _answer(_model(name))


def _model(name: str) -> dict[str, object]:
    # `created` is required by the schema and we do not know it
    return {"id": name, "object": "model", "created": 0, "owned_by": "aiclient2api"}


def _answer(body: dict[str, object]) -> WireResponse:
    return WireResponse(status=200, body=json.encode(body), headers=JSON_HEADERS)
