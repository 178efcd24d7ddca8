"""The accounts that can stand in for each other, handed out in turns.

Between looking at an account and taking it nothing is awaited, so the event loop is all the mutual exclusion
there is. Who may be taken stands in an immutable view per model; a change of health makes a new one, at most every
50 ms, and what changed since is looked at in the pick itself. An account that is due for its probe gets exactly one
request until the verdict, before all others: that is how it comes back soon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from statistics import median_low
from typing import Final

from msgspec import Struct

from aiclient2api.accounts.account import Account, Cause, Obstacle
from aiclient2api.accounts.health import USABLE, AccountState, HealthRules, Status
from aiclient2api.accounts.lease import Lease
from aiclient2api.accounts.policy import DEFAULTS, Policy
from aiclient2api.accounts.selection import rendezvous, ring, walk
from aiclient2api.accounts.surroundings import Surroundings
from aiclient2api.accounts.throttle import RetryBudget
from aiclient2api.accounts.tickets import Tickets
from aiclient2api.accounts.waiting import Waiting

DEBOUNCE: Final = 0.05
REVIEW: Final = 10.0
"""How often the accounts are compared with each other, and weights of a ramp are raised, in seconds."""
RAMP_STEP: Final = 3.0
OVERDUE: Final = 5.0
"""Seconds that a probe waits for a small request; then any will do, or agents' long prompts would never find out."""
MAX_VIEWS: Final = 256
NEVER: Final = float("inf")


class View(Struct, frozen=True):
    """What the pool looks like for one model until `until`."""

    ring: tuple[Account, ...]
    due: tuple[Account, ...]
    """Out, but their time is over: the next request is their probe."""
    built: float
    until: float
    version: int
    is_plain: bool
    """There is somebody to take, and nobody to probe."""


class Wish(Struct, frozen=True):
    """What a request would like; it takes whatever there is all the same."""

    account: str | None = None
    """The mark of the one that made its state."""
    prompt: bytes | None = None
    """The beginning of its prompt: the account that has it cached, unless that carries more than its share."""
    may_probe: bool = True
    """It is small enough to find out with whether an account is back."""


ANYTHING: Final = Wish()
Usable = Callable[[Account], bool]


class AccountPool:
    """Health-aware round robin over its accounts. `now` in monotonic seconds, `random` in [0, 1)."""

    def __init__(
        self,
        name: str,
        accounts: Sequence[Account],
        *,
        now: Callable[[], float],
        random: Callable[[], float],
        surroundings: Surroundings | None = None,
        tickets: Callable[[], int] | None = None,
    ) -> None:
        self.name = name
        self.accounts = tuple(accounts)
        self.now = now
        self.random = random
        self.surroundings = surroundings or Surroundings(DEFAULTS)
        self.policy: Policy = self.surroundings.policy
        self.rules = HealthRules(self.policy.health)
        self.budget = RetryBudget(self.policy.retries, now())
        self._tickets = tickets or Tickets()
        self._views: dict[str, View] = {}
        self._version = 0
        self.waiting = Waiting(self.policy.concurrency)
        for account in self.accounts:
            account.join(self.surroundings, self._account_changed)
            account.freed = self.wake
        self.surroundings.add(self)

    def _account_changed(self, account: Account, model: str | None, state: AccountState) -> None:
        self._version += 1
        observer = self.surroundings.observer
        if observer is not None:
            observer.account_changed(account.name, model, state)

    def changed(self) -> None:
        """Something that the views were made of is different."""
        self._version += 1

    # ---- taking

    def take(self, usable: Usable, model: str, tried: Set[str], wish: Wish = ANYTHING) -> Lease | None:
        """The next account that can serve `model` now and was not tried before; None when there is none."""
        now = self.now()
        view = self._views.get(model)
        if (
            view is None
            or now >= view.until
            or (view.version != self._version and now - view.built >= DEBOUNCE)
        ):
            view = self._view(model, now)
        if wish is ANYTHING and view.is_plain and self.surroundings.is_calm:
            slots = view.ring
            account = slots[self._tickets() % len(slots)]
            if (
                account.is_plain
                and account.inflight < account.limit
                and account.name not in tried
                and usable(account)
            ):
                return Lease(self, account, model, now, account.shared(model))
        account = self._pick(view, usable, model, tried, wish)
        if account is None and view.version != self._version:
            account = self._pick(self._view(model, now), usable, model, tried, wish)
        return None if account is None else Lease(self, account, model, now, account.shared(model))

    def _pick(self, view: View, usable: Usable, model: str, tried: Set[str], wish: Wish) -> Account | None:
        now = self.now()
        if wish is not ANYTHING:
            wished = self._wished(view, usable, model, tried, wish)
            if wished is not None:
                return wished
        for account in view.due:
            is_up = wish.may_probe or now - _back_at(account, model) >= OVERDUE
            if is_up and account.name not in tried and account.can_take(model, now) and usable(account):
                return account
        slots = view.ring
        if slots:
            ticket = self._tickets()
            account = slots[ticket % len(slots)]
            if account.name not in tried and account.can_take(model, now) and usable(account):
                return account
            for account in walk(slots, ticket):
                if account.name not in tried and account.can_take(model, now) and usable(account):
                    return account
        for account in view.due:
            if account.name not in tried and account.can_take(model, now) and usable(account):
                return account
        return None

    def _wished(self, view: View, usable: Usable, model: str, tried: Set[str], wish: Wish) -> Account | None:
        now = self.now()
        members = tuple(dict.fromkeys(view.ring))
        if wish.account is not None:
            order: Iterable[Account] = [account for account in members if account.mark == wish.account]
            most = NEVER
        elif wish.prompt is not None and members:
            names = [account.name for account in members]
            order = (members[index] for index in rendezvous(names, wish.prompt))
            under_way = sum(account.inflight for account in members) + 1
            most = max(1.0, self.policy.affinity_load * under_way / len(members))
        else:
            return None
        for account in order:
            fits = account.inflight < most and account.name not in tried
            if fits and account.can_take(model, now) and usable(account):
                return account
        return None

    def take_in_panic(self, usable: Usable, model: str, tried: Set[str]) -> Lease | None:
        """For want of any other: an account that is out for failures, never one that cools or is disabled.

        The adaptive throttle decides how many such tries there are.
        """
        now = self.now()
        ticket = self._tickets()
        for account in walk(self.accounts, ticket) if self.accounts else ():
            if account.name in tried or not usable(account) or account.inflight >= account.limit:
                continue
            obstacle = account.obstacle(model, now)
            if obstacle is None or obstacle.cause not in (Cause.FAILED, Cause.HOST):
                continue
            if account.token_obstacle is not None:
                continue
            overlay = account.overlays.get(model)
            if account.state.cause in (Status.COOLING, Status.DISABLED) or (
                overlay and not overlay.is_open(now)
            ):
                continue
            if account.shared(model).throttle.rejects(now, self.random):
                return None
            lease = Lease(self, account, model, now, account.shared(model))
            lease.is_panic = True
            return lease
        return None

    # ---- views

    def _view(self, model: str, now: float) -> View:
        if model not in self._views and len(self._views) >= MAX_VIEWS:
            self._views.clear()
        self._review(now)
        members: list[Account] = []
        weights: list[float] = []
        due: list[Account] = []
        until = now + REVIEW
        for account in self.accounts:
            if account.models and not account.serves(model):
                continue
            back = _back_at(account, model)
            if back > now:
                until = min(until, back)
            elif back:
                due.append(account)
            else:
                if account.state.status in (Status.RAMP, Status.DEGRADED):
                    until = min(until, account.state.until, now + RAMP_STEP)
                members.append(account)
                weights.append(account.weight * self.rules.weight(account.state, now))
        slots = ring(members, weights)
        view = View(slots, tuple(due), now, max(until, now + 0.001), self._version, bool(slots) and not due)
        self._views[model] = view
        return view

    def _review(self, now: float) -> None:
        """What changes by time alone, and who is slow compared with the others."""
        policy = self.policy.health
        times = [a.evidence.first_token for a in self.accounts if a.evidence.timed >= policy.samples]
        bound = max(policy.slow_first_token, policy.slow_factor * median_low(times)) if times else NEVER
        for account in self.accounts:
            if account.is_plain and not times and account.state.status is Status.HEALTHY:
                continue
            self._review_one(account, bound, now)

    def _review_one(self, account: Account, bound: float, now: float) -> None:
        policy, rules = self.policy.health, self.rules
        state = rules.advanced(account.state, now)
        is_slow = account.evidence.timed >= policy.samples and account.evidence.first_token > bound
        if state.status is Status.HEALTHY and is_slow:
            state = rules.degraded(state, now, "slow")
        elif state.status is Status.DEGRADED and not is_slow:
            failing = account.evidence.failing(now, policy.samples)
            if failing < policy.degrade_share and not state.strikes:
                state = rules.recovered(state, now)
        if state is not account.state:
            account.adopt(state)
        for model, overlay in list(account.overlays.items()):
            advanced = rules.advanced(overlay, now)
            if advanced is not overlay:
                account.adopt(advanced, model)

    # ---- what leases and the gateway ask

    def is_last(self, account: Account) -> bool:
        """Whether all others are disabled."""
        return all(a is account or a.state.cause is Status.DISABLED for a in self.accounts)

    def is_unhealthy(self, model: str) -> bool:
        """Whether fewer than half of the accounts for this model can be used."""
        now = self.now()
        serving = [account for account in self.accounts if account.serves(model)]
        out = sum(account.obstacle(model, now) is not None for account in serving)
        return 2 * out > len(serving)

    def others_serve(self, account: Account, model: str) -> bool:
        """Whether another account has just answered requests for this model."""
        shared = account.shared(model)
        is_recent = self.now() - shared.served_at <= self.policy.health.window
        return is_recent and shared.served_by is not None and shared.served_by is not account

    def is_full(self, usable: Usable, model: str, tried: Set[str]) -> bool:
        """Whether only the concurrency limits, or tokens that are on their way, stand in the way."""
        now = self.now()
        return any(
            (account.inflight >= account.limit or account.token_obstacle is not None)
            and (obstacle := account.obstacle(model, now)) is not None
            and obstacle.cause is Cause.BUSY
            for account in self.accounts
            if account.name not in tried and usable(account)
        )

    def obstacles(self, usable: Usable, model: str) -> Iterator[tuple[Account, Obstacle | None]]:
        """Every account that may serve the request at all, with what stands in the way now."""
        now = self.now()
        for account in self.accounts:
            if account.serves(model) and usable(account):
                yield account, account.obstacle(model, now)

    async def wait(self) -> bool:
        """Wait until a lease ends; False when the queue is full or the wait was too long."""
        return await self.waiting.wait()

    def wake(self) -> None:
        """A place became free."""
        self.waiting.wake()

    def token_changed(self) -> None:
        """An account has a token to sign with again, or none any more."""
        self._version += 1
        self.waiting.wake()

    # ---- the operator

    def disable(self, account: Account) -> None:
        """Until `retry`: the one state that does not end by itself."""
        account.adopt(AccountState(status=Status.DISABLED, until=NEVER, since=self.now()))

    def retry(self, account: Account) -> None:
        """Probe it with the next request, whatever it is out for."""
        now = self.now()
        for model, overlay in list(account.overlays.items()):
            if overlay.status not in USABLE:
                account.adopt(_due(overlay, now), model)
        if account.state.status not in USABLE:
            account.adopt(_due(account.state, now))
        self.wake()


def _back_at(account: Account, model: str) -> float:
    """When an account that is out for this model may be probed; 0 when it is not out."""
    back = account.state.until if account.state.needs_probe else 0.0
    overlay = account.overlays.get(model)
    if overlay is not None and overlay.needs_probe:
        back = max(back, overlay.until)
    for circuit in (account.host.state, account.shared(model).overload.state):
        if circuit.is_open:
            back = max(back, circuit.until)
    return back


def _due(state: AccountState, now: float) -> AccountState:
    return AccountState(status=state.cause, until=now, reason=state.reason, since=now, step=state.step)
