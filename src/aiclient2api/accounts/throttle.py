"""How much a provider's model is asked while it fails, and what retries may cost.

Both count at the start of a call, because calls last minutes: a call that is under way counts as accepted until it
is known to have failed, and then in the slot in which it began.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiclient2api.accounts.policy import RetryPolicy, ThrottlePolicy

SLOTS: Final = 12
OUTAGE: Final = 0.9
"""The share of failures from which on nothing works."""


class Throttle:
    """Rejects locally with p = max(0, (requests - factor · accepted) / (requests + 1))."""

    __slots__ = ("_bad", "_begun", "_epoch", "_last", "_policy", "_slot", "_until", "_width", "has_failures")

    def __init__(self, policy: ThrottlePolicy) -> None:
        self._policy = policy
        self._width = policy.window / SLOTS
        self._epoch = 0
        self._slot = 0
        self._until = 0.0
        self._begun = [0] * SLOTS
        self._bad = [0] * SLOTS
        self._last = float("-inf")
        self.has_failures = False

    def started(self, now: float) -> None:
        """A call goes out."""
        if now >= self._until:
            self._turn(now)
        self._begun[self._slot] += 1
        self._last = now

    def failed(self, began: float) -> None:
        """A call that began then was not served, and the provider is to blame."""
        epoch = int(began / self._width)
        if self._epoch - epoch < SLOTS:
            self._bad[epoch % SLOTS] += 1
            self.has_failures = True

    def healed(self) -> None:
        """A call succeeded. When nearly all had failed, what was does not tell what comes."""
        bad = sum(self._bad)
        if not bad or bad > OUTAGE * sum(self._begun):
            self._begun = [0] * SLOTS
            self._bad = [0] * SLOTS
            self.has_failures = False

    def _turn(self, now: float) -> None:
        epoch = int(now / self._width)
        for passed in range(max(self._epoch + 1, epoch - SLOTS + 1), epoch + 1):
            self._begun[passed % SLOTS] = self._bad[passed % SLOTS] = 0
        self._epoch, self._slot, self._until = epoch, epoch % SLOTS, (epoch + 1) * self._width

    def rejects(self, now: float, random: Callable[[], float]) -> bool:
        """Whether this call had better not go out."""
        policy = self._policy
        if now >= self._until:
            self._turn(now)
        requests = sum(self._begun)
        if requests < policy.samples or now - self._last >= policy.trickle:
            return False
        accepted = requests - min(requests, sum(self._bad))
        return random() < (requests - policy.factor * accepted) / (requests + 1)


class RetryBudget:
    """A token bucket per pool: first attempts and time fill it, retries empty it."""

    __slots__ = ("_cap", "_filled", "_policy", "tokens")

    def __init__(self, policy: RetryPolicy, now: float) -> None:
        self._policy = policy
        self._filled = now
        self.tokens = self._cap = policy.budget_cap

    def first(self) -> None:
        """A request's first attempt."""
        if self.tokens < self._cap:
            self.tokens = min(self._cap, self.tokens + self._policy.budget_share)

    def spend(self, now: float, *, safe: bool) -> bool:
        """Take what a retry costs; False when there is not enough. `safe`: nothing was billed before."""
        policy = self._policy
        grown = self.tokens + max(0.0, now - self._filled) * policy.budget_floor
        self._filled = now
        self.tokens = min(policy.budget_cap, grown)
        cost = policy.cost_safe if safe else policy.cost_unsafe
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True
