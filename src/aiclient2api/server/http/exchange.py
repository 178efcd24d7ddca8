"""One request and its answer on a connection, for the application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from msgspec import Struct, field

from aiclient2api.errors import GatewayError
from aiclient2api.server.asgi import Message, Owner
from aiclient2api.server.asked import Asked
from aiclient2api.server.http.guard import Head
from aiclient2api.server.http.head import BODILESS, CHUNKED, CLOSE, CONTINUE, encode_head, encode_whole
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


class HttpExchange(Struct, kw_only=True, eq=False):
    """One request and its answer: `server.asgi.Client`, and what an ASGI application would be called with.

    The head of an answer that is sent in messages is held back until the first body, so that a whole answer is one
    write. `owner` is told when the client leaves, and the task is cancelled.
    """

    line: Line
    write: Callable[[bytes], None]
    head: Head
    asked: Asked
    peer: str
    is_reserved: bool
    """The connection is one beyond the limit, for health and metrics alone."""
    keep_alive: bool
    expects_continue: bool = False
    length: int | None = None
    """The body's, where it is not what `asked` says of it: a head is kept for requests of any length."""
    parts: list[bytes] = field(default_factory=list[bytes])
    held: int = 0
    """Bytes of the body that the application has not taken yet."""
    is_received: bool = False
    body_until: float = 0.0
    _delivered: bool = False
    _waiter: asyncio.Future[None] | None = None
    _failure: GatewayError | None = None
    owner: Owner | None = None
    is_gone: bool = False
    _start: Message | None = None
    has_begun: bool = False
    _is_chunked: bool = False
    _is_bodiless: bool = False
    is_complete: bool = False
    task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        """Nothing of what a client says."""
        return f"HttpExchange({self.head.method})"

    # ---- from the connection

    def feed(self, data: bytes) -> None:
        """A part of the body."""
        if self.is_complete:
            return
        self.parts.append(data)
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
        if self.is_gone:
            return
        self.is_gone = True
        self._wake()
        if self.owner is not None and self.task is not None and not self.is_complete:
            self.owner.left()
            self.task.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ---- for the application

    def whole_body(self) -> bytes | None:
        """The body, if it has all come in one piece and nobody has taken any of it; otherwise `receive` tells it."""
        if not self.is_received or len(self.parts) != 1:
            return None
        self._delivered = True
        self.held = 0
        self.line.take()
        return self.parts.pop()

    async def receive(self) -> Message:
        """See ASGI. Raises ClientTimeout or BadRequest when the body stops coming or is malformed."""
        while True:
            if self.parts or (self.is_received and not self._delivered):
                self._delivered = self.is_received
                data = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
                self.parts.clear()
                self.held = 0
                self.line.take()
                return {"type": "http.request", "body": data, "more_body": not self.is_received}
            if self.is_gone or self.is_complete:
                return dict(_GONE)
            if self._failure is not None:
                raise self._failure
            if self.expects_continue and not self.has_begun:
                self.expects_continue = False
                self.write(CONTINUE)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def send(self, message: Message) -> None:
        """See ASGI. Waits only while the client is slower than we are."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        is_last = not message.get("more_body", False)
        if not self.push(message.get("body", b""), is_last) and not is_last:
            await self.line.room()

    def push(self, body: bytes, is_last: bool) -> bool:
        """The body of an answer whose head was sent, at once. False when the client is slower: wait for `room`."""
        if self.is_gone:
            return True
        self.is_complete = is_last
        if self._is_chunked:  # nearly every call: one event of a stream
            if is_last:
                self.write(_last_chunk(body))
            elif body:
                self.write(b"%x\r\n%b\r\n" % (len(body), body))
        elif self._start is not None:
            self._begin(self._start, body)
        elif body and not self._is_bodiless:
            self.write(body)
        return not self.line.is_full

    def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """See server.asgi.Client."""
        if self.is_gone:
            return
        self.is_complete = self.has_begun = True
        line = self.line
        if self.keep_alive and (line.wants_close() or not self.is_received):
            self.keep_alive = False
        head = encode_whole(status, headers, len(body), line.date(), is_last=not self.keep_alive)
        if self.head.method == "HEAD" or status in BODILESS:
            self.write(head)
        elif len(body) > _LARGE:
            line.write_both(head, body)
        else:
            self.write(head + body)

    async def room(self) -> None:
        """Wait until the client has caught up, or has gone."""
        await self.line.room()

    def _begin(self, start: Message, body: bytes) -> None:
        status: int = start["status"]
        headers: list[tuple[bytes, bytes]] = start["headers"]
        more: list[bytes] = []
        self._start = None
        self.has_begun = True
        self._is_bodiless = self.head.method == "HEAD" or status in BODILESS
        if not self._is_bodiless and not _has_length(headers):
            if self.is_complete:
                more.append(b"content-length: %d\r\n" % len(body))
            elif self.head.version == "1.1":
                self._is_chunked = True
                more.append(CHUNKED)
            else:
                self.keep_alive = False  # the end of the connection is the end of the body
        if not self._stays_open():
            more.append(CLOSE)
        head = encode_head(status, headers, (self.line.date(), *more))
        if self._is_chunked and body:
            self.write(b"%b%x\r\n%b\r\n" % (head, len(body), body))
        else:
            self._write_whole(head, b"" if self._is_bodiless else body)

    def _stays_open(self) -> bool:
        """Whether another request may follow this answer."""
        if self.keep_alive and (not self.is_received or self.line.wants_close()):
            self.keep_alive = False
        return self.keep_alive

    def _write_whole(self, head: bytes, body: bytes) -> None:
        if not body:
            self.write(head)
        elif len(body) > _LARGE:
            self.line.write_both(head, body)
        else:
            self.write(head + body)


def _last_chunk(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"


def _has_length(headers: list[tuple[bytes, bytes]]) -> bool:
    for name, _ in headers:  # noqa: SIM110  # once per answer: a generator costs as much as the search
        if name == _LENGTH:
            return True
    return False
