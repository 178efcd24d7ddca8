"""What a model family can do: the facts that choose between legal encodings. Data lives in `providers/profiles.py`."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class ModelProfile(Struct, frozen=True, kw_only=True):
    """Capabilities of one model at one provider. The defaults are those of a current model."""

    max_output: int = 32_000
    """Used where a protocol requires a limit and the client gave none (tokens)."""
    thinking: Literal["effort", "budget", "none"] = "effort"
    """Anthropic: adaptive with effort, or `budget_tokens`. Gemini: level, or `thinkingBudget`."""
    thinking_off: bool = True
    """Thinking can be switched off."""
    sampling: bool = True
    """temperature, top_p and top_k are accepted."""
    forced_tool_choice: bool = True
    mid_system: bool = False
    """Anthropic: `system` messages inside the conversation."""
    bound_thoughts: bool = False
    """Anthropic: a thought is taken back only behind the very conversation that it was made in."""
    prefill: bool = False
    """The last turn may be the assistant's."""
    call_ids: bool = True
    """Gemini: functionCall.id is accepted."""
    json_schema: bool = True
    """Gemini: parametersJsonSchema / responseJsonSchema are accepted, else only the OpenAPI subset."""
    tool_result_media: bool = True
    """Gemini: functionResponse.parts are accepted."""
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    """Chat: compatible servers know only the older name."""
    developer_role: bool = True
    """Chat: compatible servers often know only `system`."""
    reasoning_content: bool = False
    """Chat: the upstream reads `reasoning_content` of earlier assistant messages (DeepSeek, vLLM)."""
    stop: bool = True
    anthropic_version: str = "2023-06-01"
    stop_limit: int | None = None


DEFAULT_PROFILE = ModelProfile()
