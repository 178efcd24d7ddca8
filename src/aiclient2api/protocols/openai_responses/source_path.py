"""Where in a Responses body refused content stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Raw

from aiclient2api.ir.parts import Part
from aiclient2api.protocols.openai_responses.decode_parts import decode_input_part
from aiclient2api.protocols.openai_responses.decode_turns import decode_input_items, decode_output_item
from aiclient2api.protocols.source_path import Offence, Piece
from aiclient2api.protocols.source_path import source_path as found_path
from aiclient2api.wire import json
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.json import NULL, Members

_SETTINGS: Final = {"turns": "input", "max_output": "max_output_tokens"}


def source_path(request: WireRequest, offence: Offence) -> str:
    """See Converter."""
    return found_path(offence, _SETTINGS, _pieces(request), _decoded)


def _pieces(request: WireRequest) -> Iterator[Piece]:
    body = Members.parse(request.body)
    turns = 0
    instructions = body.value("instructions")
    if instructions is not None:
        turns = 1
        yield Piece(instructions, "instructions", turns)
    whole = body.value("input")
    if whole is None or whole == NULL:
        return
    if not json.is_array(whole):
        yield Piece(whole, "input", turns + 1)
        return
    role = ""
    for index, raw in enumerate(json.parse_array(whole, "input")):
        path = f"input[{index}]"
        turn = decode_input_items([raw], "input")[0]
        turns += turn.role != role or turn.role not in ("assistant", "tool")
        role = turn.role
        yield Piece(raw, path, turns)


def _decoded(raw: Raw, path: str) -> list[Part]:
    inner = path.rpartition(".")[2]
    return [decode_input_part(raw, path)] if not inner.startswith("input") else decode_output_item(raw, path)
