"""An HTTP/1.1 server without manners: each connection runs a script that says exactly which bytes come when."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self

from aiclient2api.wire.http import Headers, find_header

PATIENCE = 5.0
"""Seconds until a script that waits for something gives up."""


class Request(NamedTuple):
    """One request as it was sent."""

    connection: int
    method: str
    target: str
    headers: Headers
    body: bytes


class Connection:
    """One accepted connection, in a script's hands. `number` counts from 0."""

    def __init__(
        self, server: RawServer, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.number = number
        self._server = server
        self._reader = reader
        self._writer = writer

    async def request(self) -> Request | None:
        """Read the next request; None when the client has closed."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        first, *lines = head.decode("latin-1").splitlines()[:-1]
        method, target, _ = first.split(" ")
        pairs = [line.partition(":") for line in lines]
        headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
        body = await self._reader.readexactly(int(find_header(headers, "content-length") or 0))
        request = Request(self.number, method, target, headers, body)
        self._server.requests.append(request)
        return request

    async def read_slowly(self, size: int, pauses: int, seconds: float) -> None:
        """Read `size` bytes with pauses in between."""
        step = size // pauses
        for _ in range(pauses):
            await self._reader.readexactly(step)
            await asyncio.sleep(seconds)

    async def send(self, data: bytes) -> None:
        """Write bytes."""
        self._writer.write(data)
        await self._writer.drain()

    def half_close(self) -> None:
        """Say that nothing more will be sent (FIN), and go on reading."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Break the connection off (RST)."""
        connected: socket.socket = self._writer.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the client has closed the connection."""
        with suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE):
                while await self._reader.read(65_536):
                    pass

    async def close(self) -> None:
        """Close it in an orderly way."""
        self._writer.close()
        with suppress(ConnectionError, TimeoutError, ssl.SSLError):
            async with asyncio.timeout(PATIENCE):
                await self._writer.wait_closed()


Script = Callable[[Connection], Awaitable[None]]


class RawServer:
    """Runs `script` for every connection, on a loopback address."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self._host = host
        self.requests: list[Request] = []
        self.connections = 0
        self._script = script
        self._tls = tls
        self._running: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Where it listens."""
        port: int = self._server.sockets[0].getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._host, 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, self.connections, reader, writer)
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            await self._script(connection)
        except (asyncio.CancelledError, ConnectionError):
            pass  # the test is over, or the client went away as it should
        finally:
            await connection.close()
            self._running.discard(task)


def whole(body: bytes = b"{}", status: str = "200 OK", headers: str = "") -> bytes:
    """A complete response."""
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


def chunked(*chunks: bytes, end: bool = True) -> bytes:
    """A response in chunks; without its `end` it was cut."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body + (b"0\r\n\r\n" if end else b"")


def always(response: bytes) -> Script:
    """The same response to every request, over and over."""

    async def script(connection: Connection) -> None:
        while await connection.request():
            await connection.send(response)

    return script


def once(response: bytes) -> Script:
    """One response, then the connection is closed."""

    async def script(connection: Connection) -> None:
        if await connection.request():
            await connection.send(response)

    return script


def in_turn(*scripts: Script) -> Script:
    """The first connection runs the first script, and so on; the last one serves all others."""

    async def script(connection: Connection) -> None:
        await scripts[min(connection.number, len(scripts) - 1)](connection)

    return script
