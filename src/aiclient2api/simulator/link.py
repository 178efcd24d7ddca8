"""One request's connection: what came in, what goes out, and whether the client is still there."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import cast

Message = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

EXTENSION = "aiclient2api.simulator"
"""The scope extension through which `serve.py` hands over the transport: ASGI cannot break a connection."""


class ClientGone(Exception):
    """The client left before its answer was complete."""


class Link:
    """Talks ASGI; every wait ends when the client leaves."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._gone = asyncio.Event()
        extensions = cast("dict[str, dict[str, asyncio.Transport]]", scope.get("extensions") or {})
        self._transport = extensions.get(EXTENSION, {}).get("transport")

    async def read_body(self) -> bytes:
        """The whole request body."""
        chunks: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            chunks.append(cast(bytes, message.get("body", b"")))
            if not message.get("more_body", False):
                return b"".join(chunks)

    async def watch(self) -> None:
        """Wait for the client to leave; runs beside the answer."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone.set()

    async def start(self, status: int, headers: Headers) -> None:
        """The response head."""
        self._check()
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """A piece of the body; the loop runs once, so that a client that left is noticed."""
        self._check()
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})
        await asyncio.sleep(0)

    async def answer(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """A whole response."""
        await self.start(status, [*headers, (b"content-length", str(len(body)).encode())])
        await self.write(body, last=True)

    async def pause(self, seconds: float) -> None:
        """Wait, unless the client leaves first."""
        if seconds > 0:
            try:
                async with asyncio.timeout(seconds):
                    await self._gone.wait()
            except TimeoutError:
                return
        self._check()

    async def stall(self) -> None:
        """Wait until the client leaves."""
        await self._gone.wait()
        raise ClientGone

    async def cut(self) -> None:
        """Close the connection in the middle of the response; what was written still arrives."""
        if self._transport is None:
            raise ConnectionAbortedError("cut by the scenario")
        self._transport.close()
        await self._gone.wait()

    async def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        if self._transport is None:
            raise ConnectionResetError("reset by the scenario")
        connection = cast("socket.socket | None", self._transport.get_extra_info("socket"))
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
        await self._gone.wait()

    def hang_up(self) -> None:
        """Close the connection because the simulator stops."""
        if self._transport is not None:
            self._transport.close()

    def _check(self) -> None:
        if self._gone.is_set():
            raise ClientGone
