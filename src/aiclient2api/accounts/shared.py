"""What this node shares with the others, all of it in the background; one per process, whatever is reloaded."""

from __future__ import annotations

import asyncio
import contextlib
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiclient2api.accounts import presence
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.accounts.presence import Presence
from aiclient2api.accounts.probes import Probes
from aiclient2api.accounts.sync import StateSync
from aiclient2api.accounts.tickets import Tickets
from aiclient2api.store import keys, write_behind
from aiclient2api.store.base import Store, StoreUnavailable
from aiclient2api.store.memory import MemoryStore
from aiclient2api.store.write_behind import WriteBehind

BLOCK, LARGEST_BLOCK = 64, 1024
"""Turns that a node takes from the store at a time; a busy pool's blocks grow until one lasts for a second."""
HEAR_EVERY: Final = 0.25
LAST_WRITES: Final = 1.0
"""Seconds that a stop waits for the store."""


class Shared:
    """`bug` is told of an error of ours; the loops go on."""

    def __init__(
        self,
        store: Store,
        node: str,
        random: Callable[[], float],
        bug: Callable[[BaseException], None],
        *,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self.node = node
        self.writes = WriteBehind(store)
        self.states = StateSync(store, node, now, wall)
        self.presence = Presence(store, node)
        self._probes = Probes(store, node, self.states, now, random)
        self._now = now
        self._bug = bug
        self._tickets: dict[str, Tickets] = {}
        self._blocks: dict[str, tuple[int, float]] = {}
        """Size of a pool's last block, and when it was taken."""
        self._wanted: set[str] = set()
        self._asked = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closing = False
        store.on_return.append(self._asked.set)

    def watch(self, pools: Mapping[str, AccountPool]) -> None:
        """These pools are served now."""
        self.states.watch(pools)
        self.presence.watch(pools)

    def tickets(self, pool: str) -> Tickets:
        """Turns of a pool, in blocks from the store; by itself it counts from a place of this node's own."""
        found = self._tickets.get(pool)
        if found is None:
            is_alone = isinstance(self.store, MemoryStore)
            first = 0 if is_alone else zlib.crc32(f"{self.node} {pool}".encode())
            found = self._tickets[pool] = Tickets(first, lambda: self._want(pool))
        return found

    def _want(self, pool: str) -> None:
        self._wanted.add(pool)
        self._asked.set()

    def clock(self) -> float:
        """The store's clock as far as we know: Unix time in seconds."""
        return self._now() + self.states.offset

    # ---- loops

    async def start(self) -> None:
        """Hear what others told before the first request, then go on in the background."""
        with contextlib.suppress(StoreUnavailable):
            await self._look()
            self._wanted.update(self._tickets)
            await self._take_blocks()
        self._tasks = [
            asyncio.ensure_future(self._every(write_behind.EVERY, self._write)),
            asyncio.ensure_future(self._every(write_behind.COUNTS_EVERY, self.writes.flush_counts)),
            asyncio.ensure_future(self._every(HEAR_EVERY, self.states.hear)),
            asyncio.ensure_future(self._every(presence.EVERY, self._look)),
            asyncio.ensure_future(self._refill()),
        ]

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while not self._is_closing:
            await self._safely(work)
            if not self._is_closing:  # a library in between may have kept the cancellation for itself
                await asyncio.sleep(seconds)

    async def _safely(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except StoreUnavailable:
            pass  # the store tells when it is back; until then everything waits where it is
        except Exception as error:  # a loop that ends would be an outage that nobody sees
            self._bug(error)

    async def _write(self) -> None:
        await self.states.tell()
        await self._probes.decide(self.presence.live)
        await self.writes.flush_puts()

    async def _look(self) -> None:
        self.states.offset = await self.store.time() - self._now()
        await self.presence.appear()
        await self.states.hear()

    async def _refill(self) -> None:
        while not self._is_closing:
            await self._asked.wait()
            self._asked.clear()
            await self._safely(self._take_blocks)

    async def _take_blocks(self) -> None:
        for pool in list(self._wanted):
            size = self._block(pool)
            end = await self.store.increment(keys.tickets(pool), size)
            self._wanted.discard(pool)
            self._blocks[pool] = size, self._now()
            self._tickets[pool].add(end - size, size)

    def _block(self, pool: str) -> int:
        size, taken = self._blocks.get(pool, (BLOCK, float("-inf")))
        lasted = self._now() - taken
        return (
            min(2 * size, LARGEST_BLOCK) if lasted < 1.0 else max(size // 2, BLOCK) if lasted > 5.0 else size
        )

    async def close(self) -> None:
        """Write what is left, if the store takes it in time."""
        self._is_closing = True
        self._asked.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(LAST_WRITES):
                await self.states.tell()
                await self.writes.flush()
                await self._probes.release()
                await self.presence.leave()
