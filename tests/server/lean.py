"""Our HTTP server around any application, and raw bytes for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiclient2api.errors import GatewayError
from aiclient2api.server.asgi import Receive, Scope, Send
from aiclient2api.server.http.connection import Connection
from aiclient2api.server.http.edge import Edge
from aiclient2api.server.http.exchange import HttpExchange
from aiclient2api.server.http.settings import HttpSettings
from aiclient2api.server.pressure import Pressure
from aiclient2api.wire.http import WireRequest, WireResponse

DEADLINE = 10.0
END = b"GET /end HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"


class AsAsgi:
    """Any ASGI application as what our server serves."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def refusal(self, head: WireRequest, error: GatewayError) -> WireResponse:
        """See Application."""
        return self._app.refusal(head, error)

    async def serve(self, client: HttpExchange) -> None:
        """See Application."""
        path, _, query = client.head.target.partition(b"?")
        scope = {
            "type": "http",
            "method": client.head.method,
            "path": client.asked.head.path,
            "raw_path": path,
            "query_string": query,
            "headers": client.head.headers,
        }
        await self._app(scope, client.receive, client.send)


class Recorder:
    """Answers every whole request and remembers it as `METHOD target body`."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.refused: list[str] = []
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        self.scopes.append(scope)
        body, has_more = b"", True
        while has_more:
            try:
                message = await receive()
            except GatewayError as error:
                self.refused.append(str(error))
                await respond(send, 400, b"")
                return
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            has_more = message["more_body"]
        target = (scope["raw_path"] + b"?" + scope["query_string"]).rstrip(b"?").decode("latin-1")
        self.seen.append(f"{scope['method']} {target} {body.decode('latin-1')}".rstrip())
        await respond(send, 200, b"ok")

    def refusal(self, head: WireRequest, error: GatewayError) -> WireResponse:
        """See Application."""
        self.refused.append(str(error))
        return WireResponse(status=400, body=f"refused {head.path}".encode())


async def respond(send: Send, status: int, body: bytes) -> None:
    """A whole answer."""
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def lean(
    app: object,
    settings: HttpSettings | None = None,
    load: Callable[[], float] = lambda: 0.0,
    bugs: int = 0,
) -> AsyncIterator[tuple[Edge, int]]:
    """The server on a free port; yields what its connections share, and the port. `bugs`: so many are reported."""
    loop = asyncio.get_running_loop()
    found: list[Exception] = []
    edge = Edge(AsAsgi(app), settings or HttpSettings(), loop, Pressure(1 << 40, load), found.append)  # pyright: ignore[reportArgumentType]
    server = await loop.create_server(lambda: Connection(edge), "127.0.0.1", 0)
    try:
        yield edge, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in list(edge.connections):
            connection.abort()
        while edge.connections:
            await asyncio.sleep(0)
    assert len(found) == bugs, found


async def answers(port: int, *parts: bytes) -> bytes:
    """Everything that comes back until the server closes."""
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """One answer with a length: its head and its body."""
    async with asyncio.timeout(DEADLINE):
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line[15:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return head, await reader.readexactly(int(lengths[0])) if lengths else b""
