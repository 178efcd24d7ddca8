"""Claude's `search_result` blocks, told as text to upstreams that have no such thing."""

from __future__ import annotations

from typing import Final

from msgspec import Raw, Struct

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Native
from aiclient2api.wire import json

FEATURE: Final = "media.document"
NOTE: Final = "a search result, told as text"


class _Piece(Struct):
    text: str = ""


class _Result(Struct):
    type: str
    source: str = ""
    title: str = ""
    content: list[_Piece] = []
    citations: Raw = json.NULL


def told_result(part: Native) -> str | None:
    """Title, source and text of a search result; None for any other block."""
    if part.wire_type != "search_result" or part.protocol != "anthropic":
        return None
    try:
        result = json.decode(part.raw, _Result)
    except MalformedMessage:
        return None
    head = [line for line in (result.title, result.source) if line]
    return "\n".join(head) + "\n\n" + "\n".join(piece.text for piece in result.content)
