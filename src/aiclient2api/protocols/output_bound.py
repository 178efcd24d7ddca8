"""How long the answer to a request may be, looked up without decoding it."""

from __future__ import annotations

from collections.abc import Callable

from aiclient2api.errors import MalformedMessage
from aiclient2api.wire import json
from aiclient2api.wire.json import Members


def bound_of(read: Callable[[], Members | None], names: tuple[str, ...], times: str = "") -> int | None:
    """The first of the members `names` that is a positive number, for each of the answers that `times` counts."""
    try:
        members = read()
    except MalformedMessage:
        return None
    if members is None:
        return None
    found = next((bound for name in names if (bound := _positive(members, name)) is not None), None)
    return None if found is None else found * (_positive(members, times) or 1)


def _positive(members: Members, name: str) -> int | None:
    raw = members.value(name)
    if raw is None:
        return None
    try:
        number = json.decode(raw, int)
    except MalformedMessage:
        return None
    return number if number > 0 else None
