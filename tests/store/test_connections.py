"""TLS and logins: a real server behind a real TLS socket."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from aiclient2api.errors import ConfigError
from aiclient2api.store.address import parse
from aiclient2api.store.base import StoreUnavailable
from aiclient2api.store.breaker import Breaker
from aiclient2api.store.connection import connections
from aiclient2api.store.line import Line
from aiclient2api.store.opening import StoreSettings, open_store
from aiclient2api.store.redis import RedisStore
from tests import certificates
from tests.store.servers import DEADLINE, VALKEY, Server, free_port, running


@contextlib.asynccontextmanager
async def tls_in_front(server: Server, context: ssl.SSLContext) -> AsyncIterator[int]:
    """A port that speaks TLS and passes everything on."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    front = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with front:
        yield front.sockets[0].getsockname()[1]


class StallingFront:
    """The same on a loop of its own, which can stand still: its sockets stay open then, and nobody reads them."""

    def __init__(self, server: Server, context: ssl.SSLContext) -> None:
        self.port = 0
        self._server, self._context = server, context
        self._is_up, self._goes_on, self._end = threading.Event(), threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with tls_in_front(self._server, self._context) as self.port:
            self._is_up.set()
            await self._end.wait()

    def start(self) -> None:
        self._thread.start()
        assert self._is_up.wait(DEADLINE)

    def stall(self) -> None:
        self._goes_on.clear()
        self._loop.call_soon_threadsafe(self._goes_on.wait)

    def go_on(self) -> None:
        self._goes_on.set()

    def close(self) -> None:
        self._goes_on.set()
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(DEADLINE)


@contextlib.contextmanager
def stalling(server: Server, context: ssl.SSLContext) -> Iterator[StallingFront]:
    front = StallingFront(server, context)
    front.start()
    try:
        yield front
    finally:
        front.close()


async def test_connections_over_tls_to_a_server_that_stands_still_are_given_up(tmp_path: Path) -> None:
    cert, key = certificates.self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    with running(VALKEY) as server, stalling(server, context) as front:
        made = connections(parse(f"rediss://127.0.0.1:{front.port}?ca={cert}"), 4, 2.0)
        await made.of("x").execute_command("SET", "x", "1")
        front.stall()
        await made.drop()  # the prober's first step: if it failed, nobody would look for the store again
        front.go_on()
        assert await made.of("x").execute_command("GET", "x") == b"1"
        await made.close()


async def test_a_server_behind_tls_with_a_login(tmp_path: Path) -> None:
    cert, key = certificates.self_signed(tmp_path)
    with running(VALKEY, "user gate on >p@ss:w/rd ~* +@all") as server:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
        async with tls_in_front(server, context) as port:
            good = RedisStore(
                parse(f"rediss://gate:p%40ss%3Aw%2Frd@127.0.0.1:{port}/1?ca={cert}"), timeout=30.0
            )
            untrusted = RedisStore(parse(f"rediss://127.0.0.1:{port}"), timeout=30.0)
            try:
                await good.check()
                await good.put("a2:v1:x", b"1")
                assert await good.get("a2:v1:x") == b"1"
                with pytest.raises(StoreUnavailable):
                    await untrusted.get("a2:v1:x")
            finally:
                await good.close()
                await untrusted.close()
    assert "p@ss" not in repr(good) + repr(good.address)


async def test_sentinels_of_an_address_with_tls_are_asked_over_tls(tmp_path: Path) -> None:
    cert, key = certificates.self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    with running(VALKEY) as master:
        async with tls_in_front(master, context) as master_port:
            # the sentinel itself speaks no TLS: it takes the front for a master that is slow to answer
            watch = (
                f"sentinel monitor main 127.0.0.1 {master_port} 1",
                "sentinel down-after-milliseconds main 3600000",
            )
            with running(VALKEY, *watch) as sentinel:
                async with tls_in_front(sentinel, context) as sentinel_port:
                    await _answers(f"redis+sentinel://127.0.0.1:{sentinel_port}/main?tls=true&ca={cert}")
                    plain = f"127.0.0.1:{sentinel.port}/main?tls=true&sentinel_tls=false&ca={cert}"
                    await _answers(f"redis+sentinel://{plain}")


async def _answers(url: str) -> None:
    store = RedisStore(parse(url), timeout=30.0)
    try:
        await store.check()
        await store.put("a2:v1:x", b"1")
        assert await store.get("a2:v1:x") == b"1"
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("redis://127.0.0.1:{tls}", "the server speaks TLS, use rediss://"),
        ("redis+cluster://127.0.0.1:{tls}", "the member 127.0.0.1:{tls} speaks TLS, use ?tls=true"),
        (
            "redis+sentinel://127.0.0.1:{tls}/main",
            "the sentinel 127.0.0.1:{tls} speaks TLS, use ?sentinel_tls=true",
        ),
        (
            "redis+sentinel://127.0.0.1:{sentinel}/main",
            "the master 127.0.0.1:{tls} speaks TLS, use ?tls=true",
        ),
        ("rediss://127.0.0.1:{plain}", "the server does not speak TLS, use redis://"),
        (
            "redis+cluster://127.0.0.1:{plain}?tls=true",
            "the member 127.0.0.1:{plain} does not speak TLS, use no ?tls=true",
        ),
        (
            "redis+sentinel://127.0.0.1:{sentinel}/main?tls=true",
            "the sentinel 127.0.0.1:{sentinel} does not speak TLS, use ?sentinel_tls=false",
        ),
        ("redis://127.0.0.1:{gone}", None),
        ("rediss://127.0.0.1:{gone}", None),
        ("rediss://127.0.0.1:{tls}", None),
    ],
)
async def test_tls_where_none_is_expected_is_told_at_start_and_the_other_way_round(
    tmp_path: Path, url: str, sentence: str | None
) -> None:
    cert, key = certificates.self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    with running(VALKEY) as server:
        async with tls_in_front(server, context) as tls:
            watch = (
                f"sentinel monitor main 127.0.0.1 {tls} 1",
                "sentinel down-after-milliseconds main 3600000",
            )
            with running(VALKEY, *watch) as sentinel:
                ports = {"tls": tls, "plain": server.port, "sentinel": sentinel.port, "gone": free_port()}
                settings = StoreSettings(url=url.format(**ports), data_dir=tmp_path, timeout=5.0)
                try:
                    opened = await open_store(settings, lambda level, event, fields: None)
                except ConfigError as error:
                    assert sentence is not None
                    assert error.problems[0].endswith(f": {sentence.format(**ports)}")
                else:
                    await opened.close()
                    assert sentence is None
                    assert "does not answer; going on without it until it does" in opened.warnings[0]


@pytest.mark.parametrize("text", [None, "no certificate"])
async def test_an_authority_that_is_none_is_told_at_start(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    settings = StoreSettings(url=f"rediss://127.0.0.1:1?ca={path}", data_dir=tmp_path)

    with pytest.raises(ConfigError, match=r"store.url: ca: .*ca.pem cannot be used: ") as refused:
        await open_store(settings, lambda level, event, fields: None)
    assert len(refused.value.problems) == 1


async def test_a_call_whose_cluster_is_being_looked_at_anew_is_an_outage_of_a_moment() -> None:
    options = ("cluster-enabled yes", "cluster-config-file nodes.conf", f"cluster-port {free_port()}")
    with running(VALKEY, *options) as server, server.admin() as admin:
        admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        made = connections(parse(f"redis+cluster://127.0.0.1:{server.port}"), 4, 20.0)
        line = Line(made, Breaker(time.monotonic, lambda: 0.5), made.ready, 4)

        async def look(key: str) -> object:
            return await made.of(key).execute_command("GET", key)

        async def look_twice() -> object:
            await look("a")
            await made.drop()  # as another call does that finds its master gone
            return await look("b")

        async with asyncio.timeout(DEADLINE):
            while (await line.call(lambda: _said(look("a")))) is not None:
                await asyncio.sleep(0.01)  # it learns of its slots a moment later
            with pytest.raises(StoreUnavailable, match="found out anew"):
                await line.call(look_twice)
            assert await line.call(lambda: look("b")) is None
            await line.close()


async def _said(answer: Awaitable[object]) -> object:
    try:
        return await answer
    except ResponseError as refusal:
        return refusal
