"""What a client's own headers say about its patience and about its earlier tries."""

from __future__ import annotations

import math
from typing import Final

from aiclient2api.accounts.policy import RetryPolicy
from aiclient2api.wire.http import WireRequest

TIMEOUTS: Final = ("x-stainless-read-timeout", "x-stainless-timeout", "x-request-timeout")
"""Seconds: what the official SDKs send with every request, and the plain form."""


def patience(wire: WireRequest, policy: RetryPolicy) -> float:
    """Seconds until the client gives up or the configuration does, whichever is first."""
    told = [number for name in TIMEOUTS if (number := _number(wire.header(name))) is not None]
    return min([policy.deadline, *(max(0.0, number - policy.margin) for number in told)])


def is_retry(wire: WireRequest) -> bool:
    """Whether the client's SDK has tried this request before."""
    number = _number(wire.header("x-stainless-retry-count"))
    return number is not None and number >= 1


def _number(text: str | None) -> float | None:
    """A positive finite number; SDKs also send `not-given`."""
    try:
        number = float(text) if text else 0.0
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None
