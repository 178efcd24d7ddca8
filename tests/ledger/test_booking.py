from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from aiclient2api.ledger.booking import Booking
from aiclient2api.ledger.booking import booked as booking_while
from aiclient2api.ledger.ledger import Ledger
from aiclient2api.ledger.totals import SEPARATOR
from aiclient2api.store import keys
from aiclient2api.store.base import Guards, StoreUnavailable, Write
from aiclient2api.store.memory import MemoryStore
from tests.fakes.accounts import Clock
from tests.ledger.test_ledger import begun, row

FIELD = SEPARATOR.join(("me", "claude", "main", "a"))


class Unreliable(MemoryStore):
    """A store that goes away before or after it has written."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.before = 0
        self.after = 0

    async def apply(self, writes: Sequence[Write], when: Guards | None = None) -> bool:
        """See Store."""
        if self.before:
            self.before -= 1
            raise StoreUnavailable("gone")
        done = await super().apply(writes, when)
        if self.after:
            self.after -= 1
            raise StoreUnavailable("the answer got lost")
        return done


class Keeping(Unreliable):
    """A store whose first look is cancelled, and says that it is away instead of passing that on."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def get(self, key: str) -> bytes | None:
        """See Store."""
        if not self.asked.is_set():
            self.asked.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise StoreUnavailable("gone") from None
        return await super().get(key)


def booking(ledger: Ledger, store: MemoryStore) -> Booking:
    return Booking(ledger, store, lambda: 7300.0, lambda *_args, **_fields: None)


async def booked(store: MemoryStore, name: str) -> int:
    hour = await store.fields(keys.usage_hour(2))
    day = await store.fields(keys.usage_day(0))
    field = f"{FIELD}{SEPARATOR}{name}"
    assert hour.get(field) == day.get(field)
    return int(hour.get(field, b"0"))


async def test_it_ends_although_the_store_kept_the_cancellation(tmp_path: Path) -> None:
    ledger, store = Ledger(None, Clock()), Keeping()
    ledger.ended(row("r1", tokens=7))

    async with asyncio.timeout(10), booking_while(ledger, store, lambda *_a, **_k: None, lambda _: None):
        await store.asked.wait()

    assert not ledger.next_batch(), "what was left is booked at the end"


async def test_rows_are_added_up_by_hour_and_day(tmp_path: Path) -> None:
    ledger, store = Ledger(tmp_path, Clock()), Unreliable()
    ledger.ended(row("r1", tokens=7))
    ledger.ended(row("r2", tokens=9))

    await booking(ledger, store).book()

    assert await booked(store, "attempts") == 2
    assert await booked(store, "input") == 16
    ledger.close()


@pytest.mark.parametrize("fault", ["before", "after"])
async def test_a_store_that_goes_away_gets_every_row_once(tmp_path: Path, fault: str) -> None:
    ledger, store = Ledger(tmp_path, Clock(), segment_bytes=1024), Unreliable()
    books = booking(ledger, store)
    for number in range(40):
        ledger.ended(row(f"r{number}", tokens=1))
        setattr(store, fault, number % 2)
        await books.book()
    setattr(store, fault, 0)

    await books.book()

    assert await booked(store, "input") == 40
    assert ledger.next_batch() is None
    ledger.close()


async def test_a_dead_process_s_rows_are_booked_by_another(tmp_path: Path) -> None:
    store = Unreliable()
    dead = Ledger(tmp_path, Clock())
    dead.ended(row("r1", tokens=7))
    await booking(dead, store).book()
    dead.ended(row("r2", tokens=9))
    dead.begun(begun("r3"))
    dead.close()
    books = booking(Ledger(tmp_path, Clock()), store)

    await books.recover()
    await books.recover()

    assert await booked(store, "attempts") == 3
    assert await booked(store, "estimated") == 1
    assert await booked(store, "input") == 7 + 9 + 25
    assert not list(tmp_path.glob("*.segment"))


async def test_a_store_that_forgot_its_last_moments_is_told_again(tmp_path: Path) -> None:
    store = Unreliable()
    ledger = Ledger(tmp_path, Clock())
    books = booking(ledger, store)
    for tokens in (1, 2, 4):
        ledger.ended(row(f"r{tokens}", tokens=tokens))
        await books.book()
    await store.close()  # everything is forgotten

    ledger.ended(row("r8", tokens=8))
    await books.book()

    assert await booked(store, "input") == 15
    ledger.close()


async def test_a_closed_segment_is_booked_again_when_the_store_forgot_it(tmp_path: Path) -> None:
    store = Unreliable()
    dead = Ledger(tmp_path, Clock())
    dead.ended(row("r1", tokens=7))
    dead.close()
    books = booking(Ledger(tmp_path, Clock()), store)
    await books.recover()
    await store.close()

    await books.recover()
    await books.recover()

    assert await booked(store, "input") == 7
    assert not list(tmp_path.glob("*.segment"))


async def test_a_segment_booked_from_its_file_is_not_booked_again_from_memory(tmp_path: Path) -> None:
    ledger, store = Ledger(tmp_path, Clock(), segment_bytes=512), Unreliable()
    for number in range(20):
        ledger.ended(row(f"r{number}", tokens=1))
    ledger.syncing()()  # closes the full segments before their batches are booked
    books = booking(ledger, store)

    await books.recover()
    await books.book()

    assert await booked(store, "input") == 20
    ledger.close()


async def test_a_truncated_segment_is_told_and_its_sound_rows_are_booked(tmp_path: Path) -> None:
    events: list[tuple[str, str]] = []
    ledger, store = Ledger(tmp_path, Clock()), Unreliable()
    ledger.ended(row("r1", tokens=7))
    ledger.ended(row("r2", tokens=9))
    ledger.close()
    (segment,) = tmp_path.glob("*.segment")
    segment.write_bytes(segment.read_bytes()[:-3])
    books = Booking(
        Ledger(tmp_path, Clock()),
        store,
        lambda: 7300.0,
        lambda level, name, **_: events.append((level, name)),
    )

    await books.recover()

    assert events == [("error", "ledger_damaged")]
    assert await booked(store, "input") == 7

    await books.recover()
    assert len(events) == 1
    (kept,) = tmp_path.glob("*.damaged")
    assert kept.stem == segment.stem


async def test_a_file_that_is_no_segment_is_told_and_kept(tmp_path: Path) -> None:
    events: list[tuple[str, str]] = []
    (tmp_path / "x.segment").write_bytes(b"A2LEDG01 cut")
    books = Booking(
        Ledger(tmp_path, Clock()),
        Unreliable(),
        lambda: 7300.0,
        lambda level, name, **_: events.append((level, name)),
    )

    await books.recover()
    await books.recover()

    assert events == [("error", "ledger_damaged")]
    assert (tmp_path / "x.damaged").read_bytes() == b"A2LEDG01 cut"


async def test_booking_goes_on_when_a_segment_is_gone_from_the_disk(tmp_path: Path) -> None:
    ledger, store = Ledger(tmp_path, Clock(), segment_bytes=512), Unreliable()
    told: list[str] = []
    for number in range(8):
        ledger.ended(row(f"r{number}"))
    for path in tmp_path.glob("*.open"):
        path.unlink()

    def tell(_level: str, name: str, **_: object) -> None:
        told.append(name)

    async with asyncio.timeout(60), booking_while(ledger, store, tell, lambda _: None):
        while not told:
            await asyncio.sleep(0.01)
        ledger.ended(row("late"))
        while await booked(store, "attempts") < 9:
            await asyncio.sleep(0.01)

    assert set(told) == {"ledger_unsynced"}


async def test_a_store_that_forgot_a_segment_which_is_gone_gets_what_we_know(tmp_path: Path) -> None:
    ledger, store = Ledger(tmp_path, Clock()), Unreliable()
    ledger.ended(row("r1", tokens=7))
    await booking(ledger, store).book()
    ledger.ended(row("r2", tokens=9))
    for path in tmp_path.glob("*.open"):
        path.unlink()
        await store.delete(keys.usage_position(path.stem.partition("-")[2]))

    await booking(ledger, store).book()

    assert await booked(store, "input") == 16
    assert ledger.unbooked == 0


async def test_booking_goes_on_when_it_meets_what_nobody_expected(tmp_path: Path) -> None:
    ledger, store = Ledger(tmp_path, Clock()), Unreliable()
    ledger.ended(row("r1"))
    (path,) = tmp_path.glob("*.open")
    position = keys.usage_position(path.stem.partition("-")[2])
    await store.put(position, b"not a number")
    told: list[str] = []

    def tell(_level: str, name: str, **_: object) -> None:
        told.append(name)

    async with asyncio.timeout(60), booking_while(ledger, store, tell, lambda _: None):
        while not told:
            await asyncio.sleep(0.01)
        await store.delete(position)
        while await booked(store, "attempts") < 1:
            await asyncio.sleep(0.01)

    assert set(told) == {"ledger_failed"}
