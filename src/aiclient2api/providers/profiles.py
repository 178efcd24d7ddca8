"""Capability facts per model family, as data.

Each table maps name patterns to what differs from a current model of that vendor; the longest matching
pattern wins. Sources stand beside the rows: the vendors' model pages and migration guides. They move monthly,
so a model that matches no pattern is taken for a current one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate
from functools import lru_cache
from typing import Final

import msgspec

from aiclient2api.protocols.profile import ModelProfile


class _Table:
    """Patterns, longest first, and a profile for the rest."""

    def __init__(self, current: ModelProfile, rows: Mapping[str, ModelProfile]) -> None:
        self._current = current
        self._rows = [
            (re.compile(translate(pattern)), rows[pattern]) for pattern in sorted(rows, key=len, reverse=True)
        ]

    def find(self, model: str) -> ModelProfile:
        for pattern, profile in self._rows:
            if pattern.match(model):
                return profile
        return self._current


# --- Anthropic: https://docs.claude.com/en/docs/about-claude/models/overview and its migration guides

# since Opus 4.7 budget_tokens and non-default sampling are refused; since 4.8 system turns may stand anywhere
_CLAUDE_5: Final = ModelProfile(max_output=128_000, sampling=False, mid_system=True)
# adaptive thinking only, which cannot be switched off; a forced tool choice is refused
_ALWAYS_THINKING: Final = msgspec.structs.replace(_CLAUDE_5, thinking_off=False, forced_tool_choice=False)
# the last generation with budget_tokens, sampling and a prefilled answer
_CLAUDE_4_5: Final = ModelProfile(max_output=64_000, thinking="budget", prefill=True)
_CLAUDE_4: Final = msgspec.structs.replace(_CLAUDE_4_5, max_output=32_000)
_CLAUDE_3: Final = ModelProfile(max_output=4_096, thinking="none", prefill=True)


def _bound(profile: ModelProfile) -> ModelProfile:
    """Preserved thinking: https://docs.claude.com/en/docs/build-with-claude/extended-thinking"""
    return msgspec.structs.replace(profile, bound_thoughts=True)


_ANTHROPIC: Final = _Table(
    _CLAUDE_5,
    {
        "claude-fable-5*": _ALWAYS_THINKING,
        "claude-fable-5-[12]*": _bound(_ALWAYS_THINKING),
        "claude-sonnet-5-5*": _bound(_ALWAYS_THINKING),
        "claude-opus-5-5*": _bound(_CLAUDE_5),
        "claude-haiku-5-5*": _bound(_CLAUDE_5),
        "claude-sonnet-5*": msgspec.structs.replace(_CLAUDE_5, mid_system=False),
        "claude-mythos*": msgspec.structs.replace(_CLAUDE_5, forced_tool_choice=False),
        "claude-opus-4-8*": _CLAUDE_5,
        "claude-opus-4-7*": msgspec.structs.replace(_CLAUDE_5, mid_system=False),
        "claude-opus-4-6*": ModelProfile(max_output=128_000),
        "claude-sonnet-4-6*": ModelProfile(max_output=64_000),
        "claude-opus-4-5*": _CLAUDE_4_5,
        "claude-sonnet-4-5*": _CLAUDE_4_5,
        "claude-haiku-4-5*": _CLAUDE_4_5,
        "claude-opus-4-1*": _CLAUDE_4,
        "claude-opus-4-0*": _CLAUDE_4,
        "claude-opus-4-2025*": _CLAUDE_4,
        "claude-sonnet-4-0*": _CLAUDE_4_5,
        "claude-sonnet-4-2025*": _CLAUDE_4_5,
        "claude-3-7-*": _CLAUDE_4_5,
        "claude-3-5-*": msgspec.structs.replace(_CLAUDE_3, max_output=8_192),
        "claude-3-*": _CLAUDE_3,
        "claude-2*": _CLAUDE_3,
        "claude-instant*": _CLAUDE_3,
    },
)

# --- Gemini: https://ai.google.dev/gemini-api/docs/models, /thinking, /function-calling

_GEMINI_3: Final = ModelProfile(max_output=65_536, stop_limit=5)
_GEMINI_2_5: Final = ModelProfile(
    max_output=65_536, thinking="budget", call_ids=False, tool_result_media=False, stop_limit=5
)
_GEMINI_2: Final = msgspec.structs.replace(_GEMINI_2_5, max_output=8_192, thinking="none")

_GEMINI: Final = _Table(
    _GEMINI_3,
    {
        # Pro models think always
        "gemini-3*-pro*": msgspec.structs.replace(_GEMINI_3, thinking_off=False),
        "gemini-2.5-pro*": msgspec.structs.replace(_GEMINI_2_5, thinking_off=False),
        "gemini-2.5*": _GEMINI_2_5,
        "gemini-2.0*": _GEMINI_2,
        "gemini-2-*": _GEMINI_2,
        # before JSON Schema there was only the OpenAPI subset
        "gemini-1*": msgspec.structs.replace(_GEMINI_2, json_schema=False),
        "gemma-*": msgspec.structs.replace(_GEMINI_2, json_schema=False),
    },
)

# --- OpenAI: https://platform.openai.com/docs/models and /guides/reasoning

# reasoning models refuse temperature and top_p, and since o3 also stop
_REASONING: Final = ModelProfile(max_output=128_000, sampling=False, stop=False, stop_limit=4)
_O_SERIES: Final = msgspec.structs.replace(_REASONING, max_output=100_000, thinking_off=False)
_PLAIN: Final = ModelProfile(max_output=16_384, thinking="none", stop_limit=4)

_OPENAI: Final = _Table(
    _REASONING,
    {
        "gpt-5": msgspec.structs.replace(_REASONING, thinking_off=False),
        "gpt-5-*": msgspec.structs.replace(_REASONING, thinking_off=False),
        "gpt-5*-chat*": _PLAIN,
        "chatgpt-*": _PLAIN,
        "gpt-4.5*": _PLAIN,
        "gpt-4.1*": msgspec.structs.replace(_PLAIN, max_output=32_768),
        "gpt-4o*": _PLAIN,
        "gpt-4*": msgspec.structs.replace(_PLAIN, max_output=4_096),
        "gpt-3.5*": msgspec.structs.replace(_PLAIN, max_output=4_096, json_schema=False),
        "o1*": msgspec.structs.replace(_O_SERIES, stop=True),
        "o3*": _O_SERIES,
        "o4*": _O_SERIES,
        "gpt-oss*": ModelProfile(max_output=128_000, thinking_off=False, stop_limit=4),
    },
)

# --- servers that speak one of these protocols with models of their own

_CHAT_SERVER: Final = ModelProfile(max_tokens_field="max_tokens", developer_role=False)
_MESSAGES_SERVER: Final = ModelProfile(thinking="budget", prefill=True)
_COMPATIBLE: Final[Mapping[str, ModelProfile]] = {
    "openai_chat": _CHAT_SERVER,
    "openai_responses": _CHAT_SERVER,
    "anthropic": _MESSAGES_SERVER,
    "gemini": _GEMINI_3,
}
_KNOWN_NAMES: Final = {"anthropic": ("claude-", _ANTHROPIC), "gemini": ("gem", _GEMINI)}


@lru_cache(maxsize=1024)
def openai_profile(model: str, protocol: str) -> ModelProfile:
    """What a model can do at OpenAI; fine-tuned models are named `ft:<base model>:…`."""
    return _OPENAI.find(model.lower().removeprefix("ft:"))


@lru_cache(maxsize=1024)
def anthropic_profile(model: str, protocol: str) -> ModelProfile:
    """What a model can do at Anthropic."""
    return _ANTHROPIC.find(model.lower())


@lru_cache(maxsize=1024)
def gemini_profile(model: str, protocol: str) -> ModelProfile:
    """What a model can do at Google; the name may come as `models/…`."""
    return _GEMINI.find(model.lower().rpartition("/")[2])


@lru_cache(maxsize=1024)
def compatible_profile(model: str, protocol: str) -> ModelProfile:
    """What a model can do elsewhere: the vendor's facts for the vendor's names, else a careful default."""
    name = model.lower().rpartition("/")[2]
    prefix, table = _KNOWN_NAMES.get(protocol, ("", None))
    if table is not None and name.startswith(prefix):
        return table.find(name)
    return _COMPATIBLE.get(protocol, _CHAT_SERVER)
