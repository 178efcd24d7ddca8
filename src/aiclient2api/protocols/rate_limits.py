"""What a client may still ask for, told in the response headers its SDK looks at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from aiclient2api.wire.http import Headers


class RateLimit(Struct, frozen=True, kw_only=True):
    """One limit of a minute; `reset` are the seconds until all of it is there again."""

    kind: Literal["requests", "tokens"]
    limit: int
    remaining: int
    reset: float


def openai_limit_headers(limits: Sequence[RateLimit], wall: float) -> Headers:
    """`x-ratelimit-…`, the reset as a duration such as `6m0s` (OpenAI, "Rate limits in headers")."""
    del wall
    headers: list[tuple[str, str]] = []
    for limit in limits:
        headers += (
            (f"x-ratelimit-limit-{limit.kind}", str(limit.limit)),
            (f"x-ratelimit-remaining-{limit.kind}", str(limit.remaining)),
            (f"x-ratelimit-reset-{limit.kind}", _duration(limit.reset)),
        )
    return tuple(headers)


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def anthropic_limit_headers(limits: Sequence[RateLimit], wall: float) -> Headers:
    """`anthropic-ratelimit-…`, the reset as an instant in RFC 3339 (Anthropic, "Rate limits: response headers")."""
    headers: list[tuple[str, str]] = []
    for limit in limits:
        reset = datetime.fromtimestamp(wall + limit.reset, UTC)
        headers += (
            (f"anthropic-ratelimit-{limit.kind}-limit", str(limit.limit)),
            (f"anthropic-ratelimit-{limit.kind}-remaining", str(limit.remaining)),
            (f"anthropic-ratelimit-{limit.kind}-reset", reset.strftime("%Y-%m-%dT%H:%M:%SZ")),
        )
    return tuple(headers)


def no_limit_headers(limits: Sequence[RateLimit], wall: float) -> Headers:
    """Gemini tells limits in the body of a refusal only."""
    del limits, wall
    return ()
