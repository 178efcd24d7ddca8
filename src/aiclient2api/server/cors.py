"""Browsers from other origins: none, unless the operator lists them (`server.cors`)."""

from __future__ import annotations

from aiclient2api.server.asgi import Message, Send
from aiclient2api.wire.http import Headers, WireRequest

ANY = "*"
KEEP_SECONDS = 600
_OF_LIMITS = ("limit", "remaining", "reset")
EXPOSED = (
    "x-request-id, x-a2-target, x-a2-attempts, x-a2-conversion, x-a2-joined, x-a2-explain, retry-after, "
    + ", ".join(f"x-ratelimit-{name}-{kind}" for kind in ("requests", "tokens") for name in _OF_LIMITS)
    + ", "
    + ", ".join(
        f"anthropic-ratelimit-{kind}-{name}" for kind in ("requests", "tokens") for name in _OF_LIMITS
    )
)


def allowed_origin(head: WireRequest, origins: tuple[str, ...]) -> str | None:
    """The request's origin if it may read the answer."""
    origin = head.header("origin") if origins else None
    return origin if origin is not None and (origin in origins or ANY in origins) else None


def is_preflight(head: WireRequest) -> bool:
    """Whether a browser asks before the real request."""
    return head.method == "OPTIONS" and head.header("access-control-request-method") is not None


def preflight_headers(head: WireRequest) -> Headers:
    """What it may send. Keys travel in headers, never in cookies, so any header may come."""
    return (
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", head.header("access-control-request-headers") or "*"),
        ("access-control-max-age", str(KEEP_SECONDS)),
    )


def with_cors(send: Send, origin: str) -> Send:
    """`send` that tells the browser it may show the answer to this origin."""
    own = [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", EXPOSED.encode()),
        (b"vary", b"origin"),
    ]

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *own]
        await send(message)

    return wrapped
