"""What a client's own headers say about its patience and about its earlier tries."""

from __future__ import annotations

import math
from typing import Final

from aiclient2api.accounts.policy import RetryPolicy
from aiclient2api.wire.http import WireRequest

TIMEOUTS: Final = frozenset(("x-stainless-read-timeout", "x-stainless-timeout", "x-request-timeout"))
"""Seconds: what the official SDKs send with every request, and the plain form."""
_TOLD: Final = TIMEOUTS | {"x-stainless-retry-count"}


def told(wire: WireRequest, policy: RetryPolicy) -> tuple[float, bool]:
    """Seconds until the client gives up or the configuration does, whichever is first; and whether it tries again."""
    if _TOLD.isdisjoint(dict(wire.headers)):
        return policy.deadline, False
    seconds, is_retry = policy.deadline, False
    for name, value in wire.headers:
        if name not in _TOLD:
            continue
        if name in TIMEOUTS:
            number = _number(value)
            if number is not None and number - policy.margin < seconds:
                seconds = max(0.0, number - policy.margin)
        else:
            number = _number(value)
            is_retry = number is not None and number >= 1
    return seconds, is_retry


def _number(text: str | None) -> float | None:
    """A positive finite number; SDKs also send `not-given`."""
    try:
        number = float(text) if text else 0.0
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
