"""What every store does. A new store joins by one line in STORES."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from aiclient2api.store.base import Store
from aiclient2api.store.memory import MemoryStore
from tests.fakes.accounts import Clock

STORES: dict[str, Callable[[Clock], Store]] = {"memory": MemoryStore}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, clock: Clock) -> Store:
    return STORES[request.param](clock)


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


async def test_a_value_expires(store: Store, clock: Clock) -> None:
    await store.put("short", b"1", ttl=10.0)
    await store.put("long", b"1")

    clock.now += 9.9
    before = await store.get("short")
    clock.now += 0.1

    assert before == b"1"
    assert await store.get("short") is None
    assert await store.get("long") == b"1"


async def test_a_new_value_forgets_the_old_ones_end(store: Store, clock: Clock) -> None:
    await store.put("a", b"1", ttl=10.0)
    await store.put("a", b"2")

    clock.now += 60.0

    assert await store.get("a") == b"2"


async def test_deleting_tells_whether_there_was_a_value(store: Store, clock: Clock) -> None:
    await store.put("a", b"1")
    await store.put("expired", b"1", ttl=1.0)
    clock.now += 1.0

    assert await store.delete("a") is True
    assert await store.delete("a") is False
    assert await store.delete("expired") is False
    assert await store.get("a") is None


async def test_a_counter_begins_at_zero(store: Store) -> None:
    assert await store.increment("n") == 1
    assert await store.increment("n", 64) == 65
    assert await store.increment("n", -70) == -5
    assert await store.get("n") == b"-5"


async def test_a_counters_end_is_set_when_it_is_created(store: Store, clock: Clock) -> None:
    await store.increment("n", ttl=10.0)
    clock.now += 6.0
    await store.increment("n", ttl=10.0)
    clock.now += 4.0

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


async def test_only_one_owner_claims_a_key(store: Store, clock: Clock) -> None:
    first = await store.claim("lease", b"node-1", 20.0)
    second = await store.claim("lease", b"node-2", 20.0)
    owner = await store.get("lease")
    clock.now += 20.0
    after = await store.claim("lease", b"node-2", 20.0)

    assert (first, second, owner, after) == (True, False, b"node-1", True)
    assert await store.get("lease") == b"node-2"


async def test_a_scan_finds_live_keys_by_their_prefix(store: Store, clock: Clock) -> None:
    await store.put("a2:v1:pin:1", b"x")
    await store.put("a2:v1:pin:2", b"y", ttl=10.0)
    await store.put("a2:v1:pin:3", b"z", ttl=1.0)
    await store.put("a2:v1:other", b"o")
    clock.now += 1.0

    assert await scanned(store, "a2:v1:pin:") == {"a2:v1:pin:1": b"x", "a2:v1:pin:2": b"y"}
    assert await scanned(store, "nothing") == {}


async def test_keys_may_be_deleted_during_a_scan(store: Store) -> None:
    for index in range(5):
        await store.put(f"k{index}", b"x")

    async for key, _ in store.scan("k"):
        await store.delete(key)

    assert await scanned(store, "k") == {}
