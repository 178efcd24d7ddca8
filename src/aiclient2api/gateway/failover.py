"""Where a request goes next: along the chain, over each pool's accounts, within what retries may cost.

No I/O and no waiting: the dispatcher drives it with real attempts, the availability simulation with imagined ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Final

from msgspec import Struct

from aiclient2api import tracebacks
from aiclient2api.accounts.account import Account, Cause
from aiclient2api.accounts.lease import Lease
from aiclient2api.accounts.policy import Policy, RetryPolicy
from aiclient2api.accounts.pool import ANYTHING, AccountPool, Usable, Wish
from aiclient2api.errors import (
    ClientError,
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


class Hop(Struct, frozen=True):
    """One target of a chain, with what is the same for every request that comes there."""

    target: Target
    pool: AccountPool
    place: int
    """In the chain, from 0."""
    is_last: bool
    """Whether no target comes after this one."""
    allowed: int
    """Attempts up to and with this target."""
    is_alone: bool
    """Whether there is nobody beside the first account that is asked here, nor behind it."""


def hops_of(
    targets: Sequence[Target], pools: Mapping[str, AccountPool], retries: RetryPolicy
) -> tuple[Hop, ...]:
    """The chain as a journey needs it."""
    kept = len(targets) - 1
    return tuple(
        Hop(
            target,
            pools[target.pool],
            hop,
            hop == kept,
            _allowed(retries, hop, kept - hop),
            hop == kept and len(pools[target.pool].accounts) == 1,
        )
        for hop, target in enumerate(targets)
    )


class Journey:
    """One request's way along its targets. What stands here of its state is how it begins."""

    attempts = 0
    pause = 0.0
    """Seconds to wait before the attempt that was just granted."""
    failures: Sequence[UpstreamError] = ()
    tried: Set[str] = frozenset()
    refusal: ClientError | None = None
    """The last account's protocol cannot express the request."""
    skipped: Sequence[str] = ()
    """Why attempts were not made although there was an account, in words."""
    _is_retry = False
    _overloads = 0
    _unsafe = 0
    _is_over = False
    _is_hop_over = False
    _in_panic = False

    def __init__(self, hops: Sequence[Hop], request: Request, policy: Policy) -> None:
        self._hops = hops
        self.request = request
        self._policy = policy
        hop = hops[0]
        self._hop = 0
        self.target = hop.target
        """Whose turn it is."""
        self.pool = hop.pool
        """Its pool."""
        self.is_last = hop.is_last
        self.allowed = hop.allowed
        if request.is_retry and self.pool.is_unhealthy(self.target.model):
            self._is_retry = True
            self.allowed = 1

    @property
    def targets(self) -> tuple[Target, ...]:
        """All of the chain."""
        return tuple(hop.target for hop in self._hops)

    def _turn_to(self, hop: Hop) -> None:
        self._hop = hop.place
        self.target = hop.target
        self.pool = hop.pool
        self.is_last = hop.is_last
        self.allowed = 1 if self._is_retry else hop.allowed

    def onward(self) -> bool:
        """Go to the next target; False when there is none."""
        if self._is_over or self.is_last:
            return False
        self._turn_to(self._hops[self._hop + 1])
        self._overloads = 0
        self._is_hop_over = False
        self.tried = frozenset()
        return True

    def _skip(self, why: str) -> None:
        self.skipped = (*self.skipped, why)

    def lease(self) -> Lease | None:
        """An account of this target for the next attempt; None when there is none or no attempt left for it."""
        if self.attempts and not self._may_try():
            return None
        request = self.request
        if self._unsafe:
            lease = self._take_beyond_doubt()
        else:
            lease = self.pool.take(request.usable, self.target.model, self.tried, request.wish)
        if lease is None and self.is_last and self.failures and isinstance(self.failures[-1], EmptyAnswer):
            # the same one once more
            lease = self.pool.take(request.usable, self.target.model, frozenset(), request.wish)
        if lease is None:
            return None
        return lease if self._is_granted(lease) else None

    def _take_beyond_doubt(self) -> Lease | None:
        """After a failure that may not be repeated often, an account that is beyond doubt before any other.

        Where there is none and a target comes after this one, the retry is kept for that: accounts of one provider
        often fail together.
        """
        request, pool, model = self.request, self.pool, self.target.model
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
        request, target = self.request, self.target
        lease = self.pool.take_in_panic(request.usable, target.model, self.tried)
        if lease is None or not self._is_granted(lease):
            return None
        self._in_panic = True
        return lease

    def _may_try(self) -> bool:
        """Whether anything is left of attempts and time."""
        if self._is_over or self._is_hop_over or self.attempts >= self.allowed:
            return False
        if self.attempts and self.pool.now() + self._policy.retries.least > self.request.deadline:
            self._is_over = True
            self._skip("no time left before the deadline")
            return False
        return True

    def _is_granted(self, lease: Lease) -> bool:
        """Throttle, where another target can take over, and budget, for retries."""
        now, pool, throttle = lease.started, self.pool, lease.shared.throttle
        is_doubtful = throttle.has_failures and not self.is_last
        if is_doubtful and throttle.rejects(now, pool.random) and self._is_relieved():
            lease.abandoned()
            self._skip(f"{self.target}: throttled")
            return False
        if not self.failures:
            if not self.attempts:
                pool.budget.first()
                self.attempts = 1
            else:
                self.attempts += 1
                self.pause = 0.0
            throttle.started(now)
            return True
        if not pool.budget.spend(now, safe=self.failures[-1].is_safe):
            lease.abandoned()
            self._skip(f"{self.target}: its retry budget is spent")
            return False
        self.pause = self._backoff()
        self.attempts += 1
        throttle.started(now)
        return True

    def _is_relieved(self) -> bool:
        """Whether an account of a later target could take over."""
        return any(
            obstacle is None
            for hop in self._hops[self._hop + 1 :]
            for _, obstacle in hop.pool.obstacles(self.request.usable, hop.target.model)
        )

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
            self.tried = self.tried | {lease.account.name}
        if isinstance(error, Unexplained) and pool.others_serve(lease.account, self.target.model):
            error = UpstreamFailed("the upstream refused what others accept")
        lease.failed(error)
        if isinstance(error, ContextTooLong) and self._is_fallback():
            # the model that the client asked for takes it and is out: that is what it is told
            self._skip(f"{self.target}: the request is too long for it")
            self._is_hop_over = True
            return
        tracebacks.forget(error)
        self.failures = (*self.failures, error)
        if error.failover is Failover.NEVER:
            raise error
        if error.failover is Failover.NEXT_TARGET:
            self._is_hop_over = True
        if isinstance(error, Overloaded):
            self._overloads += 1
            self._is_hop_over = self._overloads >= OVERLOADS_PER_HOP
        if not error.is_safe:
            self._unsafe += 1
            if self._unsafe > self._policy.retries.unsafe or self.request.has_effects():
                self._is_over = True
                self._skip("the request may have taken effect: it is not sent again")
        if self._in_panic:
            self._is_over = True

    def _is_fallback(self) -> bool:
        """Whether this target is asked only because an earlier one failed or is out for a while."""
        if self._hop and self.failures:
            return True
        return any(
            obstacle is not None and obstacle.cause not in (Cause.MODEL, Cause.DISABLED)
            for hop in self._hops[: self._hop]
            for _, obstacle in hop.pool.obstacles(self.request.usable, hop.target.model)
        )

    def refused(self, lease: Lease, alike: set[str]) -> None:
        """The request cannot be expressed for this account, nor for those that are `alike`; nothing was sent."""
        lease.abandoned()
        self.attempts -= 1
        self.tried = self.tried | alike | {lease.account.name}

    def is_alone(self, account: Account) -> bool:
        """Whether nobody else could be asked if the attempt that was just granted, on `account`, failed."""
        if self._hops[self._hop].is_alone or self._in_panic or self._unsafe >= self._policy.retries.unsafe:
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
                and self.request.usable(other)
                and other.why_not(model, now) is None
            ):
                return False
        return True

    def is_full(self) -> bool:
        """Whether only the concurrency limits stand in the way of another attempt."""
        if self._is_over or self._is_hop_over or self.attempts >= self.allowed:
            return False
        return self.pool.is_full(self.request.usable, self.target.model, self.tried)


def _allowed(retries: RetryPolicy, hop: int, kept: int) -> int:
    """One attempt is kept for each target to come."""
    return max(min(retries.first_hop + hop, retries.attempts - kept), min(hop + 1, retries.attempts))


def any_account(_account: Account) -> bool:
    """Every account will do."""
    return True
