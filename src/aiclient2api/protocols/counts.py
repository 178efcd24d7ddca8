"""Token counts that make no sense: an answer is never broken over them, and a number is never made up."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Final

import msgspec

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.response import Usage

MOST: Final = 1 << 53
"""No count is larger: beyond it JSON numbers are not exact (RFC 8259, 6)."""
_NAMES: Final = ("input", "cache_read", "cache_write", "tool_input", "output", "reasoning")

_counts: Final = attrgetter(*_NAMES)


def sane_counts(read: Callable[[], Usage | None]) -> Usage | None:
    """The counts that `read` decodes, without what is negative or absurd; None where they cannot be read at all."""
    try:
        usage = read()
    except MalformedMessage:
        return None
    if usage is None:
        return None
    counts: tuple[int, ...] = tuple(filter(None, _counts(usage)))
    if not counts or (min(counts) > 0 and max(counts) <= MOST):
        return usage
    odd = [name for name in _NAMES if not 0 <= (getattr(usage, name) or 0) <= MOST]
    return msgspec.structs.replace(usage, **dict.fromkeys(odd))
