"""Model lists in the three providers' forms."""

from __future__ import annotations

from aiclient2api.simulator.jsontext import Json, dump
from aiclient2api.simulator.scenario import ProtocolName

_CREATED = 1767225600
_CREATED_TEXT = "2026-01-01T00:00:00Z"
_INPUT_LIMIT = 1_000_000
_OUTPUT_LIMIT = 64_000
_METHODS = ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"]


def answer(protocol: ProtocolName, model: str, models: tuple[str, ...]) -> bytes:
    """One model when it is named, else all of them."""
    if model:
        return dump(_entry(protocol, model))
    data = [_entry(protocol, one) for one in models]
    match protocol:
        case "anthropic":
            return dump({"data": data, "has_more": False, "first_id": models[0], "last_id": models[-1]})
        case "gemini":
            return dump({"models": data})
        case "openai_chat" | "openai_responses":
            return dump({"object": "list", "data": data})


def _entry(protocol: ProtocolName, model: str) -> dict[str, Json]:
    match protocol:
        case "anthropic":
            return _anthropic(model)
        case "gemini":
            return _gemini(model)
        case "openai_chat" | "openai_responses":
            return _openai(model)


def _openai(model: str) -> dict[str, Json]:
    return {"id": model, "object": "model", "created": _CREATED, "owned_by": "simulator"}


def _anthropic(model: str) -> dict[str, Json]:
    return {
        "type": "model",
        "id": model,
        "display_name": model.replace("-", " ").title(),
        "created_at": _CREATED_TEXT,
        "lifecycle": "active",
        "max_input_tokens": _INPUT_LIMIT,
        "max_tokens": _OUTPUT_LIMIT,
    }


def _gemini(model: str) -> dict[str, Json]:
    return {
        "name": f"models/{model}",
        "version": "001",
        "displayName": model.replace("-", " ").title(),
        "description": "A simulated model",
        "inputTokenLimit": _INPUT_LIMIT,
        "outputTokenLimit": _OUTPUT_LIMIT,
        "supportedGenerationMethods": _METHODS,
        "temperature": 1.0,
        "topP": 0.95,
        "topK": 64,
        "thinking": True,
    }
