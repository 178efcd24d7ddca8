from __future__ import annotations

import asyncio

import pytest

from aiclient2api.errors import Malformed, TimedOut, Truncated
from aiclient2api.net.lean import LeanTransport
from aiclient2api.net.pooled import PooledTransport
from aiclient2api.net.transport import Timeouts, Transport
from tests.fakes.calls import PATIENCE, answered, call
from tests.fakes.raw_server import Connection, RawServer, Script, always, chunked, once, whole


async def test_the_head_is_given_before_the_body(transport: Transport) -> None:
    go_on = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(
            b"HTTP/1.1 429 Slow\r\nX-Trace: 1\r\nretry-after: 3\r\ncontent-length: 2\r\n\r\n"
        )
        await go_on.wait()
        await connection.send(b"ok")

    async with RawServer(script) as server:
        stream = await transport.send(call(server.url))
        assert stream.status == 429
        assert stream.headers == (("x-trace", "1"), ("retry-after", "3"), ("content-length", "2"))
        go_on.set()

        assert await stream.receive() == b"ok"
        assert await stream.receive() == b""


async def test_pieces_are_given_as_they_come(transport: Transport) -> None:
    go_on = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(chunked(b"data: 1\n\n", end=False))
        await go_on.wait()
        await connection.send(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")

    async with RawServer(script) as server:
        stream = await transport.send(call(server.url))
        first = await stream.receive()
        go_on.set()

        assert (first, await stream.receive(), await stream.receive()) == (
            b"data: 1\n\n",
            b"data: 2\n\n",
            b"",
        )


async def test_a_body_that_ends_with_its_connection_is_whole(transport: Transport) -> None:
    async with RawServer(once(b"HTTP/1.1 200 OK\r\n\r\nhello")) as server:
        assert await answered(transport, server.url) == b"hello"


async def _silent(connection: Connection) -> None:
    await connection.request()
    await connection.gone()


async def test_silence_before_the_head_times_out(transport: Transport) -> None:
    async with RawServer(_silent) as server:
        with pytest.raises(TimedOut) as raised:
            await transport.send(call(server.url, Timeouts(pool=0.0, headers=0.05)))

        assert raised.value.sent


async def test_silence_within_the_body_times_out(transport: Transport) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(chunked(b"data: 1\n\n", end=False))
        await connection.gone()

    async with RawServer(script) as server:
        stream = await transport.send(call(server.url, Timeouts(connect=1.0, idle=0.05)))
        assert await stream.receive() == b"data: 1\n\n"

        with pytest.raises(TimedOut):
            await stream.receive()

        stream.abort()


async def _cut_by_reset(connection: Connection) -> None:
    await connection.request()
    await connection.send(chunked(b"hello", end=False))
    await asyncio.sleep(0)
    connection.reset()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(once(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello"), id="a body too short"),
        pytest.param(once(chunked(b"hello", end=False)), id="no last chunk"),
        pytest.param(once(chunked(b"hello", end=False) + b"8\r\nhal"), id="half a chunk"),
        pytest.param(_cut_by_reset, id="a reset"),
    ],
)
async def test_a_body_that_was_cut_is_never_whole(transport: Transport, script: Script) -> None:
    async with RawServer(script) as server:
        with pytest.raises(Truncated):
            await answered(transport, server.url)


async def test_a_body_over_the_limit_is_malformed(transport: Transport) -> None:
    closed = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(chunked(b"x" * 1000, end=False))
        await connection.gone()
        closed.set()

    async with RawServer(script) as server, asyncio.timeout(PATIENCE):
        with pytest.raises(Malformed):
            await answered(transport, server.url, limit=999)

        await closed.wait()


async def test_a_body_of_exactly_the_limit_is_fine(transport: Transport) -> None:
    async with RawServer(always(whole(b"x" * 1000))) as server:
        assert await answered(transport, server.url, limit=1000) == b"x" * 1000


async def drained(transport: LeanTransport | PooledTransport) -> None:
    """Wait until what was released is read to its end."""
    async with asyncio.timeout(PATIENCE):
        while transport.draining:
            await asyncio.sleep(0)


async def test_the_rest_of_a_body_is_read_so_that_the_connection_can_serve_again(
    transport: LeanTransport | PooledTransport,
) -> None:
    go_on = asyncio.Event()

    async def script(connection: Connection) -> None:
        while await connection.request():
            await connection.send(chunked(b"data: [DONE]\n\n", end=False))
            await go_on.wait()
            await connection.send(b"0\r\n\r\n")

    async with RawServer(script) as server:
        for _ in range(2):
            go_on.clear()
            stream = await transport.send(call(server.url))
            await stream.receive()
            go_on.set()
            await stream.release(PATIENCE)
            await drained(transport)

        assert server.connections == 1


async def test_a_body_that_does_not_end_in_time_costs_its_connection(transport: Transport) -> None:
    closed = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(chunked(b"data: [DONE]\n\n", end=False))
        await connection.gone()
        closed.set()

    async with RawServer(script) as server, asyncio.timeout(PATIENCE):
        stream = await transport.send(call(server.url))
        await stream.receive()
        await stream.release(0.05)

        await closed.wait()


async def test_abort_closes_the_connection_at_once(transport: Transport) -> None:
    closed = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(chunked(b"data: 1\n\n", end=False))
        await connection.gone()
        closed.set()

    async with RawServer(script) as server, asyncio.timeout(PATIENCE):
        stream = await transport.send(call(server.url))
        await stream.receive()

        stream.abort()
        stream.abort()

        await closed.wait()


async def test_aborting_a_complete_answer_is_harmless(transport: Transport) -> None:
    async with RawServer(always(whole(b"hello"))) as server:
        stream = await transport.send(call(server.url))
        await stream.read(100)

        stream.abort()

        assert await answered(transport, server.url) == b"hello"
