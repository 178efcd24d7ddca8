"""Model lists, both ways."""

from __future__ import annotations

from collections.abc import Sequence

from aiclient2api.protocols.anthropic.schema import DEFAULT_VERSION
from aiclient2api.wire import json
from aiclient2api.wire.http import JSON_HEADERS, WireRequest, WireResponse
from aiclient2api.wire.json import Members

_UNKNOWN_DATE = "1970-01-01T00:00:00Z"
"""What the provider itself writes where a release date is unknown."""


def list_models_request() -> WireRequest:
    """The first page, as long as the provider allows."""
    return WireRequest(
        method="GET", path="/v1/models", query="limit=1000", headers=(("anthropic-version", DEFAULT_VERSION),)
    )


def decode_models(response: WireResponse) -> list[str]:
    """The model ids."""
    return [model.require("id", str) for model in Members.parse(response.body).objects("data")]


def encode_models(names: Sequence[str]) -> WireResponse:
    """One page with all models."""
    page = {
        "data": [_model(name) for name in names],
        "has_more": False,
        "first_id": names[0] if names else None,
        "last_id": names[-1] if names else None,
    }
    return WireResponse(status=200, body=json.encode(page), headers=JSON_HEADERS)


def encode_model(name: str) -> WireResponse:
    """One model."""
    return WireResponse(status=200, body=json.encode(_model(name)), headers=JSON_HEADERS)


def _model(name: str) -> dict[str, object]:
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": _UNKNOWN_DATE,
        "lifecycle": "active",
    }
