"""Spoken answers of earlier turns, which clients send back as an id that only their provider knows, or as a sound."""

from __future__ import annotations

import msgspec

from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import FileRef, Media, Part, Text
from aiclient2api.ir.request import ModelRequest, Turn

_FEATURE = "media.audio"
_HEARS_ITSELF = frozenset(("gemini",))
"""Protocols whose assistant turns may hold a sound."""


def with_transcripts(request: ModelRequest, upstream: str) -> tuple[ModelRequest, list[Loss]]:
    """The request with what was said instead of what was heard, where the upstream cannot know the sound.

    A client has one for every spoken answer, of whatever upstream: refusing it would end the conversation.
    """
    losses: list[Loss] = []
    turns: list[Turn] = []
    for index, turn in enumerate(request.turns):
        if turn.role != "assistant" or not any(_is_foreign(part, upstream) for part in turn.parts):
            turns.append(turn)
            continue
        parts = [
            told
            for number, part in enumerate(turn.parts)
            if (told := _told(part, upstream, f"turns[{index}].parts[{number}]", losses)) is not None
        ]
        if parts:
            turns.append(msgspec.structs.replace(turn, parts=parts))
    return (msgspec.structs.replace(request, turns=turns), losses) if losses else (request, losses)


def _is_foreign(part: Part, upstream: str) -> bool:
    if not (isinstance(part, Media) and part.kind == "audio"):
        return False
    if isinstance(part.source, FileRef):
        return part.source.protocol != upstream
    return upstream not in _HEARS_ITSELF


def _told(part: Part, upstream: str, path: str, losses: list[Loss]) -> Part | None:
    if not (isinstance(part, Media) and _is_foreign(part, upstream)):
        return part
    if part.transcript:
        losses.append(Loss(_FEATURE, path, "approximated", upstream, "its transcript is sent"))
        return Text(text=part.transcript)
    losses.append(Loss(_FEATURE, path, "dropped", upstream, "earlier answers are no sounds there"))
    return None
