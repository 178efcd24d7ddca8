"""Whether the arguments of a call survive a client that parses and writes them, and whether two texts say the same."""

from __future__ import annotations

from typing import Final, cast

import msgspec

from aiclient2api.wire import json

_EXACT: Final = 2**53
"""The largest integer that a double holds together with all smaller ones."""


def is_plain(arguments: str) -> bool:
    """Whether any client that parses this text writes the same again, or gets it as text because it is no object."""
    if not arguments.strip():
        return False  # told as an empty object
    data = arguments.encode()
    if not json.is_object(data):
        return True
    value = _value(arguments)
    return value is not None and msgspec.json.encode(value) == data and not _has_risky_number(value)


def _has_risky_number(value: object) -> bool:
    """Clients write fractions as they like (`1.0` as `1`), and not all keep large integers."""
    match value:
        case dict():
            return any(_has_risky_number(item) for item in cast("dict[str, object]", value).values())
        case list():
            return any(_has_risky_number(item) for item in cast("list[object]", value))
        case int():
            return abs(value) > _EXACT
        case _:
            return isinstance(value, float)


def is_same(first: str, second: str) -> bool:
    """Whether two texts are objects of one value. Nothing is an empty object, and numbers are compared as doubles:
    that is what clients make of them.
    """
    ours, theirs = _value(first), _value(second)
    if ours is None or theirs is None:
        return False
    try:
        return _equal(ours, theirs)
    except RecursionError:
        return False


def _value(text: str) -> dict[str, object] | None:
    try:
        return msgspec.json.decode(text, type=dict[str, object]) if text.strip() else {}
    except (msgspec.DecodeError, RecursionError):
        return None


def _equal(first: object, second: object) -> bool:
    match first, second:
        case dict(), dict():
            ours, theirs = cast("dict[str, object]", first), cast("dict[str, object]", second)
            return ours.keys() == theirs.keys() and all(_equal(ours[name], theirs[name]) for name in ours)
        case list(), list():
            items, others = cast("list[object]", first), cast("list[object]", second)
            return len(items) == len(others) and all(map(_equal, items, others))
        case (bool(), _) | (_, bool()):
            return first is second
        case (int() | float(), int() | float()):
            return _double(first) == _double(second)
        case _:
            return first == second


def _double(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return number
