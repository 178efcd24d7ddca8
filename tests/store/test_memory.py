from __future__ import annotations

from aiclient2api.store.memory import MemoryStore
from tests.fakes.accounts import Clock


async def test_expired_values_that_nobody_asks_for_do_not_stay() -> None:
    clock = Clock()
    store = MemoryStore(clock, sweep_every=100)
    for index in range(99):
        await store.put(f"k{index}", b"x", ttl=1.0)
    clock.now += 1.0

    await store.put("last", b"x")

    assert list(vars(store)["_entries"]) == ["last"]


async def test_a_closed_store_is_empty() -> None:
    store = MemoryStore(Clock())
    await store.put("a", b"1")

    await store.close()

    assert await store.get("a") is None
