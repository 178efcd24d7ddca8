"""What a model answers."""

from __future__ import annotations

from typing import Final, Literal

from aiclient2api.ir.embedding import EmbedResponse
from aiclient2api.ir.parts import Node, Protocol
from aiclient2api.ir.request import Turn

FinishReason = Literal[
    "stop",
    "stop_sequence",
    "length",
    "context_length",
    "tool_use",
    "refusal",
    "content_filter",
    "recitation",
    "pause",
    "continuation",
    "compaction",
    "malformed",
    "error",
    "cancelled",
    "steered",
    "other",
    "unknown",
]


REFUSALS: Final[frozenset[FinishReason]] = frozenset(("refusal", "content_filter", "recitation"))
"""Ends by which an answer was withheld: an empty one is an answer all the same."""


class Usage(Node, frozen=True, kw_only=True):
    """Token counts as the upstream reported them; None means that it did not say.

    `input` includes cache reads and writes and excludes `tool_input`; `output` includes `reasoning`.
    The sum law holds everywhere: total = input + tool_input + output.
    """

    input: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_ttl: dict[str, int] | None = None
    tool_input: int | None = None
    output: int | None = None
    reasoning: int | None = None
    input_modalities: dict[str, int] | None = None
    output_modalities: dict[str, int] | None = None

    @property
    def total(self) -> int:
        """Everything that was counted."""
        return (self.input or 0) + (self.tool_input or 0) + (self.output or 0)


class Finish(Node, frozen=True, kw_only=True):
    """Why the answer ended; `raw` is the upstream's own word."""

    reason: FinishReason
    raw: str | None = None
    stop_sequence: str | None = None
    category: str | None = None
    explanation: str | None = None


class Candidate(Node, frozen=True, kw_only=True):
    """One of the answers."""

    turn: Turn
    index: int = 0
    finish: Finish | None = None


class ModelResponse(Node, frozen=True, kw_only=True):
    """A complete answer. `blocked` is set when the prompt was refused and there is no candidate."""

    protocol: Protocol
    id: str
    model: str
    created: float | None = None
    """Unix time in seconds."""
    candidates: list[Candidate] = []
    usage: Usage | None = None
    status: str | None = None
    blocked: Finish | None = None
    tier: str | None = None
    embedding: EmbedResponse | None = None
