"""The accounts that can stand in for each other, and the leases they are handed out on.

Between looking at an account and taking it nothing is awaited, so the event loop is all the mutual exclusion
there is. An account that is due for its probe gets exactly one request until the verdict.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.health import Status, after_failure, after_success
from aiclient2api.accounts.selection import ring, walk
from aiclient2api.errors import Penalty, UpstreamError

MAX_WAITERS = 64
WAIT_SECONDS = 2.0


class Lease:
    """An account taken for one attempt. The first of `succeeded`, `failed`, `abandoned` ends it; more are ignored."""

    __slots__ = ("_pool", "account", "is_over", "is_probe")

    def __init__(self, pool: AccountPool, account: Account) -> None:
        self._pool = pool
        self.account = account
        self.is_probe = account.is_waiting_for_probe
        self.is_over = False

    def begun(self) -> None:
        """Content arrives: what the account was out for is over, others may come while this answer goes on."""
        if self.is_probe and not self.is_over:
            self.account.state = after_success(self.account.state, is_probe=True)
            self.account.probing = self.is_probe = False
            self._pool.wake()

    def succeeded(self) -> None:
        """Content was received and the terminal was seen."""
        if not self.is_over:
            self.account.state = after_success(self.account.state, is_probe=self.is_probe)
            self._end()

    def failed(self, error: UpstreamError) -> None:
        """The attempt failed; the error's penalty falls on the account. An error without one is a sign of life."""
        if error.penalty is Penalty.NONE:
            self.begun()
        if not self.is_over:
            self.account.state = after_failure(
                self.account.state, error, self._pool.now(), self._pool.random(), is_probe=self.is_probe
            )
            self._end()

    def abandoned(self) -> None:
        """The client left: no verdict about the account."""
        if not self.is_over:
            self._end()

    def _end(self) -> None:
        self.is_over = True
        self.account.inflight -= 1
        if self.is_probe:
            self.account.probing = False
        self._pool.wake()


class AccountPool:
    """Health-aware round robin over its accounts. `now` in seconds, `random` in [0, 1)."""

    def __init__(
        self, name: str, accounts: Sequence[Account], *, now: Callable[[], float], random: Callable[[], float]
    ) -> None:
        self.name = name
        self.accounts = tuple(accounts)
        self.now = now
        self.random = random
        self._ring = ring(self.accounts)
        self._tickets = itertools.count()
        self._waiters: deque[asyncio.Future[None]] = deque()

    def take(self, usable: Callable[[Account], bool], model: str, tried: set[str]) -> Lease | None:
        """The next account that can serve `model` now and was not tried before; None when there is none."""
        now = self.now()
        for account in walk(self._ring, next(self._tickets)):
            if account.name not in tried and account.why_not(model, now) is None and usable(account):
                return self._lease(account)
        return None

    def take_in_panic(self, usable: Callable[[Account], bool], model: str, tried: set[str]) -> Lease | None:
        """When all that is left was ejected for failures (not cooling, not disabled): one of them all the same."""
        left = [a for a in self.accounts if a.name not in tried and a.serves(model) and usable(a)]
        if not left or any(account.state.status is not Status.EJECTED for account in left):
            return None
        for account in walk(self._ring, next(self._tickets)):
            if account in left and account.inflight < account.concurrency and not account.probing:
                return self._lease(account)
        return None

    def _lease(self, account: Account) -> Lease:
        lease = Lease(self, account)
        account.inflight += 1
        account.probing = lease.is_probe
        return lease

    def is_full(self, usable: Callable[[Account], bool], model: str, tried: set[str]) -> bool:
        """Whether only the concurrency limits stand in the way."""
        now = self.now()
        return any(
            account.inflight >= account.concurrency and account.state.is_open(now)
            for account in self.accounts
            if account.name not in tried and account.serves(model) and usable(account)
        )

    async def wait(self) -> bool:
        """Wait until a lease ends; False when the queue is full or the wait was too long."""
        if len(self._waiters) >= MAX_WAITERS:
            return False
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await waiter
        except TimeoutError:
            return waiter.done() and not waiter.cancelled()  # the place and the time-out may come together
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        return True

    def wake(self) -> None:
        """A place became free: all may try again, the oldest first. Who waits may want different accounts."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def earliest(self, usable: Callable[[Account], bool], model: str) -> float | None:
        """Seconds until the first cooling account of this model may be used; None when none is cooling."""
        now = self.now()
        waits = [
            account.state.until - now
            for account in self.accounts
            if account.state.status in (Status.COOLING, Status.EJECTED)
            and account.serves(model)
            and usable(account)
        ]
        return max(0.0, min(waits)) if waits else None
