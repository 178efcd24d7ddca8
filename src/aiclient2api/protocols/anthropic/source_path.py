"""Where in a Messages body refused content stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Raw

from aiclient2api.ir.parts import Part
from aiclient2api.protocols.anthropic.decode_parts import decode_block
from aiclient2api.protocols.anthropic.decode_turns import decode_message, decode_system
from aiclient2api.protocols.source_path import Offence, Piece
from aiclient2api.protocols.source_path import source_path as found_path
from aiclient2api.wire import json
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.json import Members

_SETTINGS: Final = {"turns": "messages", "max_output": "max_tokens"}


def source_path(request: WireRequest, offence: Offence) -> str:
    """See Converter."""
    return found_path(offence, _SETTINGS, _pieces(request), _decoded)


def _pieces(request: WireRequest) -> Iterator[Piece]:
    body = Members.parse(request.body)
    system = body.peek("system")
    turns = len(decode_system(body))
    if turns and system is not None:
        yield Piece(system, "system", turns)
    for index, raw in enumerate(body.array("messages") or ()):
        path = f"messages[{index}]"
        turns += len(decode_message(Members.parse(raw, path)))
        yield Piece(raw, path, turns)


def _decoded(raw: Raw, path: str) -> list[Part]:
    members = json.decode(raw, dict[str, Raw], path)
    return [decode_block(raw, path)] if "type" in members else []
