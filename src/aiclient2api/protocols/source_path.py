"""Where in the client's own body the content stands that a target refuses.

Encoders name places of the IR. Only when one refuses is the caller's path looked for, by decoding the body again
piece by piece until the piece in question appears: requests that are served pay nothing for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec import Raw, Struct

from aiclient2api.errors import MalformedMessage, Unrepresentable
from aiclient2api.ir.parts import HostedCall, Media, Part, PartsSource, ToolResult
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.protocols.ids import is_synthetic
from aiclient2api.wire import json

_PLACE: Final = re.compile(r"turns\[(\d+)\]")
_INNER: Final = re.compile(r"(?:\.parts)?\[(\d+)\]")
_HOLDERS: Final = ("content", "parts", "output", "source", "functionResponse", "function_response")
"""Members inside of which parts stand."""

Decoder = Callable[[Raw, str], list[Part]]
"""The parts that a piece of a body is decoded to by itself."""


class Offence(Struct, frozen=True):
    """What a target refuses: a part of a turn, a whole turn by its index, or a setting by its IR path."""

    path: str
    turn: int | None = None
    part: Part | None = None


def located(
    error: Unrepresentable, request: ModelRequest, asked: ModelRequest, find: Callable[[Offence], str]
) -> Unrepresentable:
    """`error` with the path of the caller. `request` is what was encoded, `asked` what the client's body says."""
    if not error.path:
        return error
    try:
        path = find(offence_of(error.path, request, asked))
    except MalformedMessage:
        path = ""
    message = f"{path}: {error.reason}" if path else error.reason
    return Unrepresentable(info=msgspec.structs.replace(error.info, message=message, param=path or None))


def offence_of(path: str, request: ModelRequest, asked: ModelRequest) -> Offence:
    """What stands at a path of the IR of `request`, by its turn in the client's own."""
    place = _PLACE.match(path)
    if place is None:
        return Offence(path)
    index = int(place[1])
    if index >= len(request.turns):
        return Offence("turns")
    turn = request.turns[index]
    return Offence(path, _asked_turn(turn, index, request, asked), _part(turn, path[place.end() :]))


def _asked_turn(turn: Turn, index: int, request: ModelRequest, asked: ModelRequest) -> int:
    """Turns of our own (the operator's text) stand in front: count from the end."""
    found = next((number for number, own in enumerate(asked.turns) if own is turn), None)
    return max(0, index - len(request.turns) + len(asked.turns)) if found is None else found


def _part(turn: Turn, inner: str) -> Part | None:
    found: Part | None = None
    parts = turn.parts
    for step in _INNER.finditer(inner):
        index = int(step[1])
        if index >= len(parts):
            return found
        found = parts[index]
        match found:
            case ToolResult():
                parts = found.parts
            case Media(source=PartsSource(inside)):
                parts = inside
            case _:
                break
    return found


def find_part(raw: Raw, path: str, part: Part, decode: Decoder) -> str | None:
    """The innermost path at or under `raw` whose content is decoded to `part`."""
    if json.is_array(raw):
        items = enumerate(json.parse_array(raw, path))
        return _first(find_part(item, f"{path}[{index}]", part, decode) for index, item in items)
    if not json.is_object(bytes(raw)):
        return None
    members = json.decode(raw, dict[str, Raw], path)
    held = ((name, members[name]) for name in _HOLDERS if name in members)
    found = _first(find_part(inner, f"{path}.{name}", part, decode) for name, inner in held)
    if found is not None:
        return found
    try:
        decoded = decode(raw, path)
    except MalformedMessage:
        return None
    return path if any(_bare(one) == _bare(part) for one in decoded) else None


def _first(found: Iterable[str | None]) -> str | None:
    return next((path for path in found if path is not None), None)


def _bare(part: Part) -> Part:
    """A part without what its place among others, and the way through the gateway, add to it."""
    part = msgspec.structs.replace(part, id=None, status=None, new_item=False, cache=None, shape=0, ext=None)
    match part:
        case HostedCall():
            return msgspec.structs.replace(part, shadow=None)
        case ToolResult():
            call_id = "" if is_synthetic(part.call_id) else part.call_id
            return msgspec.structs.replace(part, call_id=call_id, name=None, kind="function")
        case _:
            return part


def source_path(
    offence: Offence, settings: Mapping[str, str], pieces: Iterator[Piece], decode: Decoder
) -> str:
    """The caller's path of an offence. `settings` names the members of a protocol by their IR path; `pieces` are
    its messages, each with the number of turns that the conversation has up to it.
    """
    if offence.turn is None:
        return settings.get(offence.path, "")
    of_turn = ""
    for piece in pieces:
        if offence.part is not None:
            found = find_part(piece.raw, piece.path, offence.part, decode)
            if found is not None:
                return found
        if not of_turn and piece.turns > offence.turn:
            of_turn = piece.path
    return of_turn


class Piece(Struct, frozen=True):
    """One message of a body."""

    raw: Raw
    path: str
    turns: int
