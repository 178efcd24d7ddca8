"""Many at once, slow readers, and callers that go away."""

from __future__ import annotations

import asyncio
import random
from hashlib import sha256

import pytest
import uvloop

from aiclient2api.errors import Saturated
from aiclient2api.net.lean import LeanTransport
from aiclient2api.net.pool import MAX_WAITING
from aiclient2api.net.transport import Timeouts, Transport
from tests.fakes.calls import PATIENCE, call
from tests.fakes.raw_server import Connection, RawServer, chunked, whole
from tests.net.conftest import Make

CANCELLED = 7_500
CANCELLED_ELSEWHERE = 1_500
"""On what is not the default of a running gateway."""
PIECE = bytes(range(256)) * 1024
PIECES = 200
"""Fifty megabytes in all."""
BUFFERED = 1024 * 1024
"""Bytes that may have been read ahead of a reader that does not read."""


async def echo(connection: Connection) -> None:
    """Answers with the request's body, in two pieces; `silence` gets none, `half` only the first."""
    while request := await connection.request():
        if request.body == b"silence":
            await connection.gone()
        await connection.send(chunked(request.body, end=False))
        if request.body == b"half":
            await connection.gone()
        await connection.send(b"3\r\nend\r\n0\r\n\r\n")


async def asked(transport: Transport, url: str, body: bytes, limits: Timeouts | None = None) -> bytes:
    stream = await transport.send(call(url, limits, body=body))
    try:
        answer = await stream.read(1000)
    except BaseException:
        stream.abort()
        raise
    await stream.release(1.0)
    return answer


async def test_cancelling_at_any_moment_costs_no_place(transport: Transport) -> None:
    """Callers go away while they wait for a place, dial, send, wait for the head, or read; ten places stay ten."""
    draw = random.Random(1)
    is_default = isinstance(transport, LeanTransport) and isinstance(asyncio.get_running_loop(), uvloop.Loop)
    bodies = (b"quick", b"half", b"silence")

    async def leave(url: str) -> None:
        task = asyncio.ensure_future(asked(transport, url, draw.choice(bodies), Timeouts(pool=PATIENCE)))
        for _ in range(draw.randrange(25)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async with RawServer(echo) as server:
        for _ in range((CANCELLED if is_default else CANCELLED_ELSEWHERE) // 30):
            await asyncio.gather(*(leave(server.url) for _ in range(30)))

        together = asyncio.Barrier(10)

        async def hold() -> None:
            stream = await transport.send(call(server.url, body=b"half"))
            assert await stream.receive() == b"half"
            await together.wait()  # all ten are open at the same time
            stream.abort()

        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(hold() for _ in range(10)))


async def test_streams_at_the_same_time_share_nothing(make: Make) -> None:
    transport = make({"openai": 100})
    all_here = asyncio.Barrier(100)

    async def script(connection: Connection) -> None:
        while request := await connection.request():
            await connection.send(chunked(request.body, end=False))
            await all_here.wait()
            await connection.send(b"3\r\nend\r\n0\r\n\r\n")

    async with RawServer(script) as server, asyncio.timeout(2 * PATIENCE):
        for _ in range(3):
            answers = await asyncio.gather(
                *(asked(transport, server.url, b"number %d " % number) for number in range(100))
            )
            assert answers == [b"number %d end" % number for number in range(100)]

        assert server.connections == 100
    await transport.close()


async def test_a_reader_that_does_not_read_stops_the_upstream(transport: Transport) -> None:
    written = 0

    async def script(connection: Connection) -> None:
        nonlocal written
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (len(PIECE) * PIECES))
        for _ in range(PIECES):
            await connection.send(PIECE)
            written += len(PIECE)
        await connection.gone()

    async with RawServer(script) as server, asyncio.timeout(4 * PATIENCE):
        stream = await transport.send(call(server.url))
        before = -1
        while before != written:  # until nothing more goes into the kernel's buffers
            before = written
            await asyncio.sleep(0.1)
        assert written < len(PIECE) * PIECES, "all of it went somewhere"

        first = await stream.receive()
        assert len(first) <= BUFFERED
        digest = sha256(first)
        largest = 0
        while piece := await stream.receive():
            digest.update(piece)
            largest = max(largest, len(piece))

        assert digest.hexdigest() == sha256(PIECE * PIECES).hexdigest()
        assert largest <= BUFFERED
        await stream.release(1.0)


@pytest.mark.parametrize("pieces", [1, 10_000])
async def test_bytes_keep_their_order_however_they_are_cut(transport: Transport, pieces: int) -> None:
    text = b"".join(b"%d," % number for number in range(10_000))
    step = max(1, len(text) // pieces)
    chunks = [text[at : at + step] for at in range(0, len(text), step)]

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(chunked(*chunks))
        await connection.gone()

    async with RawServer(script) as server, asyncio.timeout(PATIENCE):
        stream = await transport.send(call(server.url))

        assert await stream.read(len(text)) == text
        stream.abort()


async def test_when_all_connections_are_in_use_callers_wait_in_order(make: Make) -> None:
    transport = make({"openai": 1})
    async with RawServer(echo) as server, asyncio.timeout(PATIENCE):
        first = await transport.send(call(server.url, body=b"half"))
        waiting: list[asyncio.Future[bytes]] = []
        for number in range(5):
            limits = Timeouts(pool=PATIENCE)
            waiting.append(asyncio.ensure_future(asked(transport, server.url, b"%d" % number, limits)))
            await asyncio.sleep(0)
        waiting.pop(2).cancel()
        first.abort()

        assert await asyncio.gather(*waiting) == [b"0end", b"1end", b"3end", b"4end"]
        assert [request.body for request in server.requests] == [b"half", b"0", b"1", b"3", b"4"]
    await transport.close()


async def test_who_waits_too_long_for_a_connection_is_told_so(make: Make) -> None:
    transport = make({"openai": 1})
    async with RawServer(echo) as server, asyncio.timeout(PATIENCE):
        first = await transport.send(call(server.url, body=b"half"))
        with pytest.raises(Saturated) as raised:
            await transport.send(call(server.url, Timeouts(pool=0.05, connect=0.05)))
        first.abort()

        assert not raised.value.sent
        assert await asked(transport, server.url, b"after ") == b"after end"
    await transport.close()


async def test_only_so_many_wait_for_a_connection() -> None:
    transport = LeanTransport({"openai": 1})
    async with RawServer(echo) as server, asyncio.timeout(2 * PATIENCE):
        first = await transport.send(call(server.url, body=b"half"))
        limits = Timeouts(pool=60.0)
        waiting = [
            asyncio.ensure_future(transport.send(call(server.url, limits))) for _ in range(MAX_WAITING)
        ]
        await asyncio.sleep(0)

        with pytest.raises(Saturated):
            await transport.send(call(server.url, limits))

        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        first.abort()
        assert await asked(transport, server.url, b"after ") == b"after end"
    await transport.close()


async def test_hosts_of_a_provider_share_its_limit_and_make_room_for_each_other(make: Make) -> None:
    transport = make({"openai": 2})

    async def script(connection: Connection) -> None:
        while await connection.request():
            await connection.send(whole(b"hello"))

    async with RawServer(script) as one, RawServer(script) as two, RawServer(script) as three:
        for server in (one, two, three, one):
            stream = await transport.send(call(server.url))
            assert await stream.read(100) == b"hello"
            await stream.release(1.0)
    await transport.close()
