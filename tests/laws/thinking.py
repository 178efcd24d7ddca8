"""Atoms of how much to think and what to show of it (mapping 2.3)."""

from __future__ import annotations

from typing import Any

from tests.laws.atoms import ASKS, Ask, get, member, put
from tests.laws.native import AM, GG, OC, OR
from tests.laws.plain import Doc
from tests.laws.words import EFFORTS, Words

_LEVELS = {"low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "XHIGH"}
member(
    "reasoning.effort",
    {
        OC: "reasoning_effort",
        OR: "reasoning.effort",
        AM: "output_config.effort",
        GG: "generationConfig.thinkingConfig.thinkingLevel",
    },
    EFFORTS,
    ("reasoning.effort",),
    words={GG: _LEVELS},
    slot="thinking",
)


def _budget_am(doc: Doc, words: Words) -> Any:
    value = words.pick((1024, 4_000, 10_000, 30_000))
    doc["max_tokens"] = 64_000
    doc["thinking"] = {"type": "enabled", "budget_tokens": value}
    return value


def _budget_gg(doc: Doc, words: Words) -> Any:
    value = words.pick((128, 1024, 4_000, 24_576))
    put(doc, "generationConfig.thinkingConfig.thinkingBudget", value)
    return value


ASKS["reasoning.budget"] = Ask(
    {AM: _budget_am, GG: _budget_gg},
    {
        AM: lambda doc: get(doc, "thinking.budget_tokens"),
        GG: lambda doc: get(doc, "generationConfig.thinkingConfig.thinkingBudget"),
    },
    ("reasoning.budget",),
    slot="thinking",
)
ASKS["reasoning.off"] = Ask(
    {
        OC: lambda doc, words: put(doc, "reasoning_effort", "none") or "off",
        OR: lambda doc, words: put(doc, "reasoning.effort", "none") or "off",
        AM: lambda doc, words: put(doc, "thinking", {"type": "disabled"}) or "off",
        GG: lambda doc, words: put(doc, "generationConfig.thinkingConfig.thinkingBudget", 0) or "off",
    },
    {
        OC: lambda doc: "off" if get(doc, "reasoning_effort") == "none" else None,
        OR: lambda doc: "off" if get(doc, "reasoning.effort") == "none" else None,
        AM: lambda doc: "off" if get(doc, "thinking.type") == "disabled" else None,
        GG: lambda doc: "off" if get(doc, "generationConfig.thinkingConfig.thinkingBudget") == 0 else None,
    },
    ("reasoning.effort",),
    slot="thinking",
)


def _show_or(doc: Doc, words: Words) -> Any:
    put(doc, "reasoning", {"effort": "high", "summary": words.pick(("auto", "concise", "detailed"))})
    return get(doc, "reasoning.summary")


def _show_am(doc: Doc, words: Words) -> Any:
    doc["thinking"] = {"type": "adaptive", "display": words.pick(("summarized", "omitted"))}
    return doc["thinking"]["display"]


def _show_gg(doc: Doc, words: Words) -> Any:
    put(doc, "generationConfig.thinkingConfig", {"thinkingLevel": "HIGH", "includeThoughts": words.coin()})
    return "shown" if get(doc, "generationConfig.thinkingConfig.includeThoughts") else "hidden"


SHOWN = {"auto", "concise", "detailed", "summarized", "shown"}
HIDDEN = {"omitted", "hidden"}
ASKS["reasoning.show"] = Ask(
    {OR: _show_or, AM: _show_am, GG: _show_gg},
    {
        OC: lambda doc: "shown",  # servers show what they have
        OR: lambda doc: get(doc, "reasoning.summary") or "hidden",
        AM: lambda doc: get(doc, "thinking.display") or ("hidden" if "thinking" in doc else None),
        GG: lambda doc: "shown" if get(doc, "generationConfig.thinkingConfig.includeThoughts") else "hidden",
    },
    ("reasoning.show",),
    slot="thinking",
)


def shows_the_same(written: str, found: Any) -> bool:
    """Words for showing differ in detail; shown or hidden is what all of them have."""
    return found is not None and (written in SHOWN) == (found in SHOWN)


def _binding(doc: Doc, words: Words) -> Any:
    doc["thinking"] = {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
    return "drop_block"


ASKS["reasoning.binding"] = Ask(
    {AM: _binding},
    {AM: lambda doc: get(doc, "thinking.block_binding.prefix_mismatch_behavior")},
    ("ext.block_binding",),
    slot="thinking",
)
