"""The few shapes of ASGI we use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

import msgspec

from aiclient2api.errors import BadRequest, GatewayError, ShuttingDown, TooLarge
from aiclient2api.server.asked import Asked, head_of
from aiclient2api.wire.http import Headers, WireRequest, WireResponse

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Owner(Protocol):
    """Who answers a request."""

    def left(self) -> None:
        """The client has gone before its answer was complete; the task is cancelled next."""
        ...


class Client(Protocol):
    """A request of our own server, which needs none of ASGI's messages where a body or an answer is whole.

    Its server keeps the body's time-outs. It tells `owner` when the client leaves, and cancels the task.
    """

    asked: Asked
    peer: str
    """The other side's address."""
    is_reserved: bool
    """The connection is one beyond the limit, for health and metrics alone."""
    is_gone: bool
    has_begun: bool
    """Something was sent."""
    is_complete: bool
    """Whether the last byte of the answer was handed over."""
    owner: Owner | None
    length: int | None
    """The body's, where it is not what the head says."""

    def whole_body(self) -> bytes | None:
        """The body, if it has all come in one piece; otherwise `receive` tells it."""
        ...

    async def receive(self) -> Message:
        """See ASGI."""
        ...

    async def send(self, message: Message) -> None:
        """See ASGI."""
        ...

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """A whole answer, written at once."""
        ...

    def push(self, body: bytes, is_last: bool) -> bool:
        """`http.response.body` without a task: written at once. False when the client is slower than we are."""
        ...

    async def room(self) -> None:
        """Wait until the client has caught up."""
        ...


class Outlet:
    """The client's side of a request: what it asked for, and where a whole answer or the parts of a stream go."""

    asked: Asked
    client: Client | None
    """With our own server, the short way for what follows a head."""
    short: Client | None
    """The same for a whole answer; None where something is to be put into its head."""

    async def send(self, message: Message) -> None:
        """See ASGI."""
        raise NotImplementedError

    async def whole(self, response: WireResponse, extra: Headers = ()) -> None:
        """A whole answer; `extra` comes behind its own headers."""
        if self.short is not None:
            self.short.answer(response.status, (*response.headers, *extra), response.body)
        else:
            await send_whole(self.send, response, extra)


class ClientGone(Exception):
    """The client closed the connection."""


def cut_reason(cancelled: asyncio.CancelledError) -> GatewayError:
    """Why a request was ended by us: our server says it; the other one only does so when it stops."""
    reason = cancelled.args[0] if cancelled.args else None
    return reason if isinstance(reason, GatewayError) else ShuttingDown("the server is shutting down")


def request_head(scope: Scope) -> WireRequest:
    """The request without its body; the path is percent-decoded, the query is not."""
    raw: bytes | None = scope.get("raw_path")
    path = (raw or b"").partition(b"?")[0]
    head = head_of(scope["method"], b"%b?%b" % (path, scope["query_string"]), scope["headers"])
    return head if raw else msgspec.structs.replace(head, path=scope["path"])


def raw_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers of ours as a message has them."""
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]


def _free(_: int) -> None:
    """Nobody counts."""


async def read_body(
    asked: Asked,
    receive: Receive,
    limit: int,
    hold: Callable[[int], None] = _free,
    length: int | None = None,
) -> bytes:
    """The whole body. Raises TooLarge as soon as it is clear, ClientGone when the client leaves.

    `hold` is told of every part that is kept, and may raise. `length` counts instead of what the head says of it.
    """
    if asked.is_encoded:
        raise BadRequest("a compressed request body is not accepted")
    if length is None:
        announced = asked.head.header("content-length")
        length = int(announced) if announced is not None and announced.isdecimal() else 0
    if length > limit:
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
    """The headers of a complete response, with its length; 204 must not have one (RFC 9110 8.6)."""
    if response.status == 204:
        return (*response.headers, *extra)
    return (*response.headers, ("content-length", str(len(response.body))), *extra)


async def send_head(send: Send, status: int, headers: Headers) -> None:
    """Status and headers."""
    await send({"type": "http.response.start", "status": status, "headers": raw_headers(headers)})
