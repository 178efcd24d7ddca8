"""Where a request goes next: along the chain, over each pool's accounts, within what retries may cost.

No I/O and no waiting: the dispatcher drives it with real attempts, the availability simulation with imagined ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

from aiclient2api import tracebacks
from aiclient2api.accounts.account import Account, Cause
from aiclient2api.accounts.lease import Lease
from aiclient2api.accounts.policy import Policy, RetryPolicy
from aiclient2api.accounts.pool import ANYTHING, AccountPool, Usable, Wish
from aiclient2api.errors import (
    ContextTooLong,
    EmptyAnswer,
    Overloaded,
    Unexplained,
    UpstreamError,
    UpstreamFailed,
)
from aiclient2api.routing.targets import Target
from aiclient2api.verdicts import Failover, Penalty, Scope

DOUBTFUL: Final = 2
"""Failures in a row on accounts of one provider that put all of them in doubt."""
OVERLOADS_PER_HOP: Final = 2
"""An overloaded provider is tried once more elsewhere, then the chain goes on."""


class TokenRefused(UpstreamError):
    """The account's token is refused, and another one is here or on its way: the same account may be asked again."""

    kind = "unavailable"
    code = "token_refused"
    penalty = Penalty.NONE
    scope = Scope.GATEWAY


class Request(Struct, frozen=True, kw_only=True):
    """What failover has to know of a request."""

    usable: Usable
    wish: Wish = ANYTHING
    is_retry: bool = False
    """The client's SDK tries again: nothing is tried twice while the pool is not well."""
    deadline: float = float("inf")
    """On the pool's clock."""
    has_effects: Callable[[], bool] = lambda: False
    """Whether the upstream may do more than answer, so that only what was refused may be sent again."""


class Journey:
    """One request's way along its targets."""

    def __init__(
        self, targets: Sequence[Target], pools: Mapping[str, AccountPool], request: Request, policy: Policy
    ) -> None:
        self.targets = targets
        self.failures: list[UpstreamError] = []
        self.attempts = 0
        self.pause = 0.0
        """Seconds to wait before the attempt that was just granted."""
        self.tried: set[str] = set()
        self.skipped: list[str] = []
        """Why attempts were not made although there was an account, in words."""
        self._pools = pools
        self._request = request
        self._policy = policy
        self._is_retry = False
        self._turn_to(0)
        self._overloads = 0
        self._unsafe = 0
        self._is_over = False
        self._is_hop_over = False
        self._in_panic = False
        if request.is_retry and self.pool.is_unhealthy(self.target.model):
            self._is_retry = True
            self.allowed = 1

    def _turn_to(self, hop: int) -> None:
        self._hop = hop
        self.target = self.targets[hop]
        """Whose turn it is."""
        self.pool = self._pools[self.target.pool]
        """Its pool."""
        kept = len(self.targets) - 1 - hop
        self.is_last = not kept
        """Whether no target comes after this one."""
        self.allowed = 1 if self._is_retry else _allowed(self._policy.retries, hop, kept)
        """Attempts up to and with this target."""

    def onward(self) -> bool:
        """Go to the next target; False when there is none."""
        if self._is_over or self.is_last:
            return False
        self._turn_to(self._hop + 1)
        self._overloads = 0
        self._is_hop_over = False
        self.tried = set()
        return True

    def lease(self) -> Lease | None:
        """An account of this target for the next attempt; None when there is none or no attempt left for it."""
        if not self._may_try():
            return None
        request = self._request
        if self._unsafe:
            lease = self._take_beyond_doubt()
        else:
            lease = self.pool.take(request.usable, self.target.model, self.tried, request.wish)
        if lease is None and self.is_last and self.failures and isinstance(self.failures[-1], EmptyAnswer):
            # the same one once more
            lease = self.pool.take(request.usable, self.target.model, set(), request.wish)
        if lease is None:
            return None
        return lease if self._is_granted(lease) else None

    def _take_beyond_doubt(self) -> Lease | None:
        """After a failure that may not be repeated often, an account that is beyond doubt before any other.

        Where there is none and a target comes after this one, the retry is kept for that: accounts of one provider
        often fail together.
        """
        request, pool, model = self._request, self.pool, self.target.model
        beyond_doubt = pool.take(
            lambda account: (
                account.is_sound and account.shared(model).doubts < DOUBTFUL and request.usable(account)
            ),
            model,
            self.tried,
        )
        if beyond_doubt is not None or not self.is_last:
            return beyond_doubt
        return pool.take(request.usable, model, self.tried)

    def panic(self) -> Lease | None:
        """Nothing is left: one account that is out for failures, all the same, as the last attempt."""
        if not self._may_try() or not self.is_last or self._in_panic:
            return None
        request, target = self._request, self.target
        lease = self.pool.take_in_panic(request.usable, target.model, self.tried)
        if lease is None or not self._is_granted(lease):
            return None
        self._in_panic = True
        return lease

    def _may_try(self) -> bool:
        """Whether anything is left of attempts and time."""
        if self._is_over or self._is_hop_over or self.attempts >= self.allowed:
            return False
        if self.attempts and self.pool.now() + self._policy.retries.least > self._request.deadline:
            self._is_over = True
            self.skipped.append("no time left before the deadline")
            return False
        return True

    def _is_granted(self, lease: Lease) -> bool:
        """Throttle, where another target can take over, and budget, for retries."""
        now, pool = self.pool.now(), self.pool
        throttle = lease.shared.throttle
        if not self.is_last and throttle.has_failures and throttle.rejects(now, pool.random):
            lease.abandoned()
            self.skipped.append(f"{self.target}: throttled")
            return False
        if not self.failures:
            if not self.attempts:
                pool.budget.first()
            self.attempts += 1
            self.pause = 0.0
            throttle.started(now)
            return True
        if not pool.budget.spend(now, safe=self.failures[-1].is_safe):
            lease.abandoned()
            self.skipped.append(f"{self.target}: its retry budget is spent")
            return False
        self.pause = self._backoff()
        self.attempts += 1
        throttle.started(now)
        return True

    def _backoff(self) -> float:
        """Nothing before the first retry, then a random share of a growing span."""
        retries, earlier = self._policy.retries, len(self.failures) - 1
        if earlier < 1:
            return 0.0
        return self.pool.random() * min(retries.backoff_max, retries.backoff * 2**earlier)

    def failed(self, lease: Lease, error: UpstreamError) -> None:
        """An attempt failed. Raises the error when it is the client's own."""
        pool = self.pool
        if not isinstance(error, TokenRefused):
            self.tried.add(lease.account.name)
        if isinstance(error, Unexplained) and pool.others_serve(lease.account, self.target.model):
            error = UpstreamFailed("the upstream refused what others accept")
        lease.failed(error)
        if isinstance(error, ContextTooLong) and self._is_fallback():
            # the model that the client asked for takes it and is out: that is what it is told
            self.skipped.append(f"{self.target}: the request is too long for it")
            self._is_hop_over = True
            return
        tracebacks.forget(error)
        self.failures.append(error)
        if error.failover is Failover.NEVER:
            raise error
        if error.failover is Failover.NEXT_TARGET:
            self._is_hop_over = True
        if isinstance(error, Overloaded):
            self._overloads += 1
            self._is_hop_over = self._overloads >= OVERLOADS_PER_HOP
        if not error.is_safe:
            self._unsafe += 1
            if self._unsafe > self._policy.retries.unsafe or self._request.has_effects():
                self._is_over = True
                self.skipped.append("the request may have taken effect: it is not sent again")
        if self._in_panic:
            self._is_over = True

    def _is_fallback(self) -> bool:
        """Whether this target is asked only because an earlier one failed or is out for a while."""
        if self._hop and self.failures:
            return True
        return any(
            obstacle is not None and obstacle.cause not in (Cause.MODEL, Cause.DISABLED)
            for target in self.targets[: self._hop]
            for _, obstacle in self._pools[target.pool].obstacles(self._request.usable, target.model)
        )

    def refused(self, lease: Lease, alike: set[str]) -> None:
        """The request cannot be expressed for this account, nor for those that are `alike`; nothing was sent."""
        lease.abandoned()
        self.attempts -= 1
        self.tried.add(lease.account.name)
        self.tried.update(alike)

    def is_alone(self, account: Account) -> bool:
        """Whether nobody else could be asked if the attempt that was just granted, on `account`, failed."""
        if self._in_panic or self._unsafe >= self._policy.retries.unsafe:
            return True
        if not self.is_last:
            return False
        if self.attempts >= self.allowed:
            return True
        now, model = self.pool.now(), self.target.model
        for other in self.pool.accounts:
            if (
                other is not account
                and other.name not in self.tried
                and self._request.usable(other)
                and other.why_not(model, now) is None
            ):
                return False
        return True

    def is_full(self) -> bool:
        """Whether only the concurrency limits stand in the way of another attempt."""
        if self._is_over or self._is_hop_over or self.attempts >= self.allowed:
            return False
        return self.pool.is_full(self._request.usable, self.target.model, self.tried)


@lru_cache(64)
def _allowed(retries: RetryPolicy, hop: int, kept: int) -> int:
    """One attempt is kept for each target to come."""
    return max(min(retries.first_hop + hop, retries.attempts - kept), min(hop + 1, retries.attempts))


def any_account(_account: Account) -> bool:
    """Every account will do."""
    return True
