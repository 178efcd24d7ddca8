"""How long the answer to a request may be, looked up without decoding it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw

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
    for name in names:
        bound = _positive(members.raw(name))
        if bound is not None:
            return bound * ((_positive(members.raw(times)) if times else None) or 1)
    return None


def _positive(raw: Raw | None) -> int | None:
    if raw is None:
        return None
    try:
        number = json.decode(raw, int)
    except MalformedMessage:
        return None
    return number if number > 0 else None
