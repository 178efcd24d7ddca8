"""Where in a Chat body refused content stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Raw

from aiclient2api.ir.parts import Part
from aiclient2api.protocols.openai_chat.decode_parts import decode_part
from aiclient2api.protocols.openai_chat.decode_turns import MessagesDecoder
from aiclient2api.protocols.source_path import Offence, Piece
from aiclient2api.protocols.source_path import source_path as found_path
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.json import Members

_SETTINGS: Final = {"turns": "messages", "sampling.candidates": "n", "max_output": "max_completion_tokens"}


def source_path(request: WireRequest, offence: Offence) -> str:
    """See Converter."""
    return found_path(offence, _SETTINGS, _pieces(request), _decoded)


def _pieces(request: WireRequest) -> Iterator[Piece]:
    decoder = MessagesDecoder()
    for index, raw in enumerate(Members.parse(request.body).array("messages") or ()):
        path = f"messages[{index}]"
        decoder.add(raw, path)
        yield Piece(raw, path, len(decoder.turns))


def _decoded(raw: Raw, path: str) -> list[Part]:
    if "role" not in Members.parse(raw, path):
        return [decode_part(raw, path)]
    decoder = MessagesDecoder()
    decoder.add(raw, path)
    return decoder.turns[-1].parts
