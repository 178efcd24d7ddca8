"""Claude's `search_result` blocks, told as text to upstreams that have no such thing."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Native, Part
from aiclient2api.protocols.ext import unheard
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json
from aiclient2api.wire.json import Members

_FEATURE: Final = "media.document"
_NOTE: Final = "a search result, told as text"
_PIECE: Final = frozenset(("type", "text"))


class _Piece(Struct):
    type: str = "text"
    text: str = ""


def told_result(part: Part, report: LossReport, path: str) -> str | None:
    """Title, source and text of a search result, with a word in the report about that; None for any other part.

    Source: Claude's documentation, "Search results" (`content` holds text blocks only).
    """
    if not isinstance(part, Native) or part.wire_type != "search_result" or part.protocol != "anthropic":
        return None
    try:
        block = Members.parse(part.raw)
        block.raw("type")
        head = [line for line in (block.take("title", str), block.take("source", str)) if line]
        citations = block.object("citations")
        is_cited = citations is not None and citations.take("enabled", bool)
        raw = block.array("content") or []
        pieces = [json.decode(piece, _Piece) for piece in raw]
    except MalformedMessage:
        return None
    texts = [piece.text for piece in pieces if piece.type == "text"]
    if not head and not texts:
        return None
    if is_cited:
        report.dropped("citation", path, "the model is not asked to cite this result")
    if block.value("cache_control") is not None:
        report.dropped("cache_mark", path)
    own = block.rest | (citations.rest if citations is not None else {})
    report.foreign_members({"anthropic": own}, path)
    for index, piece in enumerate(pieces):
        where = f"{path}.content[{index}]"
        report.foreign_members({"anthropic": unheard(raw[index], _PIECE)}, where)
        if piece.type != "text":
            report.dropped(f"ext.{piece.type}", where, "anthropic")
    report.approximated(_FEATURE, path, _NOTE)
    return "\n".join(head) + "\n\n" + "\n".join(texts)
