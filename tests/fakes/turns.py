"""An upstream whose answers are scripted per account, on a real socket: every call runs the next script of its key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from tests.fakes.raw_server import Connection, RawServer, find_header

Turn = Callable[[Connection], Awaitable[None]]


def key_of(headers: Sequence[tuple[str, str]]) -> str:
    """The account's key, in whatever header its protocol puts it."""
    for name in ("x-api-key", "x-goog-api-key", "authorization"):
        value = find_header(tuple(headers), name)
        if value is not None:
            return value.removeprefix("Bearer ")
    return ""


class Turns:
    """`scripts` by key: one turn per call, the last one for all later calls. `calls` are the keys that were asked."""

    def __init__(self, **scripts: Sequence[Turn]) -> None:
        self.scripts = scripts
        self.calls: list[str] = []
        self.open = 0
        """Connections under way."""

    async def _serve(self, connection: Connection) -> None:
        self.open += 1
        try:
            while (request := await connection.request()) is not None:
                key = key_of(request.headers)
                turns = self.scripts[key]
                turn = turns[min(self.calls.count(key), len(turns) - 1)]
                self.calls.append(key)
                await turn(connection)
        finally:
            self.open -= 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Yields the base URL."""
        async with RawServer(self._serve) as server:
            yield server.url


def stream(*pieces: bytes, content_type: str = "text/event-stream", end: bool = True) -> Turn:
    """A chunked answer with status 200; without its `end` the connection is closed unfinished."""

    async def turn(connection: Connection) -> None:
        await begin(connection, content_type)
        for piece in pieces:
            await chunk(connection, piece)
        if end:
            await connection.send(b"0\r\n\r\n")
        else:
            connection.half_close()

    return turn


def body(status: int, content: bytes, content_type: str = "application/json") -> Turn:
    """A whole answer."""

    async def turn(connection: Connection) -> None:
        head = f"HTTP/1.1 {status} Status\r\ncontent-type: {content_type}\r\ncontent-length: {len(content)}\r\n\r\n"
        await connection.send(head.encode() + content)

    return turn


def silent(*pieces: bytes) -> Turn:
    """The pieces, and then nothing until the gateway closes."""

    async def turn(connection: Connection) -> None:
        if pieces:
            await begin(connection)
        for piece in pieces:
            await chunk(connection, piece)
        await connection.gone()

    return turn


def pinging(ping: bytes, *pieces: bytes, every: float = 0.02) -> Turn:
    """The pieces, and then nothing but pings."""

    async def turn(connection: Connection) -> None:
        await begin(connection)
        for piece in pieces:
            await chunk(connection, piece)
        while True:
            await chunk(connection, ping)
            await asyncio.sleep(every)

    return turn


def after(seconds: float, then: Turn) -> Turn:
    """Something that comes late."""

    async def turn(connection: Connection) -> None:
        await asyncio.sleep(seconds)
        await then(connection)

    return turn


async def begin(connection: Connection, content_type: str = "text/event-stream") -> None:
    """Status and headers of a stream."""
    head = f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: {content_type}\r\n\r\n"
    await connection.send(head.encode())


async def chunk(connection: Connection, data: bytes) -> None:
    """One piece of the body."""
    await connection.send(b"%x\r\n%b\r\n" % (len(data), data))
