"""Clients that send and do not read, that stop in the middle of a body, or send one that nobody wants."""

from __future__ import annotations

import asyncio
import socket

import pytest

from aiclient2api.server.asgi import Receive, Scope, Send
from aiclient2api.server.http.connection import BODY_WATER, Connection
from aiclient2api.server.http.edge import NOT_HTTP, Edge
from aiclient2api.server.http.settings import MAX_PIPELINED, ClientTimeouts, HttpSettings
from tests.server.lean import Recorder, answer, lean, respond

SECONDS = 20.0
GET = b"GET /%d HTTP/1.1\r\nHost: gateway\r\n\r\n"
POST = b"POST %b HTTP/1.1\r\nHost: gateway\r\nContent-Length: %d\r\n\r\n"
ANSWER = 4096


class Unread(Recorder):
    """Answers without a look at the body, `/reads` aside; `/waits` not before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["path"] == "/reads":
            await super().__call__(scope, receive, send)
            return
        if scope["path"] == "/waits":
            await self.may_go_on.wait()
        self.seen.append(scope["path"])
        await respond(send, 401, scope["path"].encode() + b" " * ANSWER)


def narrow(port: int) -> socket.socket:
    """A client whose system takes little on its behalf."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.setblocking(False)
    return client


async def the(edge: Edge) -> Connection:
    """The one connection, once it is there."""
    while not edge.connections:
        await asyncio.sleep(0)
    (connection,) = edge.connections
    return connection


async def filled(client: socket.socket, connection: Connection, app: Unread) -> int:
    """Ask, one by one, until the answers stand in the way of more; how often it was."""
    asked = 0
    while not connection.is_full:
        await asyncio.get_running_loop().sock_sendall(client, GET % asked)
        asked += 1
        while len(app.seen) < asked:
            await asyncio.sleep(0)
    return asked


async def test_answers_that_nobody_reads_do_not_pile_up() -> None:
    app, loop = Unread(), asyncio.get_running_loop()
    async with lean(app, HttpSettings(timeouts=ClientTimeouts(write=0.2))) as (edge, port):
        with narrow(port) as client:
            async with asyncio.timeout(SECONDS):
                connection = await the(edge)
                asked = await filled(client, connection, app)
                with pytest.raises(ConnectionError):
                    while True:  # what it goes on to send wins it no time
                        await loop.sock_sendall(client, b"GET")
                        await loop.sock_sendall(client, (GET % 1)[3:])
                        await asyncio.sleep(0.001)

    assert len(app.seen) == asked


async def test_who_reads_late_gets_every_answer_in_order_and_the_refusal_last() -> None:
    app, loop = Unread(), asyncio.get_running_loop()
    async with lean(app) as (edge, port), asyncio.timeout(SECONDS):
        with narrow(port) as client:
            connection = await the(edge)
            asked = await filled(client, connection, app)
            for number in range(MAX_PIPELINED + 1):
                await loop.sock_sendall(client, GET % (asked + number))
            while not connection._reader.is_deaf:  # pyright: ignore[reportPrivateUsage]
                await asyncio.sleep(0)
            assert len(app.seen) == asked, "nothing is begun for a client that does not read"
            told = b""
            while part := await loop.sock_recv(client, 1 << 16):
                told += part

    assert told.endswith(NOT_HTTP)
    numbers = [int(line.partition(b" ")[0][1:]) for line in told.split(b"\r\n") if line.startswith(b"/")]
    assert numbers == list(range(asked + MAX_PIPELINED))


async def test_a_large_body_that_nobody_wants_does_not_end_the_reading() -> None:
    app = Unread()
    async with lean(app) as (edge, port), asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        size = BODY_WATER + 1
        writer.write(POST % (b"/waits", 0) + POST % (b"/unread", size) + b"a" * size)
        connection = await the(edge)
        while connection._newest is None or not connection._newest.is_received:  # pyright: ignore[reportPrivateUsage]
            await asyncio.sleep(0)
        app.may_go_on.set()
        await answer(reader)
        await answer(reader)
        writer.write(GET % 3)
        assert (await answer(reader))[1].strip() == b"/3"
        writer.close()


async def test_a_body_that_had_to_wait_has_a_time_limit_all_the_same() -> None:
    app = Unread()
    settings = HttpSettings(timeouts=ClientTimeouts(body_idle=0.05))
    async with lean(app, settings) as (edge, port), asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = BODY_WATER + 1
        writer.write(POST % (b"/waits", 0) + POST % (b"/reads", 2 * sent) + b"a" * sent)
        connection = await the(edge)
        while connection._newest is None or connection._newest.held < sent:  # pyright: ignore[reportPrivateUsage]
            await asyncio.sleep(0)
        app.may_go_on.set()
        await answer(reader)
        await answer(reader)
        assert app.refused == ["the request body took too long"]
        writer.close()
