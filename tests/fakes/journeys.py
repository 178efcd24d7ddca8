"""Requests through the real failover, pools and health, with imagined upstreams and a clock that is moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.lease import Lease
from aiclient2api.accounts.policy import DEFAULTS, Policy
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.accounts.surroundings import Surroundings
from aiclient2api.errors import UpstreamError
from aiclient2api.gateway.failover import Journey, Request, any_account, hops_of
from aiclient2api.routing.targets import Target
from tests.fakes.accounts import Clock, account

Upstream = Callable[[Account, float], UpstreamError | None]
"""What an account answers at a time: nothing wrong, or an error."""


class Rig:
    """Pools by their sizes, one provider and host per account unless told otherwise."""

    def __init__(self, *sizes: int, policy: Policy = DEFAULTS, seed: float = 0.5) -> None:
        self.clock = Clock()
        self.calls: list[Account] = []
        self.policy = policy
        shared = Surroundings(policy)
        self.pools = {
            f"pool{index}": AccountPool(
                f"pool{index}",
                [account(f"{index}-{number}", provider=f"provider{index}") for number in range(size)],
                now=self.clock,
                random=lambda: seed,
                surroundings=shared,
            )
            for index, size in enumerate(sizes)
        }
        self.targets = [Target(name, "m") for name in self.pools]
        self.last: Journey

    def ask(self, upstream: Upstream, request: Request | None = None) -> bool:
        """One request; whether it was answered. Raises what is the client's own mistake."""
        hops = hops_of(self.targets, self.pools, self.policy.retries)
        journey = self.last = Journey(hops, request or Request(usable=any_account), self.policy)
        while True:
            lease = journey.lease() or journey.panic()
            if lease is None:
                if journey.onward():
                    continue
                return False
            if self._attempt(lease, upstream, journey):
                return True

    def _attempt(self, lease: Lease, upstream: Upstream, journey: Journey) -> bool:
        self.calls.append(lease.account)
        error = upstream(lease.account, self.clock.now)
        if error is None:
            lease.begun()
            lease.succeeded()
            return True
        journey.failed(lease, error)
        return False

    def names(self) -> Sequence[str]:
        """Who was called, in order."""
        return [one.name for one in self.calls]
