"""What a client may still ask for, told in the response headers its SDK looks at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal

from msgspec import Struct

from aiclient2api.wire.http import Headers

Kind = Literal["requests", "tokens"]
KEPT: Final = 256
"""Limits whose unchanging part is worked out once."""
LONGEST: Final = 120
"""Seconds of a reset: this minute and the next."""


class RateLimit(Struct):
    """One limit of a minute; `reset` are the seconds until all of it is there again."""

    kind: Kind
    limit: int
    remaining: int = 0
    reset: float = 0.0


def openai_limit_headers(limits: Sequence[RateLimit], wall: float) -> Headers:
    """`x-ratelimit-…`, the reset as a duration such as `6m0s` (OpenAI, "Rate limits in headers")."""
    del wall
    headers: Headers = ()
    seconds, text = -1.0, ""
    for limit in limits:
        of_limit, remaining, reset = _openai_lines(limit.kind, limit.limit)
        if limit.reset != seconds:  # nearly always one for all of them
            seconds = limit.reset
            text = _DURATIONS[round(seconds)] if 1 <= seconds <= LONGEST else _duration(seconds)
        headers += (of_limit, (remaining, str(limit.remaining)), (reset, text))
    return headers


@lru_cache(KEPT)
def _openai_lines(kind: Kind, limit: int) -> tuple[tuple[str, str], str, str]:
    """The header that stays as it is, and the names of the two whose values change."""
    of_limit = (f"x-ratelimit-limit-{kind}", str(limit))
    return of_limit, f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}"


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


_DURATIONS: Final = tuple(_duration(seconds) for seconds in range(LONGEST + 1))
"""By seconds."""


def anthropic_limit_headers(limits: Sequence[RateLimit], wall: float) -> Headers:
    """`anthropic-ratelimit-…`, the reset as an instant in RFC 3339 (Anthropic, "Rate limits: response headers")."""
    headers: Headers = ()
    for limit in limits:
        of_limit, remaining, reset = _anthropic_lines(limit.kind, limit.limit)
        instant = _instant(
            int(wall + limit.reset + 5e-7)
        )  # the end of a minute may lack a bit of the float's last digit
        headers += (of_limit, (remaining, str(limit.remaining)), (reset, instant))
    return headers


@lru_cache(KEPT)
def _anthropic_lines(kind: Kind, limit: int) -> tuple[tuple[str, str], str, str]:
    """See `_openai_lines`."""
    of_limit = (f"anthropic-ratelimit-{kind}-limit", str(limit))
    return of_limit, f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset"


@lru_cache(4)
def _instant(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def no_limit_headers(limits: Sequence[RateLimit], wall: float) -> Headers:
    """Gemini tells limits in the body of a refusal only."""
    del limits, wall
    return ()
