"""What the gateway needs of an HTTP client. Time-outs in seconds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from aiclient2api.wire.http import Headers

DEFAULT_CONNECTIONS = 1000
KEEP_ALIVE = 55.0
"""Seconds; most load balancers close at 60, and we want to be first."""
STALE = 1.0
"""Seconds within which a connection that was closed while it was idle shows it: two ways, and a packet that was lost.
One that ends later had taken the request, which may have had its effect."""


class Timeouts(Struct, frozen=True, kw_only=True):
    """How long an upstream may be silent, phase by phase."""

    pool: float = 2.0
    """For a free connection, when all are in use."""
    dns: float = 2.0
    connect: float = 3.0
    """TCP, over all addresses of the host."""
    tls: float = 5.0
    """The TLS handshake, or the proxy's answer to CONNECT."""
    write: float = 30.0
    """The upstream takes nothing of the request."""
    headers: float = 30.0
    """From the request's last byte to the end of the response's head."""
    first_content: float = 60.0
    """From sending the request to the first content event."""
    idle: float = 120.0
    """One read of a response."""
    total: float = 600.0
    """A unary answer."""
    total_stream: float = 3600.0
    """A streamed answer."""
    semantic_idle: float = 300.0
    """A stream in which nothing but pings comes."""
    eof: float = 1.0
    """From the end of an answer to the end of its body."""
    reasoning_headers: float = 120.0
    """Instead of `headers`, for models that always think first."""
    reasoning_first_content: float = 300.0
    """Instead of `first_content`, for the same models."""


class Call(Struct, frozen=True, kw_only=True):
    """One request to one upstream."""

    url: str
    method: str
    headers: Headers
    body: bytes
    pool: str
    """Requests of the same name share connections and their limit (the provider's name)."""
    timeouts: Timeouts
    proxy: str | None = None
    ca: str | None = None
    """A file of certificates to trust instead of the system's."""


class HttpStream(Protocol):
    """An open response. Exactly one of `release` and `abort` ends it."""

    status: int
    headers: Headers

    async def receive(self) -> bytes:
        """All of the body that has arrived since the last call; empty at its end.

        Raises TimedOut, Truncated, Malformed.
        """
        ...

    async def pour(self, into: Callable[[bytes], bool]) -> bool:
        """Hand what arrives to `into`, read by read, until that returns False. `into` must not raise.

        Whether the body has ended, that is: whether `into` wanted more. Raises as `receive`.
        """
        ...

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises Malformed over `limit` bytes, TimedOut, Truncated."""
        ...

    async def release(self, grace: float) -> None:
        """Give the connection back for the next request. Returns at once.

        What is left of the body is read in the background; if it does not end within `grace` seconds the
        connection is closed.
        """
        ...

    def abort(self) -> None:
        """Close the connection at once."""
        ...


async def pour_received(receive: Callable[[], Awaitable[bytes]], into: Callable[[bytes], bool]) -> bool:
    """`HttpStream.pour` in terms of `receive`."""
    while data := await receive():
        if not into(data):
            return False
    return True


class Transport(Protocol):
    """Sends requests over pooled keep-alive connections."""

    async def send(self, call: Call) -> HttpStream:
        """The response's head. The connection is closed at once when this is cancelled.

        Raises Saturated, Unreachable, TimedOut, UpstreamFailed; Rejected for a call that cannot be written as HTTP.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
