"""Where in a generateContent body refused content stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Raw

from aiclient2api.ir.parts import Part
from aiclient2api.ir.request import Turn
from aiclient2api.protocols.gemini.decode_parts import decode_part
from aiclient2api.protocols.gemini.decode_turns import ContentsDecoder, decode_system
from aiclient2api.protocols.gemini.fields import child, elements, fields
from aiclient2api.protocols.source_path import Offence, Piece
from aiclient2api.protocols.source_path import source_path as found_path
from aiclient2api.wire import json
from aiclient2api.wire.http import WireRequest

_SETTINGS: Final = {
    "turns": "contents",
    "sampling.candidates": "generationConfig.candidateCount",
    "max_output": "generationConfig.maxOutputTokens",
}


def source_path(request: WireRequest, offence: Offence) -> str:
    """See Converter."""
    return found_path(offence, _SETTINGS, _pieces(request), _decoded)


def _pieces(request: WireRequest) -> Iterator[Piece]:
    body = fields(request.body)
    body = child(body, "generateContentRequest") or body
    turns: list[Turn] = []
    raw = body.peek("systemInstruction")
    system = child(body, "systemInstruction")
    if system is not None and raw is not None:
        turns.append(decode_system(system))
        yield Piece(raw, "systemInstruction", 1)
    contents = ContentsDecoder(turns)
    for content, path in elements(body, "contents"):
        contents.add(content, path)
        yield Piece(content, path, len(turns))


def _decoded(raw: Raw, path: str) -> list[Part]:
    members = json.decode(raw, dict[str, Raw], path)
    return [] if "parts" in members else [decode_part(raw, path)]
