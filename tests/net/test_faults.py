"""Upstreams that break HTTP, or break off; and what is known about the request then."""

from __future__ import annotations

import asyncio
import zlib

import pytest

from aiclient2api.errors import Malformed, TimedOut, Truncated, UpstreamError, UpstreamFailed
from aiclient2api.net.lean import LeanTransport
from aiclient2api.net.transport import Timeouts, Transport
from tests.fakes.calls import PATIENCE, answered, call
from tests.fakes.raw_server import Connection, RawServer, always, chunked, in_turn, once, whole

BIG = b"x" * 24_000_000
"""More than the kernel buffers for two sockets."""


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            id="two lengths",
        ),
        pytest.param(
            b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", id="another protocol"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 1_000_000 + b"\r\n\r\n", id="a header of a megabyte"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: y\r\n" % n for n in range(10_000)) + b"\r\n",
            id="ten thousand headers",
        ),
        pytest.param(b"hello\n", id="HTTP/0.9"),
        pytest.param(b"HTTP/1.1 abc\r\n\r\n", id="no status"),
        pytest.param(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n", id="no number"),
        pytest.param(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", id="no header"),
    ],
)
async def test_what_is_not_http_is_the_upstreams_failure(transport: Transport, response: bytes) -> None:
    async with RawServer(once(response)) as server, asyncio.timeout(PATIENCE):
        with pytest.raises(UpstreamFailed) as raised:
            await transport.send(call(server.url))

        assert raised.value.sent
        assert server.connections == 1


async def test_interim_responses_are_passed_over(transport: Transport) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    async with RawServer(always(early + whole(b"hello"))) as server:
        assert [await answered(transport, server.url) for _ in range(3)] == [b"hello"] * 3

        assert server.connections == 1


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(whole(b"hello") + b"junk", id="junk"),
        pytest.param(whole(b"hello") + whole(b"forged"), id="another response"),
        pytest.param(whole(b"hello", headers="connection: close\r\n"), id="its own wish"),
        pytest.param(b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", id="an old protocol"),
    ],
)
async def test_what_follows_a_response_never_answers_the_next_request(
    transport: Transport, response: bytes
) -> None:
    async with RawServer(in_turn(once(response), always(whole(b"mine")))) as server:
        try:
            assert await answered(transport, server.url) == b"hello"
        except UpstreamFailed:
            assert response.endswith(b"junk"), "aiohttp takes offence at this one"
        assert await answered(transport, server.url) == b"mine"

        assert [request.connection for request in server.requests] == [0, 1]


async def test_bytes_on_a_resting_connection_close_it() -> None:
    closed = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(whole(b"hello"))
        await given.wait()
        await connection.send(whole(b"forged"))
        await connection.gone()
        closed.set()

    given = asyncio.Event()
    transport = LeanTransport()
    async with RawServer(script) as server, asyncio.timeout(PATIENCE):
        assert await answered(transport, server.url) == b"hello"
        given.set()

        await closed.wait()
    await transport.close()


async def test_a_chunk_that_is_none_is_never_passed_on(transport: Transport) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(chunked(b"hello", end=False))
        await seen.wait()
        await connection.send(b"zz\r\nworld\r\n0\r\n\r\n")
        await connection.gone()

    seen = asyncio.Event()
    async with RawServer(script) as server, asyncio.timeout(PATIENCE):
        stream = await transport.send(call(server.url, Timeouts(idle=0.3)))
        assert await stream.receive() == b"hello"
        seen.set()

        with pytest.raises((Malformed, Truncated, TimedOut)):  # aiohttp 3.14 goes on waiting
            await stream.receive()

        stream.abort()


def _gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    return packer.compress(data) + packer.flush()


def _packed(body: bytes, coding: str) -> bytes:
    return whole(body, headers=f"content-encoding: {coding}\r\n")


@pytest.mark.parametrize(
    ("coding", "body"),
    [("gzip", _gzip(b"hello")), ("deflate", zlib.compress(b"hello")), ("identity", b"hello")],
)
async def test_a_body_that_was_compressed_all_the_same_is_read(
    transport: Transport, coding: str, body: bytes
) -> None:
    async with RawServer(always(_packed(body, coding))) as server:
        assert [await answered(transport, server.url) for _ in range(2)] == [b"hello"] * 2

        assert server.connections == 1


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(_packed(_gzip(b"\0" * 200_000_000), "gzip"), id="a bomb"),
        pytest.param(_packed(b"hello", "br"), id="an unknown encoding"),
        pytest.param(_packed(b"hello", "gzip"), id="not the encoding"),
    ],
)
async def test_an_encoding_that_cannot_be_undone_is_malformed(transport: Transport, response: bytes) -> None:
    async with RawServer(always(response)) as server:
        stream = await transport.send(call(server.url))
        assert stream.status == 200, "the status is known all the same"

        with pytest.raises(Malformed):
            while await stream.receive():
                pass

        stream.abort()


async def test_a_head_that_drips_times_out_as_a_whole(transport: Transport) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            await connection.send(b"x: y\r\n")
            await asyncio.sleep(0.02)

    limits = Timeouts(pool=0.1, connect=1.0, headers=1.0, idle=PATIENCE)
    async with RawServer(script) as server, asyncio.timeout(PATIENCE):
        with pytest.raises(TimedOut) as raised:
            await transport.send(call(server.url, limits))

        assert raised.value.sent


async def test_an_upstream_that_stops_reading_times_out_and_did_not_get_the_request(
    transport: Transport,
) -> None:
    ended = asyncio.Event()

    async def script(connection: Connection) -> None:
        await ended.wait()

    limits = Timeouts(pool=0.1, connect=1.0, write=0.2, headers=0.2)
    async with RawServer(script) as server, asyncio.timeout(PATIENCE):
        with pytest.raises(TimedOut) as raised:
            await transport.send(call(server.url, limits, body=BIG))
        ended.set()

        assert not raised.value.sent


async def test_a_slow_reader_of_the_request_is_not_a_stalled_one() -> None:
    """Each step is shorter than the limit, all of them are longer."""

    async def script(connection: Connection) -> None:
        await connection.read_slowly(len(BIG), pauses=12, seconds=0.05)
        await connection.send(whole(b"got it"))

    transport = LeanTransport()
    async with RawServer(script) as server, asyncio.timeout(4 * PATIENCE):
        limits = Timeouts(connect=1.0, write=0.4, headers=PATIENCE)
        stream = await transport.send(call(server.url, limits, body=BIG))

        assert await stream.read(100) == b"got it"
        stream.abort()
    await transport.close()


async def test_a_reset_tells_whether_the_request_had_gone(transport: Transport) -> None:
    async def at_once(connection: Connection) -> None:
        connection.reset()

    async def after_it(connection: Connection) -> None:
        await connection.request()
        connection.reset()

    async def in_the_middle(connection: Connection) -> None:
        await connection.read_slowly(1_000_000, pauses=1, seconds=0)
        connection.reset()

    for script, body, sent in (
        (at_once, BIG, False),
        (in_the_middle, BIG, False),
        (after_it, b"{}", True),
    ):
        async with RawServer(script) as server:
            with pytest.raises(UpstreamError) as raised:
                await transport.send(call(server.url, body=body))

            assert raised.value.sent is sent


async def test_an_answer_before_the_request_is_complete_is_taken_and_the_connection_not_used_again(
    transport: Transport,
) -> None:
    async def refuse(connection: Connection) -> None:
        await connection.read_slowly(1, pauses=1, seconds=0)
        await connection.send(whole(b"too large", "413 Too Large"))
        await connection.gone()

    async with RawServer(in_turn(refuse, always(whole(b"fine")))) as server, asyncio.timeout(PATIENCE):
        stream = await transport.send(call(server.url, body=BIG))
        assert (stream.status, await stream.read(100)) == (413, b"too large")
        await stream.release(0.1)

        assert await answered(transport, server.url) == b"fine"
        assert server.requests[-1].connection == 1


async def test_a_reset_after_the_last_byte_is_no_failure(transport: Transport) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(chunked(b"data: [DONE]\n\n"))
        await taken.wait()
        connection.reset()

    taken = asyncio.Event()
    async with RawServer(script) as server, asyncio.timeout(PATIENCE):
        stream = await transport.send(call(server.url))
        assert await stream.receive() == b"data: [DONE]\n\n"
        taken.set()

        assert await stream.receive() == b""
        await stream.release(1.0)


async def test_trailers_without_end_break_a_stream_that_is_poured(transport: Transport) -> None:
    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(chunked(b"data: 1\n\n", end=False) + b"0\r\n")
        for number in range(10_000):
            await connection.send(b"x-%d: y\r\n" % number)
        await connection.gone()

    async with RawServer(script) as server, asyncio.timeout(PATIENCE):
        with pytest.raises((Malformed, Truncated, UpstreamFailed)):  # by how much comes with the head
            await (await transport.send(call(server.url))).pour(bool)
