"""Token counts as the four protocols write them, and back (the formulas of the design's 2.9)."""

from __future__ import annotations

from typing import NamedTuple

from tests.laws.native import AM, GG, OC, OR
from tests.laws.plain import Doc
from tests.laws.words import Words


class Counts(NamedTuple):
    """`given` includes cache reads and writes and excludes `tool`; `told` includes `thought`."""

    given: int = 0
    read: int = 0
    written: int = 0
    tool: int = 0
    told: int = 0
    thought: int = 0

    @property
    def total(self) -> int:
        """The sum law."""
        return self.given + self.tool + self.told


def drawn(protocol: str, words: Words) -> Counts:
    """Counts that a protocol can tell: parts never exceed their whole."""
    read, fresh, thought = words.counts(), words.counts(), words.counts()
    written = words.counts() if protocol != GG else 0
    tool = words.counts() if protocol == GG else 0
    return Counts(read + written + fresh, read, written, tool, thought + words.counts(), thought)


def write(protocol: str, counts: Counts) -> Doc:
    """As an upstream writes them."""
    if protocol == AM:
        return {
            "input_tokens": counts.given - counts.read - counts.written,
            "cache_read_input_tokens": counts.read,
            "cache_creation_input_tokens": counts.written,
            "output_tokens": counts.told,
            "output_tokens_details": {"thinking_tokens": counts.thought},
        }
    if protocol == GG:
        return {
            "promptTokenCount": counts.given,
            "cachedContentTokenCount": counts.read,
            "toolUsePromptTokenCount": counts.tool,
            "candidatesTokenCount": counts.told - counts.thought,
            "thoughtsTokenCount": counts.thought,
            "totalTokenCount": counts.total,
        }
    given, told = ("prompt", "completion") if protocol == OC else ("input", "output")
    return {
        f"{given}_tokens": counts.given,
        f"{told}_tokens": counts.told,
        "total_tokens": counts.total,
        f"{given}_tokens_details": {"cached_tokens": counts.read, "cache_write_tokens": counts.written},
        f"{told}_tokens_details": {"reasoning_tokens": counts.thought},
    }


def read(protocol: str, usage: Doc) -> Counts:
    """As a client reads them. A client other than Gemini's finds `tool` in `given`."""
    if protocol == AM:
        cached, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
        thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0
        return Counts(
            usage["input_tokens"] + cached + written, cached, written, 0, usage["output_tokens"], thought
        )
    if protocol == GG:
        thought = usage.get("thoughtsTokenCount") or 0
        told = (usage.get("candidatesTokenCount") or 0) + thought
        tool = usage.get("toolUsePromptTokenCount") or 0
        counts = Counts(
            usage["promptTokenCount"], usage.get("cachedContentTokenCount") or 0, 0, tool, told, thought
        )
        assert usage["totalTokenCount"] == counts.total
        return counts
    given, told = ("prompt", "completion") if protocol == OC else ("input", "output")
    into, out = usage.get(f"{given}_tokens_details") or {}, usage.get(f"{told}_tokens_details") or {}
    counts = Counts(
        usage[f"{given}_tokens"],
        into.get("cached_tokens") or 0,
        into.get("cache_write_tokens") or 0,
        0,
        usage[f"{told}_tokens"],
        out.get("reasoning_tokens") or 0,
    )
    assert usage["total_tokens"] == counts.total
    return counts


def expected(client: str, counts: Counts) -> Counts:
    """What a client can be told of an upstream's counts."""
    if client == GG:
        return counts._replace(written=0)
    return counts._replace(given=counts.given + counts.tool, tool=0)


USAGE = {OC: "usage", OR: "usage", AM: "usage", GG: "usageMetadata"}
