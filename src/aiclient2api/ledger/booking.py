"""From the ledger into the store, exactly once: counts and the position they reach are written together.

The position of a segment in the store says which of its records are booked. A batch whose answer got lost is seen
to be booked already by the next look at the position; a segment that is booked again changes nothing. A store that
forgot its last moments (a failover does that) forgot counts and position together: what is missing is read again from
the file, and a file counts as booked only when a later look still finds its position in the store.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiclient2api.ledger import recovery
from aiclient2api.ledger.ledger import Batch, Ledger
from aiclient2api.ledger.records import Row
from aiclient2api.ledger.segment import FIRST
from aiclient2api.ledger.totals import HOUR, Totals
from aiclient2api.store import keys
from aiclient2api.store.base import AddFields, Put, Store, StoreUnavailable, Write

HOURS_KEPT: Final = 35 * 86_400.0
DAYS_KEPT: Final = 400 * 86_400.0
SEGMENTS_KEPT: Final = 7 * 86_400.0
POSITIONS_KEPT: Final = 14 * 86_400.0
"""Seconds; longer than segments, so that one that is read again is known to be booked."""
ROUNDS: Final = 5
"""Others book the same segment only after its owner died, and then once."""
EVERY: Final = 1.0
RECOVER_EVERY: Final = 60.0
RETRY: Final = 5.0
"""Seconds until the next recovery when the store did not answer in the middle of one."""
ENOUGH: Final = 100
"""Groups that are booked in a second, on average: after more of them the next booking waits, and adds up more."""
LONGEST: Final = 10.0
"""Seconds that it waits at most."""


@asynccontextmanager
async def booked(
    ledger: Ledger, store: Store, told: Callable[..., None], settled: Callable[[Row], None]
) -> AsyncGenerator[None]:
    """Book while the block runs, and what is left at its end."""
    booking = Booking(ledger, store, time.time, told, settled)
    task = asyncio.ensure_future(booking.run())
    try:
        yield
    finally:
        booking.is_closing = True
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        try:
            await booking.book()
        finally:
            await booking.on_disk(ledger.close)


class Booking:
    """Books what a ledger collects. `wall` is Unix time in seconds; `told` gets an event's name and fields.

    `settled` gets each row that was written for a process that died.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        wall: Callable[[], float],
        told: Callable[..., None],
        settled: Callable[[Row], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._store = store
        self._wall = wall
        self._told = told
        self._settled = settled
        self._damaged: set[Path] = set()
        """What was told."""
        self._was_degraded = False
        self._until_recovery = self._until_booking = 0.0
        """Seconds."""
        self.is_closing = False
        """Whether `run` is to end; its cancellation alone may be kept by a library in between."""

    async def run(self) -> None:
        """Book until it is closing, and look after segments that dead processes left."""
        while not self.is_closing:
            try:
                await self._turn()
            except Exception as error:  # a loop that ends would be an outage that nobody sees
                self._told("error", "ledger_failed", type=type(error).__name__, problem=str(error)[:200])
            if not self.is_closing:
                await asyncio.sleep(EVERY)

    async def _turn(self) -> None:
        self._until_recovery -= EVERY
        self._until_booking -= EVERY
        if self._until_recovery <= 0:
            self._until_recovery = RECOVER_EVERY if await self.recover() else RETRY
        if self._until_booking <= 0:
            self._until_booking = min(LONGEST, await self.book() / ENOUGH)
        await self.on_disk(self._ledger.syncing())
        if self._ledger.is_degraded != self._was_degraded:
            self._was_degraded = self._ledger.is_degraded
            self._told(
                "error" if self._was_degraded else "info",
                "ledger_degraded" if self._was_degraded else "ledger_recovered",
                problem=self._ledger.problem or "",
            )

    async def on_disk(self, work: Callable[[], None]) -> None:
        """Do what blocks; what the disk refuses is told, and booking goes on."""
        try:
            await asyncio.to_thread(work)
        except OSError as error:
            self._told("error", "ledger_unsynced", problem=error.strerror or type(error).__name__)

    async def book(self) -> int:
        """Book what is there by now, and say how many groups; what the store does not take stays for the next time."""
        groups = 0
        try:
            for _ in range(self._ledger.unbooked + 1):  # not what comes meanwhile: that would never end
                batch = self._ledger.next_batch()
                if batch is None:
                    break
                groups += len(batch.totals.groups)
                await self._book(batch.segment, batch.end, lambda begin, batch=batch: _totals(batch, begin))
                self._ledger.booked(batch)
        except StoreUnavailable:
            pass
        return groups

    async def recover(self) -> bool:
        """Settle what dead processes left and book what nobody has booked; False when the store did not take it."""
        folder = self._ledger.folder
        if folder is None or not folder.is_dir():
            return True
        now = self._wall()
        try:
            settled = await asyncio.to_thread(recovery.settle, folder, now)
            if settled:
                self._told("warning", "ledger_settled", rows=len(settled))
                for row in settled:
                    self._settled(row)
            for found in await asyncio.to_thread(recovery.finished, folder):
                await self._recover(found)
            await asyncio.to_thread(recovery.forget, folder, now - SEGMENTS_KEPT)
        except OSError as error:
            self._told("error", "ledger_unreadable", problem=error.strerror or type(error).__name__)
        except StoreUnavailable:
            return False
        return True

    async def _recover(self, found: recovery.Found) -> None:
        if found.is_damaged and found.path not in self._damaged:
            self._damaged.add(found.path)
            self._told("error", "ledger_damaged", segment=found.path.name, sound_bytes=found.position)
        if not found.position or not await self._book(
            found.identity,
            found.position,
            lambda begin: asyncio.to_thread(recovery.totals_of, found.path, begin),
        ):
            recovery.mark_booked(found)

    async def _book(self, segment: str, end: int, totals: Callable[[int], Awaitable[Totals]]) -> bool:
        """Whether there was anything to book. Raises StoreUnavailable."""
        position = keys.usage_position(segment)
        for _ in range(ROUNDS):
            stored = await self._store.get(position)
            begin = int(stored) if stored is not None else 0
            if begin >= end:
                return False
            writes = [*_writes(await totals(begin)), Put(position, str(end).encode(), POSITIONS_KEPT)]
            if await self._store.apply(writes, when={position: stored}):
                return True
        raise StoreUnavailable("another process books the same segment")


async def _totals(batch: Batch, begin: int) -> Totals:
    """What a batch still has to add to a store that is booked up to `begin`; without its file, what we know of it."""
    if begin == batch.begin or batch.path is None or (not begin and batch.begin == FIRST):
        return batch.totals
    try:
        return await asyncio.to_thread(recovery.totals_of, batch.path, begin, batch.end)
    except OSError:
        return batch.totals


def _writes(totals: Totals) -> list[Write]:
    hours: dict[int, dict[str, int]] = {}
    days: dict[int, dict[str, int]] = {}
    for hour, field, amount in totals.increments():
        hours.setdefault(hour, {})[field] = amount
        day = days.setdefault(hour * HOUR // 86_400, {})
        day[field] = day.get(field, 0) + amount
    return [
        *(AddFields(keys.usage_hour(hour), fields, HOURS_KEPT) for hour, fields in hours.items()),
        *(AddFields(keys.usage_day(day), fields, DAYS_KEPT) for day, fields in days.items()),
    ]
