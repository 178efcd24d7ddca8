from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aiclient2api.errors import Unreachable, UpstreamError, UpstreamFailed
from aiclient2api.net.transport import STALE, Call, Transport
from aiclient2api.wire.http import find_header
from tests.fakes.calls import PATIENCE, answered, call, closed_port
from tests.fakes.raw_server import Connection, RawServer, Script, always, chunked, in_turn, once, whole


async def test_calls_one_after_the_other_share_one_connection(transport: Transport) -> None:
    async with RawServer(always(whole(b"hello"))) as server:
        bodies = [await answered(transport, server.url) for _ in range(100)]

        assert bodies == [b"hello"] * 100
        assert server.connections == 1


async def test_a_request_is_sent_as_it_is_told(transport: Transport) -> None:
    headers = (("authorization", "Bearer k"), ("content-type", "application/json"), ("user-agent", "a2"))
    async with RawServer(always(whole())) as server:
        stream = await transport.send(
            call(f"{server.url}/v1/m%2Fx?a=%41", headers=headers, body=b'{"n":1.50}')
        )
        await stream.release(1.0)

        (request,) = server.requests
        assert (request.method, request.target, request.body) == ("POST", "/v1/m%2Fx?a=%41", b'{"n":1.50}')
        assert set(headers) <= set(request.headers)
        assert find_header(request.headers, "accept-encoding") == "identity"
        assert {name for name, _ in request.headers} == {
            "host",
            "accept-encoding",
            "authorization",
            "content-length",
            "content-type",
            "user-agent",
        }


async def test_a_refused_connection_is_unreachable(transport: Transport) -> None:
    with pytest.raises(Unreachable):
        await transport.send(call(f"http://127.0.0.1:{closed_port()}"))


async def test_an_unknown_host_is_unreachable(transport: Transport) -> None:
    with pytest.raises(Unreachable):
        await transport.send(call("http://nowhere.invalid/v1"))


async def test_an_account_whose_certificates_cannot_be_read_is_unreachable(
    transport: Transport, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")

    for path in (empty, tmp_path / "absent.pem"):
        with pytest.raises(Unreachable):
            await transport.send(call("https://127.0.0.1:9/v1", ca=str(path)))


async def _reset(connection: Connection) -> None:
    await connection.request()
    connection.reset()


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(_reset, id="a reset"),
        pytest.param(once(b""), id="an orderly close"),
        pytest.param(once(b"HTTP/1.1 200 OK\r\ncontent-le"), id="half a head"),
        pytest.param(once(b"SSH-2.0-OpenSSH\r\n\r\n"), id="another protocol"),
        pytest.param(once(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n"), id="a giant header"),
    ],
)
async def test_a_fresh_connection_without_an_answer_is_the_upstreams_failure(
    transport: Transport, script: Script
) -> None:
    async with RawServer(script) as server:
        with pytest.raises(UpstreamFailed):
            await transport.send(call(server.url))

        assert server.connections == 1


@pytest.mark.parametrize("end", ["closed", "reset"])
async def test_a_connection_that_went_stale_is_replaced_once_and_nobody_notices(
    transport: Transport, end: str
) -> None:
    async def stale(connection: Connection) -> None:
        await connection.request()
        await connection.send(whole(b"first"))
        await connection.request()
        if end == "reset":
            connection.reset()

    async with RawServer(in_turn(stale, always(whole(b"second")))) as server:
        assert await answered(transport, server.url) == b"first"
        assert await answered(transport, server.url) == b"second"

        assert server.connections == 2
        assert [request.connection for request in server.requests] == [0, 0, 1]


async def test_an_idle_connection_that_the_upstream_closed_is_not_used_again(
    transport: Transport,
) -> None:
    async with RawServer(once(whole(b"hello"))) as server:
        assert [await answered(transport, server.url) for _ in range(5)] == [b"hello"] * 5

        assert server.connections == 5


async def test_a_stale_connection_is_replaced_only_once(transport: Transport) -> None:
    async def stale(connection: Connection) -> None:
        await connection.request()
        await connection.send(whole(b"first"))
        await connection.request()

    async with RawServer(in_turn(stale, once(b""))) as server:
        await answered(transport, server.url)

        with pytest.raises(UpstreamFailed):
            await transport.send(call(server.url))

        assert [request.connection for request in server.requests] == [0, 0, 1]


async def test_a_connection_that_ends_while_the_upstream_works_is_not_stale(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()

    async def dies_at_work(connection: Connection) -> None:
        await connection.request()
        await connection.send(whole(b"first"))
        await connection.request()
        now = loop.time
        monkeypatch.setattr(loop, "time", lambda: now() + STALE)

    async with RawServer(in_turn(dies_at_work, always(whole(b"again")))) as server:
        await answered(transport, server.url)

        with pytest.raises(UpstreamFailed) as raised:
            await transport.send(call(server.url))

        assert raised.value.sent, "what it may have done is not done again"
        assert len(server.requests) == 2


async def test_a_redirect_is_not_followed(transport: Transport) -> None:
    async with RawServer(always(whole())) as elsewhere:
        moved = whole(b"", "307 Moved", f"location: {elsewhere.url}/\r\n")
        async with RawServer(always(moved)) as server:
            stream = await transport.send(call(server.url, headers=(("authorization", "Bearer k"),)))

            assert stream.status == 307
            await stream.release(1.0)
        assert elsewhere.connections == 0


async def test_the_environment_is_not_asked_for_proxies_or_credentials(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    async with RawServer(always(whole(b"direct"))) as server:
        assert await answered(transport, server.url) == b"direct"

        assert find_header(server.requests[0].headers, "authorization") is None


async def test_cookies_are_not_kept(transport: Transport) -> None:
    async with RawServer(always(whole(headers="set-cookie: a=b\r\n"))) as server:
        await answered(transport, server.url)
        await answered(transport, server.url)

        assert find_header(server.requests[1].headers, "cookie") is None


@pytest.mark.parametrize("phase", ["before the head", "within the body"])
async def test_cancelled_requests_leave_the_pool_as_good_as_new(transport: Transport, phase: str) -> None:
    """Forty requests are cancelled on a pool of ten; afterwards ten can run at the same time."""
    begun = asyncio.Semaphore(0)

    async def script(connection: Connection) -> None:
        while request := await connection.request():
            if request.body == b"answer":
                await connection.send(whole(b"hello"))
                continue
            if phase == "within the body":
                await connection.send(chunked(b"data: 1\n\n", end=False))
            begun.release()
            await connection.gone()

    async def hang(url: str) -> None:
        stream = await transport.send(call(url, body=b"hang"))
        try:
            while await stream.receive():
                pass
        except BaseException:
            stream.abort()
            raise

    async def work(url: str) -> bytes:
        stream = await transport.send(call(url, body=b"answer"))
        body = await stream.read(100)
        await stream.release(1.0)
        return body

    async with RawServer(script) as server, asyncio.timeout(PATIENCE):
        for _ in range(4):
            tasks = [asyncio.ensure_future(hang(server.url)) for _ in range(10)]
            for _ in tasks:
                await begun.acquire()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results)

        assert await asyncio.gather(*(work(server.url) for _ in range(10))) == [b"hello"] * 10


async def test_providers_do_not_share_connections(transport: Transport) -> None:
    async with RawServer(always(whole())) as server:
        for name in ("openai", "other"):
            one = call(server.url)
            stream = await transport.send(
                Call(url=one.url, method="POST", headers=(), body=b"", pool=name, timeouts=one.timeouts)
            )
            await stream.release(1.0)

        assert server.connections == 2


async def test_a_closed_transport_closes_its_connections(transport: Transport) -> None:
    closed = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(whole())
        await connection.gone()
        closed.set()

    async with RawServer(script) as server, asyncio.timeout(PATIENCE):
        await answered(transport, server.url)

        await transport.close()

        await closed.wait()


async def test_a_connection_that_was_being_opened_is_closed_with_its_transport(transport: Transport) -> None:
    closed = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        closed.set()

    async with RawServer(script) as server, asyncio.timeout(PATIENCE):
        asking = asyncio.ensure_future(transport.send(call(server.url)))
        await asyncio.sleep(0)

        await transport.close()

        with pytest.raises(UpstreamError):
            await asking
        if server.connections:
            await closed.wait()


async def test_errors_of_the_transport_do_not_show_the_upstreams_address(transport: Transport) -> None:
    async with RawServer(once(b"")) as server:
        for url in (server.url, f"http://127.0.0.1:{closed_port()}"):
            with pytest.raises(UpstreamError) as raised:
                await transport.send(call(url))
            assert "127.0.0.1" not in raised.value.info.message
