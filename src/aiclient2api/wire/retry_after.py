"""How long an upstream asks to wait, from headers that may hold anything. No clock: dates count from its own `date`."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from aiclient2api.wire.http import Headers, find_header

FOR_EVER: Final = 1e9
"""What a number of any size beyond it means, in seconds."""
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def retry_after(headers: Headers) -> float | None:
    """Seconds from `retry-after-ms`, else `retry-after` as seconds or date (RFC 9110, 10.2.3).

    None for what is absent, negative, infinite or no number.
    """
    milliseconds = number(find_header(headers, "retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = find_header(headers, "retry-after")
    seconds = number(text)
    return seconds if seconds is not None else until(text, headers)


def number(text: str | None) -> float | None:
    """A plain decimal number, however long; never negative, infinite or NaN."""
    text = (text or "").strip()
    return min(float(text), FOR_EVER) if _NUMBER.fullmatch(text) else None


def until(text: str | None, headers: Headers) -> float | None:
    """Seconds from the answer's own `date` to an instant: an HTTP date, RFC 3339, or Unix seconds."""
    there, here = instant(text), instant(find_header(headers, "date"))
    return None if there is None or here is None else min(max(0.0, there - here), FOR_EVER)


def instant(text: str | None) -> float | None:
    """Unix time of a date in any of the three forms."""
    text = (text or "").strip()
    seconds = number(text)
    if seconds is not None:
        return float(text) if math.isfinite(float(text)) else None
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (TypeError, ValueError, OverflowError):
            continue
    return None
