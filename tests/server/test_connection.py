"""What a connection does when the application behind it is wrong, absent or late."""

from __future__ import annotations

import asyncio

from aiclient2api.errors import Busy, GatewayError
from aiclient2api.server.asgi import Receive, Scope, Send
from aiclient2api.server.http.connection import Connection
from aiclient2api.server.http.edge import Edge
from aiclient2api.server.http.settings import HttpSettings
from aiclient2api.server.pressure import Pressure
from aiclient2api.wire.http import WireRequest, WireResponse
from tests.server.lean import END, AsAsgi, Recorder, answer, answers, lean, respond


class Streaming(Recorder):
    """Streams what it is given, then ends, raises or waits."""

    def __init__(self, *parts: bytes, then: str = "end") -> None:
        super().__init__()
        self.parts = parts
        self.then = then
        self.cancelled = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in self.parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        if self.then == "end":
            await send({"type": "http.response.body", "body": b""})
        elif self.then == "wait":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as cancelled:
                self.refused.append(str(cancelled.args[0]) if cancelled.args else "")
                self.cancelled.set()
                raise


async def test_a_stream_is_sent_in_chunks_and_ended() -> None:
    async with lean(Streaming(b"ab", b"", b"c" * 16)) as (_, port):
        told = await answers(port, END)

    assert told.endswith(b"\r\n\r\n2\r\nab\r\n10\r\n" + b"c" * 16 + b"\r\n0\r\n\r\n")


async def test_a_stream_that_breaks_has_no_last_chunk() -> None:
    async with lean(Streaming(b"ab", then="break")) as (_, port):
        told = await answers(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert told.endswith(b"2\r\nab\r\n"), "closed, and not ended the way a complete one is"


async def test_a_cancelled_request_learns_why() -> None:
    streaming = Streaming(b"ab", then="wait")
    async with lean(streaming) as (edge, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"ab\r\n")
        next(iter(edge.connections)).cancel(Busy("out of memory"))
        await streaming.cancelled.wait()
        assert await reader.read() == b""
        writer.close()

    assert streaming.refused == ["out of memory"]


async def test_one_connection_carries_many_requests() -> None:
    recorder = Recorder()
    async with lean(recorder) as (edge, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(5):
            writer.write(b"POST /a HTTP/1.1\r\nHost: a\r\ncontent-length: 2\r\n\r\nhi")
            assert (await answer(reader))[1] == b"ok"
        assert len(edge.connections) == 1
        writer.close()

    assert recorder.seen == ["POST /a hi"] * 5


class Sink(asyncio.Transport):
    """Keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high == 65536

    def close(self) -> None:
        self.written.append(b"closed")


async def connected(app: object, sink: Sink) -> Connection:
    bugs: list[Exception] = []
    edge = Edge(
        AsAsgi(app), HttpSettings(), asyncio.get_running_loop(), Pressure(1 << 40, lambda: 0.0), bugs.append
    )  # pyright: ignore[reportArgumentType]
    connection = Connection(edge)
    connection.connection_made(sink)
    return connection


async def test_a_whole_answer_is_one_write() -> None:
    sink = Sink()
    connection = await connected(Recorder(), sink)
    connection.data_received(b"POST /a HTTP/1.1\r\nHost: a\r\ncontent-length: 2\r\n\r\nhi")
    while not sink.written:
        await asyncio.sleep(0)

    assert len(sink.written) == 1
    assert sink.written[0].endswith(b"\r\n\r\nok")
    connection.connection_lost(None)


async def test_each_part_of_a_stream_is_one_write() -> None:
    sink = Sink()
    connection = await connected(Streaming(b"a", b"b", b"c"), sink)
    connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    while len(sink.written) < 4:
        await asyncio.sleep(0)

    assert sink.written[0].endswith(b"\r\n\r\n1\r\na\r\n"), "the head waits for the first part"
    assert sink.written[1:] == [b"1\r\nb\r\n", b"1\r\nc\r\n", b"0\r\n\r\n"]
    connection.connection_lost(None)


class Gone(Sink):
    """The client has broken the connection off, and nobody was told yet."""

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        raise OSError(107, "Transport endpoint is not connected")

    def abort(self) -> None:
        self.written.append(b"aborted")


async def test_a_client_that_is_gone_before_its_refusal_raises_nothing() -> None:
    sink = Gone()
    connection = await connected(Recorder(), sink)
    connection.data_received(b"GET / HTTP/1.1\r\n\r\n")

    assert sink.written[0].startswith(b"HTTP/1.1 400 ")
    assert sink.written[-1] == b"aborted"
    connection.connection_lost(None)


class Broken(Recorder):
    """Cannot even word a refusal, and adds a line to a header."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        headers = [(b"x-a", b"1\r\nset-cookie: b"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def refusal(self, head: WireRequest, error: GatewayError) -> WireResponse:
        """See Application."""
        raise KeyError("protocol")


async def test_an_application_that_cannot_refuse_leaks_no_connection() -> None:
    async with lean(Broken(), bugs=2) as (edge, port):
        assert (await answers(port, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
        assert await answers(port, END) == b"", "a header with a line end in it is not sent"
        assert not edge.connections


async def test_respond_is_what_the_other_tests_think() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(send, 204, b"")

    async with lean(app) as (_, port):
        told = await answers(port, END)

    assert told.startswith(b"HTTP/1.1 204 No Content\r\n")
