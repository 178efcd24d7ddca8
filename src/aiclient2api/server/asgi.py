"""The few shapes of ASGI we use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import unquote

from aiclient2api.errors import BadRequest, GatewayError, ShuttingDown, TooLarge
from aiclient2api.wire.http import Headers, WireRequest, WireResponse

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CLIENT: Final = "aiclient2api.client"
"""Scope extension of our own server: a `Client`."""
RESERVED: Final = "aiclient2api.reserved"
"""Scope extension: the connection is one beyond the limit, for health and metrics alone."""


class Client(Protocol):
    """Tells when the client has left, without a task that waits for it. Its server keeps the body's time-outs."""

    is_complete: bool
    """Whether the last byte of the answer was handed over."""

    def when_gone(self, call: Callable[[], None] | None) -> None:
        """Call this when the client leaves before its answer is complete (at once if it has); None: no longer."""
        ...

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer, written at once; its length is among the headers."""
        ...

    def push(self, body: bytes, is_last: bool) -> bool:
        """`http.response.body` without a task: written at once. False when the client is slower than we are."""
        ...

    async def room(self) -> None:
        """Wait until the client has caught up."""
        ...


class Outlet(NamedTuple):
    """Where an answer goes: a whole one, or the parts of a stream."""

    whole: Callable[[WireResponse, Headers], Awaitable[None]]
    """Takes headers that come behind the response's own."""
    send: Send
    client: Client | None = None
    """With our own server, the short way for what follows a head."""


class ClientGone(Exception):
    """The client closed the connection."""


def cut_reason(cancelled: asyncio.CancelledError) -> GatewayError:
    """Why a request was ended by us: our server says it; the other one only does so when it stops."""
    reason = cancelled.args[0] if cancelled.args else None
    return reason if isinstance(reason, GatewayError) else ShuttingDown("the server is shutting down")


def request_head(scope: Scope) -> WireRequest:
    """The request without its body; the path is percent-decoded, the query is not."""
    path: str = scope["path"]
    raw: bytes | None = scope.get("raw_path")
    if raw:
        path = raw.partition(b"?")[0].decode("latin-1")
        if "%" in path:
            path = unquote(path)
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return WireRequest(
        method=scope["method"],
        path=path,
        query=scope["query_string"].decode("latin-1"),
        headers=text_headers(headers),
    )


def text_headers(headers: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Headers of a scope as ours."""
    return tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])


def raw_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers of ours as a message has them."""
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]


def _free(_: int) -> None:
    """Nobody counts."""


async def read_body(
    head: WireRequest, receive: Receive, limit: int, hold: Callable[[int], None] = _free
) -> bytes:
    """The whole body. Raises TooLarge as soon as it is clear, ClientGone when the client leaves.

    `hold` is told of every part that is kept, and may raise.
    """
    if (head.header("content-encoding") or "identity") != "identity":
        raise BadRequest("a compressed request body is not accepted")
    announced = head.header("content-length")
    if announced is not None and announced.isdecimal() and int(announced) > limit:
        raise TooLarge(f"the request body is larger than {limit} bytes")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLarge(f"the request body is larger than {limit} bytes")
        hold(len(part))
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts) if len(parts) > 1 else part


async def send_whole(send: Send, response: WireResponse, extra: Headers = ()) -> None:
    """A complete response."""
    await send_head(send, response.status, whole_headers(response, extra))
    await send({"type": "http.response.body", "body": response.body})


def whole_headers(response: WireResponse, extra: Headers) -> Headers:
    """The headers of a complete response, with its length."""
    return (*response.headers, ("content-length", str(len(response.body))), *extra)


async def send_head(send: Send, status: int, headers: Headers) -> None:
    """Status and headers."""
    await send({"type": "http.response.start", "status": status, "headers": raw_headers(headers)})
