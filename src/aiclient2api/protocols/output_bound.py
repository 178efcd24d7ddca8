"""How long the answer to a request may be, looked up without decoding it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.wire import json


def bound_of(
    read: Callable[[], Mapping[str, Raw] | None], names: tuple[str, ...], times: str = ""
) -> int | None:
    """The first of the members `names` that is a positive number, for each of the answers that `times` counts."""
    try:
        fields = read()
    except MalformedMessage:
        return None
    if fields is None:
        return None
    for name in names:
        bound = _positive(fields[name]) if name in fields else None
        if bound is not None:
            return bound * ((_positive(fields[times]) if times in fields else None) or 1)
    return None


def _positive(raw: Raw) -> int | None:
    try:
        number = json.decode(raw, int)
    except MalformedMessage:
        return None
    return number if number > 0 else None
