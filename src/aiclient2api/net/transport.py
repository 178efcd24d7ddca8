"""What the gateway needs of an HTTP client. Time-outs in seconds."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from aiclient2api.wire.http import Headers


class Timeouts(Struct, frozen=True, kw_only=True):
    """How long an upstream may be silent, phase by phase."""

    connect: float = 3.0
    """DNS, TCP and TLS."""
    headers: float = 30.0
    """From the request's last byte to the response's status line."""
    first_content: float = 60.0
    """From sending the request to the first content event."""
    idle: float = 120.0
    """Between two reads of a response."""
    total: float = 600.0
    """A unary answer."""
    total_stream: float = 3600.0
    """A streamed answer."""


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
        """The next piece of the body, one network read; empty at its end. Raises TimedOut or Truncated."""
        ...

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises Malformed over `limit` bytes, TimedOut, Truncated."""
        ...

    async def release(self, grace: float) -> None:
        """Give the connection back for the next request; close it if the body does not end within `grace` seconds."""
        ...

    def abort(self) -> None:
        """Close the connection at once."""
        ...


class Transport(Protocol):
    """Sends requests over pooled keep-alive connections."""

    async def send(self, call: Call) -> HttpStream:
        """The response's head. Raises Unreachable, TimedOut, UpstreamFailed."""
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
