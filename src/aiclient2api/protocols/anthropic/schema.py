"""The words of the Messages protocol: names, patterns, block families, enumerations."""

from __future__ import annotations

import re
from typing import Final, Literal

from aiclient2api.ir.request import Effort
from aiclient2api.ir.response import FinishReason

NAME: Final = "anthropic"

DEFAULT_VERSION = "2023-06-01"
"""The dialect of a client that sends no `anthropic-version`."""

STRICT_VERSION = "2026-10-21"
"""The first dialect without temperature, top_p and top_k."""

SAMPLING_MEMBERS = ("temperature", "top_p", "top_k")

TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")

MAX_CACHE_MARKS = 4
"""More breakpoints are answered with 400; the last ones save the most."""

MIN_BUDGET = 1024
"""The smallest `budget_tokens`."""

EXPLICIT_TYPE = 1 << 16
"""Shape of a function tool: it was written with `"type":"custom"`."""
EXPLICIT_STREAM = 1 << 17
"""Shape of a request: it said `"stream":false`."""

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

HOSTED: dict[str, tuple[str, Literal["call", "result"]]] = {
    "server_tool_use": ("other", "call"),
    "mcp_tool_use": ("mcp", "call"),
    "mcp_tool_result": ("mcp", "result"),
    "mcp_tool_listing": ("mcp", "result"),
    "web_search_tool_result": ("web_search", "result"),
    "web_fetch_tool_result": ("web_fetch", "result"),
    "code_execution_tool_result": ("code", "result"),
    "bash_code_execution_tool_result": ("code", "result"),
    "text_editor_code_execution_tool_result": ("code", "result"),
    "tool_search_tool_result": ("tool_search", "result"),
    "advisor_tool_result": ("advisor", "result"),
    "container_upload": ("code", "call"),
}
"""Blocks of tools that Anthropic runs: family and side."""

CONTROL = frozenset({"compaction", "fallback", "tool_addition", "tool_removal"})
"""Blocks that steer the conversation instead of adding to it."""

_FAMILIES = (
    ("web_search", "web_search"),
    ("web_fetch", "web_fetch"),
    ("code_execution", "code"),
    ("bash_code_execution", "code"),
    ("text_editor_code_execution", "code"),
    ("bash", "shell"),
    ("text_editor", "patch"),
    ("memory", "memory"),
    ("computer", "computer"),
    ("browser", "computer"),
    ("tool_search", "tool_search"),
    ("mcp", "mcp"),
    ("advisor", "advisor"),
)


def family(name: str) -> str:
    """The neutral family of a tool type (`web_search_20260209`) or server tool name (`web_search`)."""
    return next((neutral for prefix, neutral in _FAMILIES if name.startswith(prefix)), "other")


FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "pause_turn": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_length",
    "compaction": "compaction",
}

STOP_REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "context_length": "model_context_window_exceeded",
    "tool_use": "tool_use",
    "refusal": "refusal",
    "content_filter": "refusal",
    "recitation": "refusal",
    "pause": "pause_turn",
    "continuation": "max_tokens",
    "compaction": "compaction",
    "steered": "end_turn",
    "other": "end_turn",
    "unknown": "end_turn",
}
"""`BROKEN` is no way for a message to end: it becomes an error."""

BROKEN: Final[frozenset[FinishReason]] = frozenset(("malformed", "error", "cancelled"))

REFUSAL_CATEGORIES = frozenset({"cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms"})

ThinkingMode = Literal["off", "fixed", "adaptive", "between_tools"]

THINKING_MODES: dict[str, ThinkingMode] = {
    "enabled": "fixed",
    "adaptive": "adaptive",
    "disabled": "off",
    "between_tools": "between_tools",
}
THINKING_TYPES: dict[ThinkingMode, str] = {mode: word for word, mode in THINKING_MODES.items()}

EFFORTS: dict[Effort, str] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
EFFORT_WORDS: dict[str, str] = {**EFFORTS}
EFFORT_BETA = "mid-conversation-output-config-2026-07-01"
BINDING_BETA = "thinking-binding-controls-2026-08-01"
DROP_UNBOUND = {"prefix_mismatch_behavior": "drop_block"}
"""Instead of an error: thoughts that do not fit are left out, and the answer's `input_transformations` says so."""
"""Lets a `system` message change the effort (anthropic SDK, `AnthropicBetaParam`)."""
EFFORT_BUDGETS: dict[Effort, int] = {
    "minimal": MIN_BUDGET,
    "low": 4096,
    "medium": 10_000,
    "high": 16_384,
    "xhigh": 32_768,
}
"""`max` takes everything that `max_tokens` leaves."""

DYNAMIC_BUDGET = EFFORT_BUDGETS["medium"]
"""What a model without adaptive thinking gets when the client leaves the amount to the model."""


def effort_of_budget(budget: int) -> str:
    """The effort that stands for a token budget."""
    if budget <= 1024:
        return "low"
    if budget <= 8192:
        return "medium"
    return "high" if budget <= 24_576 else "xhigh"


TIERS = {"standard_only": "default"}
"""`service_tier` of a request to the neutral word; others are the same."""
TIERS_BACK = {"default": "standard_only", "standard": "standard_only", "auto": "auto", "priority": "auto"}
ANSWER_TIERS = {"standard": "default"}
ANSWER_TIERS_BACK = {"default": "standard", "standard": "standard", "priority": "priority", "batch": "batch"}
