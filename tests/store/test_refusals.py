"""Servers that must not be used are refused in one sentence, and nothing is overwritten there or told of values."""

from __future__ import annotations

import asyncio

import pytest

from aiclient2api.store import keys
from aiclient2api.store.address import parse
from aiclient2api.store.base import Put, StoreUnavailable, StoreUnusable
from aiclient2api.store.redis import RedisStore
from tests.store.clusters import Cluster
from tests.store.servers import DEADLINE, VALKEY, free_port, running


@pytest.mark.parametrize(
    ("options", "url", "sentence"),
    [
        (("maxmemory-policy allkeys-lru",), "redis://127.0.0.1:{port}", "maxmemory-policy is allkeys-lru"),
        (("requirepass right",), "redis://:wrong@127.0.0.1:{port}", "the user or password is not accepted"),
        (("requirepass right",), "redis://127.0.0.1:{port}", "the user or password is not accepted"),
        ((), "redis://127.0.0.1:{port}/99", "there is no database of this number"),
        ((), "redis+cluster://127.0.0.1:{port}", "is not a cluster, use redis://"),
        ((), "redis+sentinel://127.0.0.1:{port}/mymaster", "is not a sentinel, use redis://"),
        (
            ("cluster-enabled yes", "cluster-port {bus}"),
            "redis://127.0.0.1:{port}",
            "is a member of a cluster, use redis+cluster://",
        ),
        (
            ("sentinel monitor mymaster 127.0.0.1 1 1", "requirepass right"),
            "redis+sentinel://127.0.0.1:{port}/mymaster?sentinel_password=wrong",
            "the sentinels do not accept the user or password",
        ),
        (
            ("sentinel monitor another 127.0.0.1 1 1",),
            "redis+sentinel://127.0.0.1:{port}/mymaster",
            "the sentinels know no master named 'mymaster'",
        ),
        (
            ("sentinel monitor mymaster 127.0.0.1 1 1",),
            "redis://127.0.0.1:{port}",
            "is a sentinel, use redis+sentinel://",
        ),
    ],
)
async def test_a_server_that_must_not_be_used_is_refused_in_one_sentence(
    options: tuple[str, ...], url: str, sentence: str
) -> None:
    with running(VALKEY, *(option.format(bus=free_port()) for option in options)) as server:
        store = RedisStore(parse(url.format(port=server.port)), timeout=30.0)
        try:
            with pytest.raises(StoreUnusable) as refused:
                await store.check()
        finally:
            await store.close()

    assert sentence in str(refused.value)
    assert "wrong" not in str(refused.value) and "\n" not in str(refused.value)


async def test_a_name_that_one_sentinel_of_two_does_not_know_may_be_right() -> None:
    with running(VALKEY, "sentinel monitor another 127.0.0.1 1 1") as server:
        store = RedisStore(
            parse(f"redis+sentinel://127.0.0.1:{server.port},127.0.0.1:{free_port()}/mymaster"), timeout=30.0
        )
        try:
            with pytest.raises(StoreUnavailable, match="no sentinel names the master 'mymaster'"):
                await store.check()
        finally:
            await store.close()


async def test_a_name_that_sentinels_forget_under_way_is_an_outage() -> None:
    said: list[str] = []
    with running() as master, running(VALKEY, f"sentinel monitor main 127.0.0.1 {master.port} 1") as sentinel:
        store = RedisStore(parse(f"redis+sentinel://127.0.0.1:{sentinel.port}/main"), timeout=30.0)
        store.on_outage.append(said.append)
        try:
            await store.put("a2:v1:x", b"1")
            with sentinel.admin() as asking, master.admin() as client:
                asking.execute_command("SENTINEL", "REMOVE", "main")
                client.client_kill_filter(_type="normal", skipme=True)
                while store.is_available:
                    with pytest.raises(StoreUnavailable):
                        await store.get("a2:v1:x")
                asking.execute_command("SENTINEL", "MONITOR", "main", "127.0.0.1", master.port, "1")
            async with asyncio.timeout(DEADLINE):
                while not store.is_available:
                    await asyncio.sleep(0.005)
            assert await store.get("a2:v1:x") == b"1"
        finally:
            await store.close()
    assert "UnknownName: the sentinels know no master named 'main'" in said


@pytest.mark.parametrize(
    ("mark", "sentence"),
    [
        (b'{"schema": 2}', "schema version 2, this program knows 1"),
        (b"what", "is this database used by something else?"),
        (b'{"schema": 0}', "run `aiclient2api state migrate`"),
        (["a", "list"], "is this database used by something else?"),
    ],
)
async def test_keys_of_another_version_are_left_alone(mark: bytes | list[str], sentence: str) -> None:
    with running() as server:
        with server.admin() as client:
            client.rpush(keys.META, *mark) if isinstance(mark, list) else client.set(keys.META, mark)
            before = client.dump(keys.META)
        store = RedisStore(parse(server.url), timeout=30.0)
        try:
            with pytest.raises(StoreUnusable, match=sentence):
                await store.check()
        finally:
            await store.close()
        with server.admin() as client:
            assert client.dump(keys.META) == before
            assert client.dbsize() == 1


async def test_keys_of_another_version_on_a_cluster_are_left_alone() -> None:
    cluster = Cluster()
    try:
        store = RedisStore(parse(cluster.url), timeout=30.0)
        try:
            await store.check()
            mark = await store.get(keys.META)
            assert mark is not None and b'"schema":1' in mark
            await store.put(keys.META, b'{"schema": 2}')
            with pytest.raises(StoreUnusable, match="schema version 2, this program knows 1"):
                await store.check()
            assert await store.get(keys.META) == b'{"schema": 2}'
        finally:
            await store.close()
    finally:
        cluster.close()


async def test_a_server_of_another_kind_is_refused_in_one_sentence() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        store = RedisStore(parse(f"redis://127.0.0.1:{port}"), timeout=30.0)
        try:
            with pytest.raises(StoreUnusable, match="does not speak the protocol of Redis"):
                await store.check()
        finally:
            await store.close()


async def test_an_alert_of_tls_is_known_for_what_it_is() -> None:
    async def alert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(bytes.fromhex("15030100020246"))  # fatal, protocol version
        writer.close()

    async with await asyncio.start_server(alert, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        store = RedisStore(parse(f"redis://127.0.0.1:{port}"), timeout=30.0)
        try:
            with pytest.raises(StoreUnusable, match=r"speaks TLS, use rediss:// or \?tls=true"):
                await store.check()
        finally:
            await store.close()


async def test_what_is_told_of_an_outage_quotes_no_value() -> None:
    said: list[str] = []
    with running(VALKEY, "maxmemory 1", "maxmemory-policy noeviction") as server:
        store = RedisStore(parse(server.url), timeout=30.0)
        store.on_outage.append(said.append)
        try:
            with pytest.raises(StoreUnavailable) as refused:
                await store.apply([Put("a2:v1:x", b"a thought of the model")])
        finally:
            await store.close()

    assert said[0].startswith("OutOfMemoryError: command not allowed when used memory")
    assert "thought" not in said[0] + str(refused.value)


async def test_a_value_that_is_moved_aside_is_told() -> None:
    moved: list[tuple[str, str]] = []
    with running() as server, server.admin() as client:
        client.rpush("a2:v1:rr:chat", "foreign")
        store = RedisStore(parse(server.url), timeout=30.0)
        store.on_aside.append(lambda key, to: moved.append((key, to)))
        try:
            assert await store.increment("a2:v1:rr:chat", 64) == 64
        finally:
            await store.close()
        [(key, to)] = moved
        assert key == "a2:v1:rr:chat"
        assert client.lrange(to, 0, -1) == [b"foreign"]
