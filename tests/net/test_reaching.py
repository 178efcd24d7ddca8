"""How an upstream is reached: IPv6, TLS, proxies, and hosts that do not answer."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiclient2api.errors import Unreachable
from aiclient2api.net.transport import Timeouts, Transport
from aiclient2api.wire.http import find_header
from tests.certificates import self_signed
from tests.fakes.calls import PATIENCE, call, closed_port
from tests.fakes.proxy import TunnelProxy
from tests.fakes.raw_server import Connection, RawServer, always, whole
from tests.net.conftest import Make

SOON = Timeouts(connect=0.2, tls=0.2, headers=0.2)


def server_side(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


async def test_an_ipv6_address_is_reached_and_named_in_brackets(transport: Transport) -> None:
    async with RawServer(always(whole(b"six")), host="::1") as server:
        stream = await transport.send(call(server.url))

        assert await stream.read(100) == b"six"
        await stream.release(1.0)
        assert find_header(server.requests[0].headers, "host") == server.url.removeprefix("http://")


async def test_only_a_trusted_certificate_is_accepted(transport: Transport, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    async with RawServer(always(whole(b"secret")), server_side(certificate)) as server:
        with pytest.raises(Unreachable) as raised:
            await transport.send(call(server.url))
        assert not raised.value.sent
        for _ in range(3):
            stream = await transport.send(call(server.url, ca=str(certificate[0])))
            assert await stream.read(100) == b"secret"
            await stream.release(1.0)

        assert [request.connection for request in server.requests] == [0, 0, 0]


@pytest.mark.parametrize(
    ("address", "ends_in"),
    [
        pytest.param("127.0.0.1", datetime.timedelta(hours=-1), id="expired"),
        pytest.param("127.0.0.2", datetime.timedelta(hours=1), id="another host's"),
    ],
)
async def test_a_certificate_that_does_not_fit_is_refused_even_from_a_trusted_authority(
    transport: Transport, tmp_path: Path, address: str, ends_in: datetime.timedelta
) -> None:
    certificate = self_signed(tmp_path, address, ends_in)
    async with RawServer(always(whole()), server_side(certificate)) as server:
        with pytest.raises(Unreachable):
            await transport.send(call(server.url, ca=str(certificate[0])))

        assert server.requests == []


@pytest.mark.parametrize("end", ["a stall", "a reset"])
async def test_a_handshake_that_comes_to_nothing_is_unreachable(transport: Transport, end: str) -> None:
    async def script(connection: Connection) -> None:
        if end == "a reset":
            connection.reset()
        else:
            await connection.gone()

    async with RawServer(script) as server, asyncio.timeout(PATIENCE):
        with pytest.raises(Unreachable) as raised:
            await transport.send(call(server.url.replace("http:", "https:"), SOON))

        assert not raised.value.sent


@contextmanager
def black_hole() -> Iterator[str]:
    """A port whose backlog is full: it takes no more connections and refuses none."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        waiting: list[socket.socket] = []
        try:
            for _ in range(8):
                one = socket.socket()
                waiting.append(one)
                one.setblocking(False)
                one.connect_ex(address)
            yield f"http://127.0.0.1:{address[1]}"
        finally:
            for one in waiting:
                one.close()


async def test_a_host_that_does_not_answer_is_given_up_in_time_by_all_who_wait(make: Make) -> None:
    transport = make({"openai": 200})
    with black_hole() as url:
        # only the connection is bounded closely: on a busy machine the loop may be late for all of them
        limits = Timeouts(connect=0.2, pool=30.0, headers=30.0)
        async with asyncio.timeout(30.0):
            results = await asyncio.gather(
                *(transport.send(call(url, limits)) for _ in range(200)), return_exceptions=True
            )
    await transport.close()

    assert all(isinstance(result, Unreachable) and not result.sent for result in results)


async def test_a_tunnel_leads_through_a_proxy_and_its_credentials_end_there(
    transport: Transport, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path)
    proxy = TunnelProxy()
    async with (
        RawServer(always(whole(b"far")), server_side(certificate)) as server,
        proxy.running() as address,
    ):
        for _ in range(2):
            stream = await transport.send(
                call(server.url, ca=str(certificate[0]), proxy=f"http://user:p%40ss@{address}")
            )
            assert await stream.read(100) == b"far"
            await stream.release(1.0)

        target = server.url.removeprefix("https://")
        assert len(proxy.heads) == 1
        lines = proxy.heads[0].lower().split("\r\n")
        assert lines[0] == f"connect {target} http/1.1"
        assert f"host: {target}" in lines
        assert "proxy-authorization: basic dxnlcjpwqhnz" in lines
        assert [request.target for request in server.requests] == ["/", "/"]
        assert find_header(server.requests[0].headers, "proxy-authorization") is None


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"",
    ],
    ids=["who are you", "cannot", "another protocol", "closes"],
)
async def test_a_proxy_that_refuses_is_unreachable(transport: Transport, answer: bytes) -> None:
    async with TunnelProxy(answer).running() as address, asyncio.timeout(PATIENCE):
        with pytest.raises(Unreachable) as raised:
            await transport.send(call("https://127.0.0.1:9/", proxy=f"http://{address}"))

        assert not raised.value.sent


async def test_a_proxy_that_is_gone_is_unreachable(transport: Transport) -> None:
    with pytest.raises(Unreachable):
        await transport.send(call("http://127.0.0.1:9/", proxy=f"http://127.0.0.1:{closed_port()}"))
