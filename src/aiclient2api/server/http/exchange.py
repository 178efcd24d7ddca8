"""One request and its answer on a connection: the ASGI side."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from aiclient2api.errors import GatewayError
from aiclient2api.server.asgi import Message, Scope
from aiclient2api.server.http.head import BODILESS, CHUNKED, CLOSE, CONTINUE, encode_head, encode_text_head
from aiclient2api.wire.http import Headers

_LARGE: Final = 16 * 1024
"""Bytes from which a body is handed over beside its head instead of copied behind it."""
_GONE: Final = {"type": "http.disconnect"}
_LENGTH: Final = b"content-length"


class Line(Protocol):
    """What an exchange needs of its connection."""

    is_full: bool

    @property
    def write(self) -> Callable[[bytes], None]:
        """Hands bytes to the transport."""
        ...

    def write_both(self, head: bytes, body: bytes) -> None:
        """Hand a head and a large body to the transport without copying them together."""
        ...

    async def room(self) -> None:
        """Wait until the transport's buffer is below its mark, or the client gone."""
        ...

    def date(self) -> bytes:
        """The line that every answer has."""
        ...

    def wants_close(self) -> bool:
        """Whether the connection ends behind this answer, for reasons of the server."""
        ...

    def take(self) -> None:
        """The body's bytes were taken by the application."""
        ...


class HttpExchange:
    """Receives for one ASGI call and sends for it.

    The head is held back until the first body message, so that a whole answer is one write. The scope's extension
    `server.asgi.CLIENT` is this object: `when_gone` replaces a task that waits for the disconnect.
    """

    __slots__ = (
        "_can_chunk",
        "_delivered",
        "_expects",
        "_failure",
        "_gone",
        "_head",
        "_is_bodiless",
        "_is_chunked",
        "_line",
        "_parts",
        "_waiter",
        "_write",
        "body_until",
        "has_begun",
        "held",
        "is_complete",
        "is_gone",
        "is_received",
        "keep_alive",
        "scope",
        "task",
    )

    def __init__(self, line: Line, scope: Scope, *, keep_alive: bool, expects_continue: bool) -> None:
        self._line = line
        self._write = line.write
        self.scope: Scope = scope
        self.keep_alive = keep_alive
        self._expects = expects_continue
        self._parts: list[bytes] = []
        self.held = 0
        """Bytes of the body that the application has not taken yet."""
        self.body_until = 0.0
        self.is_received = False
        self._delivered = False
        self._waiter: asyncio.Future[None] | None = None
        self._failure: GatewayError | None = None
        self._gone: Callable[[], None] | None = None
        self.is_gone = False
        self._head: Message | None = None
        self.has_begun = False
        self._is_chunked = False
        self._is_bodiless = scope["method"] == "HEAD"
        self._can_chunk = scope["http_version"] == "1.1"
        self.is_complete = False
        self.task: asyncio.Task[None] | None = None

    # ---- from the connection

    def feed(self, data: bytes) -> None:
        """A part of the body."""
        if self.is_complete:
            return
        self._parts.append(data)
        self.held += len(data)
        if self._waiter is not None:
            self._wake()

    def end(self) -> None:
        """The body is whole."""
        self.is_received = True
        if self._waiter is not None:
            self._wake()

    def fail(self, error: GatewayError) -> None:
        """The rest of the body will not come; whoever waits for it gets this error."""
        self._failure = error
        self._wake()

    def leave(self) -> None:
        """The client has gone."""
        self.is_gone = True
        self._wake()
        if self._gone is not None and not self.is_complete:
            self._gone()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def forget(self) -> None:
        """The application is done: let go of what leads back here, which the garbage collector would have to find."""
        self.scope = {}
        self.task = None

    # ---- for the application

    def when_gone(self, call: Callable[[], None] | None) -> None:
        """Call this when the client leaves before its answer is complete (at once if it has); None: no longer."""
        self._gone = call
        if call is not None and self.is_gone and not self.is_complete:
            call()

    async def receive(self) -> Message:
        """See ASGI. Raises ClientTimeout or BadRequest when the body stops coming or is malformed."""
        while True:
            if self._parts or (self.is_received and not self._delivered):
                self._delivered = self.is_received
                data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
                self._parts.clear()
                self.held = 0
                self._line.take()
                return {"type": "http.request", "body": data, "more_body": not self.is_received}
            if self.is_gone or self.is_complete:
                return dict(_GONE)
            if self._failure is not None:
                raise self._failure
            if self._expects and not self.has_begun:
                self._expects = False
                self._write(CONTINUE)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def send(self, message: Message) -> None:
        """See ASGI. Waits only while the client is slower than we are."""
        if message["type"] == "http.response.start":
            self._head = message
            return
        is_last = not message.get("more_body", False)
        if not self.push(message.get("body", b""), is_last) and not is_last:
            await self._line.room()

    def push(self, body: bytes, is_last: bool) -> bool:
        """The body of an answer whose head was sent, at once. False when the client is slower: wait for `room`."""
        if self.is_gone:
            return True
        self.is_complete = is_last
        if self._is_chunked:  # nearly every call: one event of a stream
            if is_last:
                self._write(_last_chunk(body))
            elif body:
                self._write(b"%x\r\n%b\r\n" % (len(body), body))
        elif self._head is not None:
            self._begin(self._head, body)
        elif body and not self._is_bodiless:
            self._write(body)
        return not self._line.is_full

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """See server.asgi.Client."""
        if self.is_gone:
            return
        self.is_complete = self.has_begun = True
        more = [self._line.date()]
        if not self._stays_open():
            more.append(CLOSE)
        head = encode_text_head(status, headers, more)
        self._write_whole(head, b"" if self._is_bodiless or status in BODILESS else body)

    async def room(self) -> None:
        """Wait until the client has caught up, or has gone."""
        await self._line.room()

    def _begin(self, start: Message, body: bytes) -> None:
        status: int = start["status"]
        headers: list[tuple[bytes, bytes]] = start["headers"]
        more: list[bytes] = []
        self._head = None
        self.has_begun = True
        self._is_bodiless = self._is_bodiless or status in BODILESS
        if not self._is_bodiless and not _has_length(headers):
            if self.is_complete:
                more.append(b"content-length: %d\r\n" % len(body))
            elif self._can_chunk:
                self._is_chunked = True
                more.append(CHUNKED)
            else:
                self.keep_alive = False  # the end of the connection is the end of the body
        if not self._stays_open():
            more.append(CLOSE)
        head = encode_head(status, headers, (self._line.date(), *more))
        if self._is_chunked and body:
            self._write(b"%b%x\r\n%b\r\n" % (head, len(body), body))
        else:
            self._write_whole(head, b"" if self._is_bodiless else body)

    def _stays_open(self) -> bool:
        """Whether another request may follow this answer."""
        if self.keep_alive and (not self.is_received or self._line.wants_close()):
            self.keep_alive = False
        return self.keep_alive

    def _write_whole(self, head: bytes, body: bytes) -> None:
        if not body:
            self._write(head)
        elif len(body) > _LARGE:
            self._line.write_both(head, body)
        else:
            self._write(head + body)


def _last_chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"


def _has_length(headers: list[tuple[bytes, bytes]]) -> bool:
    for name, _ in headers:  # noqa: SIM110  # once per answer: a generator costs as much as the search
        if name == _LENGTH:
            return True
    return False
