"""Model lists in the three providers' forms."""

from __future__ import annotations

from aiclient2api.simulator.jsontext import Json, dump

_CREATED = 1767225600
_CREATED_TEXT = "2026-01-01T00:00:00Z"
_INPUT_LIMIT = 1_000_000
_OUTPUT_LIMIT = 64_000
_METHODS = ["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"]


def openai_models(models: tuple[str, ...]) -> bytes:
    """`{object: list, data}`."""
    return dump({"object": "list", "data": [_openai(model) for model in models]})


def openai_model(model: str) -> bytes:
    """One of them."""
    return dump(_openai(model))


def anthropic_models(models: tuple[str, ...]) -> bytes:
    """`{data, has_more, first_id, last_id}`."""
    data = [_anthropic(model) for model in models]
    return dump({"data": data, "has_more": False, "first_id": models[0], "last_id": models[-1]})


def anthropic_model(model: str) -> bytes:
    """One of them."""
    return dump(_anthropic(model))


def gemini_models(models: tuple[str, ...]) -> bytes:
    """`{models}`."""
    return dump({"models": [_gemini(model) for model in models]})


def gemini_model(model: str) -> bytes:
    """One of them."""
    return dump(_gemini(model))


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
