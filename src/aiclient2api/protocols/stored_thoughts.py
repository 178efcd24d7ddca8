"""Thoughts of which a client sends only the id back: their words and their state are stored at their own provider."""

from __future__ import annotations

import msgspec

from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import Part, Reasoning
from aiclient2api.ir.request import ModelRequest, Turn


def without_stored_thoughts(request: ModelRequest) -> tuple[ModelRequest, list[Loss]]:
    """The request without thoughts that hold nothing another provider could read. One that has an id is a loss."""
    if not any(_is_empty(part) for turn in request.turns for part in turn.parts):
        return request, []
    losses: list[Loss] = []
    turns: list[Turn] = []
    for index, turn in enumerate(request.turns):
        parts = [part for part in turn.parts if not _is_empty(part)]
        losses += [
            Loss("reasoning.opaque", f"turns[{index}]", "dropped", note="only its own provider has stored it")
            for part in turn.parts
            if _is_empty(part) and part.id is not None
        ]
        if parts or not turn.parts:
            turns.append(msgspec.structs.replace(turn, parts=parts))
    return msgspec.structs.replace(request, turns=turns), losses


def _is_empty(part: Part) -> bool:
    if not isinstance(part, Reasoning) or part.opaque is not None or part.redacted:
        return False
    return not any(part.summary) and not any(part.raw)
