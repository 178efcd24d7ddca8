"""Who is let in when there is no room, and after somebody gave up at the door."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

from aiclient2api.server.http.acceptor import Acceptor
from aiclient2api.server.http.connection import Connection
from aiclient2api.server.http.edge import Edge
from aiclient2api.server.http.reader import RequestReader
from aiclient2api.server.http.settings import HttpSettings
from aiclient2api.server.listen import bind
from aiclient2api.server.pressure import Pressure
from tests.certificates import self_signed
from tests.server.lean import END, AsAsgi, Recorder

SECONDS = 20.0


@asynccontextmanager
async def accepting(tls: ssl.SSLContext | None, most: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Our server with room for so many; yields its port, and what is set once somebody had to wait."""
    loop = asyncio.get_running_loop()
    found: list[Exception] = []
    edge = Edge(AsAsgi(Recorder()), HttpSettings(), loop, Pressure(1 << 40, lambda: 0.0), found.append)
    sockets = bind("127.0.0.1", 0)
    is_full = asyncio.Event()

    def has_room() -> bool:
        if len(edge.connections) + acceptor.opening < most:
            return True
        is_full.set()
        return False

    acceptor = Acceptor(sockets, lambda: Connection(edge), has_room, tls, found.append)
    edge.on_left = acceptor.start
    acceptor.start()
    try:
        yield sockets[0].getsockname()[1], is_full
    finally:
        edge.on_left = None
        acceptor.close()
        for connection in list(edge.connections):
            connection.abort()
        while edge.connections:
            await asyncio.sleep(0)
    assert not found


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Of a server, and of a client that trusts it."""
    cert, key = self_signed(folder)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    return server, ssl.create_default_context(cafile=str(cert))


async def test_a_handshake_that_fails_makes_room_for_the_next_client(tmp_path: Path) -> None:
    tls, trust = contexts(tmp_path)
    async with accepting(tls, 1) as (port, is_full), asyncio.timeout(SECONDS):
        _, silent = await asyncio.open_connection("127.0.0.1", port)
        coming = asyncio.ensure_future(asyncio.open_connection("127.0.0.1", port, ssl=trust))
        await is_full.wait()
        silent.close()
        reader, writer = await coming
        writer.write(END)
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        writer.close()


def test_a_handshake_that_fails_leaves_nothing_to_the_garbage_collector(tmp_path: Path) -> None:
    async def failed() -> int:
        tls, _ = contexts(tmp_path)
        async with accepting(tls, 9) as (port, _), asyncio.timeout(SECONDS):
            _, silent = await asyncio.open_connection("127.0.0.1", port)
            silent.close()
            await silent.wait_closed()
            before = readers()
            for _ in range(5):
                _, silent = await asyncio.open_connection("127.0.0.1", port)
                silent.close()
                await silent.wait_closed()
            while asyncio.all_tasks() != {asyncio.current_task()}:
                await asyncio.sleep(0)
            return readers() - before

    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # asyncio's own TLS leaves some
            assert runner.run(failed()) <= 0
    finally:
        gc.enable()


def readers() -> int:
    return sum(isinstance(each, RequestReader) for each in gc.get_objects())
