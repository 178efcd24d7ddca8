"""Requests that wait for a place on an account, the oldest first."""

from __future__ import annotations

import asyncio
from collections import deque

from aiclient2api.accounts.policy import ConcurrencyPolicy


class Waiting:
    """A bounded queue of futures; who leaves, leaves at once."""

    __slots__ = ("_policy", "queue")

    def __init__(self, policy: ConcurrencyPolicy) -> None:
        self._policy = policy
        self.queue: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> bool:
        """Wait until a lease ends; False when the queue is full or the wait was too long."""
        if len(self.queue) >= self._policy.waiters:
            return False
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.queue.append(waiter)
        try:
            async with asyncio.timeout(self._policy.wait):
                await waiter
        except TimeoutError:
            return waiter.done() and not waiter.cancelled()  # the place and the time-out may come together
        finally:
            if waiter in self.queue:
                self.queue.remove(waiter)
        return True

    def wake(self) -> None:
        """A place became free: all may try again, the oldest first. Who waits may want different accounts."""
        while self.queue:
            waiter = self.queue.popleft()
            if not waiter.done():
                waiter.set_result(None)
