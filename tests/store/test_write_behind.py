"""Counts reach the store exactly once, whatever happens to the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from aiclient2api.store import keys
from aiclient2api.store.base import Put, StoreUnavailable, Write
from aiclient2api.store.memory import MemoryStore
from aiclient2api.store.write_behind import MAX_FIELDS, MAX_PUT_BYTES, MAX_PUTS, WriteBehind
from tests.fakes.accounts import Clock


class Flaky(MemoryStore):
    """Answers of some writes get lost, before or after they were done."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.lose_before = 0
        self.lose_after = 0

    async def apply(self, writes: Sequence[Write], when: Mapping[str, bytes | None] | None = None) -> bool:
        if self.lose_before:
            self.lose_before -= 1
            raise StoreUnavailable("lost on the way there")
        done = await super().apply(writes, when)
        if self.lose_after:
            self.lose_after -= 1
            raise StoreUnavailable("lost on the way back")
        return done


async def counted(store: MemoryStore, account: str = "a") -> dict[str, int]:
    return {name: int(value) for name, value in (await store.fields(keys.account_counters(account))).items()}


def count(writes: WriteBehind, times: int, outcome: str = "ok") -> None:
    for _ in range(times):
        writes.count("a", "gpt-5", outcome)


async def test_counts_are_added_up() -> None:
    store = MemoryStore(Clock())
    writes, others = WriteBehind(store), WriteBehind(store)
    count(writes, 3)
    count(others, 4)
    writes.count("b", "m", "upstream_error")

    await writes.flush()
    await others.flush()
    count(writes, 1)
    await writes.flush()

    assert await counted(store) == {"gpt-5 ok": 8}
    assert await counted(store, "b") == {"m upstream_error": 1}
    assert writes.is_empty


@pytest.mark.parametrize("where", ["lose_before", "lose_after"])
async def test_a_batch_whose_answer_is_lost_counts_once(where: str) -> None:
    store = Flaky()
    writes = WriteBehind(store)
    count(writes, 3)
    setattr(store, where, 2)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await writes.flush()
        count(writes, 5)

    await writes.flush()

    assert await counted(store) == {"gpt-5 ok": 13}


async def test_after_the_store_was_emptied_everything_is_counted_again() -> None:
    store = MemoryStore(Clock())
    writes, others = WriteBehind(store), WriteBehind(store)
    count(writes, 3)
    count(others, 4)
    await writes.flush()
    await others.flush()
    await store.close()
    count(writes, 2)
    count(others, 1)

    await writes.flush()
    await others.flush()
    await writes.flush()

    assert await counted(store) == {"gpt-5 ok": 10}


async def test_emptied_while_an_answer_was_lost_counts_once_too() -> None:
    store = Flaky()
    writes = WriteBehind(store)
    count(writes, 3)
    await writes.flush()
    count(writes, 2)
    store.lose_after = 1
    with pytest.raises(StoreUnavailable):
        await writes.flush()
    await store.close()

    await writes.flush()

    assert await counted(store) == {"gpt-5 ok": 5}


async def test_values_wait_and_the_last_one_is_written() -> None:
    store = Flaky()
    writes = WriteBehind(store)
    writes.put("k", b"1", 60.0)
    writes.put("k", b"2", 60.0)
    store.lose_before = 1
    with pytest.raises(StoreUnavailable):
        await writes.flush()
    writes.put("k", b"3", 60.0)

    await writes.flush()

    assert await store.get("k") == b"3"


async def test_what_waits_is_bounded() -> None:
    store = MemoryStore(Clock())
    writes = WriteBehind(store)
    for index in range(MAX_PUTS + 1):
        writes.put(f"k{index}", b"1", 60.0)
    for index in range(MAX_FIELDS + 100):
        writes.count("a", f"model-{index}", "ok")

    await writes.flush()

    counts = await counted(store)
    assert await store.get_many(["k0", "k1"]) == [None, b"1"]
    assert len(counts) == MAX_FIELDS + 1
    assert counts["other ok"] == 100


async def test_the_bytes_of_what_waits_are_bounded_through_an_outage() -> None:
    store = Flaky()
    writes = WriteBehind(store)
    half = bytes(MAX_PUT_BYTES // 2)
    for name in ("a", "b"):
        writes.put(name, half, 60.0)
    writes.put("b", half, 60.0)
    store.lose_before = 1
    with pytest.raises(StoreUnavailable):
        await writes.flush()
    writes.put("c", b"1", 60.0)

    await writes.flush()

    assert await store.get_many(["a", "b", "c"]) == [None, half, b"1"]


class Narrow(Flaky):
    """Takes only so many bytes at a time, as a network does within a time-out."""

    async def apply(self, writes: Sequence[Write], when: Mapping[str, bytes | None] | None = None) -> bool:
        if sum(len(write.value) for write in writes if isinstance(write, Put)) > 1024 * 1024:
            raise StoreUnavailable("no answer within the time-out")
        return await super().apply(writes, when)


async def test_what_waited_through_an_outage_is_sent_in_parts_that_arrive_in_time() -> None:
    store = Narrow()
    writes = WriteBehind(store)
    names = [f"k{number}" for number in range(200)]
    for name in names:
        writes.put(name, bytes(64 * 1024), 60.0)
    store.lose_after = 1
    with pytest.raises(StoreUnavailable):
        await writes.flush()

    await writes.flush()

    assert None not in await store.get_many(names)
    assert writes.is_empty


class Hanging(Flaky):
    """Gives no answer at first."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def apply(self, writes: Sequence[Write], when: Mapping[str, bytes | None] | None = None) -> bool:
        if not self.asked.is_set():
            self.asked.set()
            await asyncio.Event().wait()
        return await super().apply(writes, when)


async def test_a_stop_while_values_are_written_loses_none() -> None:
    store = Hanging()
    writes = WriteBehind(store)
    writes.put("a", b"1", 60.0)
    flushing = asyncio.ensure_future(writes.flush())
    await store.asked.wait()
    flushing.cancel()
    await asyncio.gather(flushing, return_exceptions=True)

    await writes.flush()

    assert await store.get("a") == b"1"
