"""What every store does, on every server that it must live with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from aiclient2api.store.address import parse
from aiclient2api.store.base import (
    Add,
    AddFields,
    Delete,
    DropFields,
    Put,
    PutFields,
    Rank,
    Store,
    Unrank,
)
from aiclient2api.store.memory import MemoryStore
from aiclient2api.store.redis import RedisStore
from tests.fakes.accounts import Clock
from tests.store.clusters import Cluster
from tests.store.servers import REDIS_62, REDIS_70, REDIS_82, VALKEY, Server, binary

PassTime = Callable[[float], Awaitable[None]]
KINDS = [
    "memory",
    VALKEY,
    "unix",
    REDIS_62,
    pytest.param(REDIS_70, marks=pytest.mark.interop),
    REDIS_82,
    "cluster",
]


class Rented:
    """The servers of this session by kind, started when first wanted."""

    def __init__(self) -> None:
        self._running: dict[str, Server | Cluster] = {}

    def url(self, kind: str) -> str:
        if kind not in self._running:
            self._running[kind] = (
                Cluster() if kind == "cluster" else Server(VALKEY if kind == "unix" else kind)
            )
        server = self._running[kind]
        return server.unix_url if kind == "unix" and isinstance(server, Server) else server.url

    def masters(self, kind: str) -> list[Server]:
        server = self._running[kind]
        return server.servers if isinstance(server, Cluster) else [server]

    def close(self) -> None:
        for server in self._running.values():
            server.close()


@pytest.fixture(scope="session")
def rented() -> Iterator[Rented]:
    servers = Rented()
    yield servers
    servers.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == REDIS_70 and binary(REDIS_70) is None:
        pytest.skip("no Debian redis-server 7.0 on the PATH")
    return request.param


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(kind: str, clock: Clock, rented: Rented) -> AsyncIterator[Store]:
    store: Store
    if kind == "memory":
        store = MemoryStore(clock)
    else:
        store = RedisStore(parse(rented.url(kind)), size=8, timeout=30.0)
        for server in rented.masters(kind):
            with server.admin() as client:
                client.flushall()
    yield store
    await store.close()


@pytest.fixture
def pass_time(kind: str, clock: Clock, rented: Rented) -> PassTime:
    """Time passes: for real servers every key's end is moved nearer instead."""

    async def pass_(seconds: float) -> None:
        if kind == "memory":
            clock.now += seconds
            return
        for server in rented.masters(kind):
            with server.admin() as client:
                for key in client.scan_iter():
                    left = client.pttl(key)
                    if left >= 0:
                        client.pexpire(key, max(0, left - round(seconds * 1000)))

    return pass_


async def scanned(store: Store, prefix: str) -> dict[str, bytes]:
    return {key: value async for key, value in store.scan(prefix)}


async def test_an_absent_key_has_no_value(store: Store) -> None:
    assert await store.get("a") is None


async def test_a_value_is_kept_byte_for_byte(store: Store) -> None:
    await store.put("a", b"\x00\xff\r\n")
    await store.put("empty", b"")

    assert await store.get("a") == b"\x00\xff\r\n"
    assert await store.get("empty") == b""


async def test_the_last_value_wins(store: Store) -> None:
    await store.put("a", b"1", ttl=10.0)
    await store.put("a", b"2")

    assert await store.get("a") == b"2"


async def test_a_value_expires(store: Store, pass_time: PassTime) -> None:
    await store.put("short", b"1", ttl=10.0)
    await store.put("long", b"1")

    await pass_time(9.0)
    before = await store.get("short")
    await pass_time(1.0)

    assert before == b"1"
    assert await store.get("short") is None
    assert await store.get("long") == b"1"


async def test_a_new_value_forgets_the_old_ones_end(store: Store, pass_time: PassTime) -> None:
    await store.put("a", b"1", ttl=10.0)
    await store.put("a", b"2")

    await pass_time(60.0)

    assert await store.get("a") == b"2"


async def test_deleting_tells_whether_there_was_a_value(store: Store, pass_time: PassTime) -> None:
    await store.put("a", b"1")
    await store.put("expired", b"1", ttl=1.0)
    await pass_time(1.0)

    assert await store.delete("a") is True
    assert await store.delete("a") is False
    assert await store.delete("expired") is False
    assert await store.get("a") is None


async def test_a_counter_begins_at_zero(store: Store) -> None:
    assert await store.increment("n") == 1
    assert await store.increment("n", 64) == 65
    assert await store.increment("n", -70) == -5
    assert await store.get("n") == b"-5"


async def test_a_counters_end_is_set_when_it_is_created(store: Store, pass_time: PassTime) -> None:
    await store.increment("n", ttl=10.0)
    await pass_time(6.0)
    await store.increment("n", ttl=10.0)
    await pass_time(4.0)

    assert await store.get("n") is None
    assert await store.increment("n", ttl=10.0) == 1


async def test_counting_at_the_same_time_loses_nothing(store: Store) -> None:
    await asyncio.gather(*(store.increment("n") for _ in range(100)))

    assert await store.get("n") == b"100"


async def test_an_update_sees_the_old_value(store: Store) -> None:
    created = await store.update("a", lambda old: b"new" if old is None else b"?")
    changed = await store.update("a", lambda old: (old or b"") + b"er")

    assert (created, changed) == (b"new", b"newer")
    assert await store.get("a") == b"newer"


async def test_an_update_may_delete_and_may_do_nothing(store: Store) -> None:
    await store.put("a", b"1")

    assert await store.update("a", lambda old: None) is None
    assert await store.update("absent", lambda old: old) is None
    assert await store.get("a") is None
    assert await scanned(store, "") == {}


async def test_an_update_that_fails_changes_nothing(store: Store) -> None:
    await store.put("a", b"1")

    def fail(old: bytes | None) -> bytes | None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.update("a", fail)

    assert await store.get("a") == b"1"


async def test_only_one_owner_claims_a_key(store: Store, pass_time: PassTime) -> None:
    first = await store.claim("lease", b"node-1", 20.0)
    second = await store.claim("lease", b"node-2", 20.0)
    owner = await store.get("lease")
    await pass_time(20.0)
    after = await store.claim("lease", b"node-2", 20.0)

    assert (first, second, owner, after) == (True, False, b"node-1", True)
    assert await store.get("lease") == b"node-2"


async def test_a_scan_finds_live_keys_by_their_prefix(store: Store, pass_time: PassTime) -> None:
    await store.put("a2:v1:pin:1", b"x")
    await store.put("a2:v1:pin:2", b"y", ttl=10.0)
    await store.put("a2:v1:pin:3", b"z", ttl=1.0)
    await store.put("a2:v1:other", b"o")
    await pass_time(1.0)

    assert await scanned(store, "a2:v1:pin:") == {"a2:v1:pin:1": b"x", "a2:v1:pin:2": b"y"}
    assert await scanned(store, "nothing") == {}


async def test_keys_may_be_deleted_during_a_scan(store: Store) -> None:
    for index in range(5):
        await store.put(f"k{index}", b"x")

    async for key, _ in store.scan("k"):
        await store.delete(key)

    assert await scanned(store, "k") == {}


async def test_many_values_come_in_the_order_of_their_keys(store: Store) -> None:
    await store.put("a2:v1:x:1", b"one")
    await store.put("a2:v1:x:3", b"three")

    assert await store.get_many(["a2:v1:x:3", "a2:v1:x:2", "a2:v1:x:1"]) == [b"three", None, b"one"]
    assert await store.get_many([]) == []


async def test_an_update_keeps_the_end_unless_it_is_given_another(store: Store, pass_time: PassTime) -> None:
    await store.put("kept", b"1", ttl=10.0)
    await store.put("longer", b"1", ttl=10.0)
    await store.update("kept", lambda old: b"2")
    await store.update("longer", lambda old: old, ttl=60.0)

    await pass_time(11.0)

    assert await store.get("kept") is None
    assert await store.get("longer") == b"1"


async def test_updates_at_the_same_time_lose_nothing(store: Store) -> None:
    def add(old: bytes | None) -> bytes:
        return str(int(old or 0) + 1).encode()

    await asyncio.gather(*(store.update("n", add) for _ in range(8)))

    assert await store.get("n") == b"8"


async def test_a_batch_writes_everything(store: Store) -> None:
    await store.put("a2:v1:gone", b"x")

    done = await store.apply(
        [
            Put("a2:v1:a", b"1"),
            Delete("a2:v1:gone"),
            Add("a2:v1:n", 5),
            Add("a2:v1:n", 2),
            PutFields("a2:v1:h", {"x": b"1", "y": b"2", "z": b"3"}),
            DropFields("a2:v1:h", ("y",)),
            AddFields("a2:v1:c", {"x": 3, "y": -1}),
            AddFields("a2:v1:c", {"x": 4}),
            Rank("a2:v1:z", "old", 1.0),
            Rank("a2:v1:z", "gone", 5.0),
            Rank("a2:v1:z", "new", 9.5, drop_below=2.0),
            Unrank("a2:v1:z", ("gone",)),
        ]
    )

    assert done is True
    assert await store.get_many(["a2:v1:a", "a2:v1:gone", "a2:v1:n"]) == [b"1", None, b"7"]
    assert await store.fields("a2:v1:h") == {"x": b"1", "z": b"3"}
    assert await store.fields("a2:v1:c") == {"x": b"7", "y": b"-1"}
    assert await store.ranked("a2:v1:z", 0.0) == [("new", 9.5)]
    assert await store.apply([]) is True


async def test_what_a_batch_writes_ends_when_it_says(store: Store, pass_time: PassTime) -> None:
    await store.apply(
        [
            Put("a2:v1:a", b"1", 10.0),
            Add("a2:v1:n", 1, 10.0),
            PutFields("a2:v1:h", {"x": b"1"}, 10.0),
            AddFields("a2:v1:c", {"x": 1}, 10.0),
            Put("a2:v1:b", b"1", 20.0),
        ]
    )
    await pass_time(11.0)

    assert await store.get_many(["a2:v1:a", "a2:v1:n", "a2:v1:b"]) == [None, None, b"1"]
    assert await store.fields("a2:v1:h") == {}
    assert await store.fields("a2:v1:c") == {}


async def test_a_guarded_batch_is_all_or_nothing(store: Store) -> None:
    await store.put("a2:{t}:epoch", b"e1")
    once = {"a2:{t}:batch:1": None, "a2:{t}:epoch": b"e1"}
    batch = [Add("a2:{t}:n", 1), AddFields("a2:{t}:h", {"x": 2}), Put("a2:{t}:batch:1", b"1", 60.0)]

    first = await store.apply(batch, once)
    again = await store.apply(batch, once)
    other_epoch = await store.apply([Add("a2:{t}:n", 9)], {"a2:{t}:epoch": b"e2"})

    assert (first, again, other_epoch) == (True, False, False)
    assert await store.get("a2:{t}:n") == b"1"
    assert await store.fields("a2:{t}:h") == {"x": b"2"}


async def test_of_equal_batches_at_the_same_time_one_is_written(store: Store) -> None:
    batch = [Add("a2:{t}:n", 1), Put("a2:{t}:batch:1", b"1", 60.0)]

    done = await asyncio.gather(*(store.apply(batch, {"a2:{t}:batch:1": None}) for _ in range(6)))

    assert sorted(done) == [False] * 5 + [True]
    assert await store.get("a2:{t}:n") == b"1"


async def test_members_are_ranked_by_their_scores(store: Store) -> None:
    now = 1764111111.123456
    await store.apply([Rank("z", "b", now), Rank("z", "a", now - 20.0), Rank("z", "c", now + 0.000001)])

    assert await store.ranked("z", now) == [("b", now), ("c", now + 0.000001)]
    assert await store.ranked("nothing", 0.0) == []


async def test_a_value_of_a_foreign_type_is_moved_out_of_the_way(store: Store) -> None:
    await store.apply([PutFields("was-hash", {"x": b"1"}), Put("was-text", b"text")])

    assert await store.get("was-hash") is None
    await store.apply([PutFields("was-text", {"y": b"2"}), Put("other", b"3")])

    assert await store.fields("was-text") == {"y": b"2"}
    assert await store.get("other") == b"3"
    kept = [value async for _, value in store.scan("a2:aside:")]
    assert kept == [b"text"]


async def test_a_counter_that_is_no_number_is_moved_out_of_the_way(store: Store) -> None:
    await store.put("n", b"not a number")

    assert await store.increment("n", 3) == 3
    await store.put("m", b"1.5")
    await store.apply([Add("m", 2)])
    assert await store.get("m") == b"2"


async def test_the_clock_of_the_store_goes_on(store: Store) -> None:
    first = await store.time()

    assert first > 1_700_000_000
    assert await store.time() >= first


async def test_a_good_store_passes_its_check(store: Store) -> None:
    await store.check()
    await store.check()

    assert store.is_available
