"""What this node shares of client keys with the others, all of it in the background; one per process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiclient2api.keys.limiter import KeyLimiter
from aiclient2api.keys.sharing import UseSharing
from aiclient2api.keys.stored import SharedClientKeys
from aiclient2api.store.base import StoreUnavailable

EVERY: Final = 0.25
"""Seconds between two hearings."""
AT_ONCE: Final = 0.02
"""Seconds between two that are in a hurry."""
PAUSES: Final = 5.0
"""How many times longer the pause is than the exchange before it: many keys in use must not fill the loop."""
LAST_WORD: Final = 1.0
"""Seconds that a stop waits for the store."""


class KeySharing:
    """Hears of keys, and tells and hears of their use. `bug` is told of an error of ours; the loops go on."""

    def __init__(
        self,
        stored: SharedClientKeys,
        limiter: KeyLimiter,
        use: UseSharing,
        bug: Callable[[BaseException], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self.stored = stored
        self._limiter = limiter
        self._use = use
        self._bug = bug
        self.has_limits = False
        """Whether a configured key has limits."""
        self._hurry = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closing = False
        limiter.hurry = self._hurry.set

    async def start(self) -> None:
        """Know the keys before the first request, then go on in the background."""
        await asyncio.to_thread(self.stored.recall)
        await self._hear()
        await self._exchange()
        self._tasks = [asyncio.ensure_future(self._hearing()), asyncio.ensure_future(self._exchanging())]

    async def _hearing(self) -> None:
        while not self._is_closing:
            await asyncio.sleep(EVERY)
            await self._hear()

    async def _exchanging(self) -> None:
        while not self._is_closing:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._hurry.wait()
            self._hurry.clear()
            began = self._now()
            await self._exchange()
            await asyncio.sleep(min(EVERY, max(AT_ONCE, PAUSES * (self._now() - began))))

    async def _hear(self) -> None:
        await self._safely(self.stored.hear)

    async def _exchange(self) -> None:
        if self.has_limits or self.stored.has_limits or self._limiter.uses:
            await self._safely(self._use.exchange, self._use.lost)

    async def _safely(
        self, work: Callable[[], Awaitable[None]], lost: Callable[[], None] | None = None
    ) -> None:
        try:
            await work()
        except StoreUnavailable:
            if lost is not None:
                lost()
        except Exception as error:  # a loop that ends would be an outage that nobody sees
            self._bug(error)

    async def close(self) -> None:
        """Give back what this node has, if the store takes it in time."""
        self._is_closing = True
        self._hurry.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._tasks:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORD):
                    await self._exchange()
