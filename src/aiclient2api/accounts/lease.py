"""An account taken for one attempt, and what the attempt's outcome does, each scope on its own.

A failure changes health only in the scope of its verdict: the account, the account for one model, the model at its
provider, or the host. Whatever else the attempt was a probe of is left without a verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from msgspec import Struct

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.circuit import CLOSED
from aiclient2api.accounts.health import HEALTHY, AccountState, Circumstances, HealthRules, Status
from aiclient2api.accounts.policy import Policy
from aiclient2api.accounts.surroundings import ProviderModel, Surroundings
from aiclient2api.accounts.waiting import Waiting
from aiclient2api.errors import Overloaded, RateLimited, UpstreamError
from aiclient2api.verdicts import Penalty, Scope

ACCOUNT: Final = 1
MODEL: Final = 2
HOST: Final = 4
OVERLOAD: Final = 8
"""What an attempt is a probe of."""


class Lender(Protocol):
    """The pool, as its leases see it."""

    policy: Policy
    rules: HealthRules
    surroundings: Surroundings
    waiting: Waiting
    now: Callable[[], float]
    random: Callable[[], float]

    def is_last(self, account: Account) -> bool:
        """Whether all others are disabled."""
        ...


class Lease(Struct, eq=False):
    """The first of `succeeded`, `failed`, `abandoned` ends it; more are ignored. `started` by the pool's clock."""

    pool: Lender
    account: Account
    model: str
    started: float
    shared: ProviderModel
    is_over: bool = False
    is_panic: bool = False
    """Sent although the account is out, for want of any other."""
    probes: int = 0
    begun_at: float = 0.0

    def __post_init__(self) -> None:
        account = self.account
        account.inflight += 1
        if account.heir is not None:
            account.pass_on(1)
        if not (account.is_plain and self.pool.surroundings.is_calm):
            self._begin_probes(self.started)

    @property
    def is_probe(self) -> bool:
        """Whether it is to find out if the account, its model, its host or its provider is back."""
        return self.probes != 0

    @property
    def probes_account(self) -> bool:
        """Whether the account's state waits for its verdict."""
        return bool(self.probes & ACCOUNT)

    @property
    def probes_model(self) -> bool:
        """Whether the model's state on this account waits for its verdict."""
        return bool(self.probes & MODEL)

    def _begin_probes(self, now: float) -> None:
        account, rules = self.account, self.pool.rules
        patience = now + self.pool.policy.health.probe_patience
        if account.state.needs_probe and account.state.is_open(now):
            account.adopt(rules.probing(account.state, now))
            self.probes |= ACCOUNT
        overlay = account.overlays.get(self.model)
        if overlay is not None and overlay.needs_probe and overlay.is_open(now):
            account.adopt(rules.probing(overlay, now), self.model)
            self.probes |= MODEL
        for circuit, bit in ((account.host, HOST), (self.shared.overload, OVERLOAD)):
            if circuit.state.is_open and not circuit.blocks(now):
                circuit.probed(patience)
                self.probes |= bit

    def begun(self) -> None:
        """Content arrives: what the account was out for is over, others may come while this answer goes on."""
        if self.is_over or self.begun_at:
            return
        self.begun_at = now = self.pool.now()
        self.account.evidence.took(now - self.started)
        self._serves(now)

    def _serves(self, now: float) -> None:
        shared = self.shared
        shared.served_by, shared.served_at, shared.doubts = self.account, now, 0
        self._lives()

    def _lives(self) -> None:
        """A sign of life in every scope."""
        account, shared = self.account, self.shared
        if shared.throttle.has_failures:
            shared.throttle.healed()
        if account.host.state is not CLOSED:
            account.host.succeeded()
        if shared.overload.state is not CLOSED:
            shared.overload.succeeded()
        if account.refusals:
            account.refusals.pop(self.model, None)
        if not account.is_plain or account.has_strikes:
            self._heal()
        if self.probes:
            self._release()

    def _heal(self) -> None:
        account, rules, state = self.account, self.pool.rules, self.account.state
        is_probe = bool(self.probes & ACCOUNT) or self.is_panic
        healed = rules.succeeded(state, self.pool.now(), is_probe=is_probe)
        if healed is not state:
            account.adopt(healed)
        if self.probes & MODEL:
            account.adopt(HEALTHY, self.model)

    def succeeded(self) -> None:
        """Content was received and the terminal was seen."""
        if self.is_over:
            return
        if not self.begun_at:
            self.begun_at = now = self.pool.now()
            self._serves(now)
        account = self.account
        account.evidence.good(self.begun_at)
        if account.limit < account.concurrency:
            self._grow()
        self.is_over = True
        account.inflight -= 1
        if account.heir is not None:
            account.pass_on(-1)
        if self.pool.waiting.queue:
            self.pool.waiting.wake()

    def _grow(self) -> None:
        account, busy = self.account, self.pool.policy.concurrency.busy
        if account.inflight >= busy * account.limit:
            account.limit = min(float(account.concurrency), account.limit + 1.0 / account.limit)

    def failed(self, error: UpstreamError) -> None:
        """The attempt failed; the verdict falls on its scope alone. An error without one is a sign of life."""
        if self.is_over:
            return
        now = self.pool.now()
        if error.penalty is Penalty.NONE:
            if error.scope is not Scope.GATEWAY:
                self._lives()
        else:
            self._judge(error, now)
        self._release()
        self._end()

    def _judge(self, error: UpstreamError, now: float) -> None:
        account, jitter = self.account, self.pool.random()
        if (error.is_safe and error.sent) and account.host.state is not CLOSED:
            account.host.succeeded()
        refused = account.refused(self.model) if isinstance(error, RateLimited | Overloaded) else 0
        match error.scope:
            case Scope.HOST:
                account.host.failed(now, jitter, reason=error.info.label)
                self.shared.throttle.failed(self.started)
            case Scope.PROVIDER_MODEL:
                self.shared.overload.failed(now, jitter, error.info.retry_after, error.info.label)
                self.shared.throttle.failed(self.started)
                if refused >= self.pool.policy.health.overload_failures or self._must_heed(error):
                    self._fail_model(error, now, jitter)
            case Scope.ACCOUNT_MODEL:
                if not refused or refused >= self.pool.policy.health.cool_failures or self._must_heed(error):
                    self._fail_model(error, now, jitter)
            case _:
                self._fail_account(error, now, jitter)
        if isinstance(error, RateLimited) and (refused > 1 or self._must_heed(error)):
            self._slow_down(now)

    def _fail_account(self, error: UpstreamError, now: float, jitter: float) -> None:
        account, health = self.account, self.pool.policy.health
        if error.penalty is Penalty.STRIKE:
            account.evidence.bad(now)
            self.shared.doubts += 1
            self.shared.throttle.failed(self.started)
        circumstances = Circumstances(
            is_probe=bool(self.probes & ACCOUNT) and account.state.status is Status.HALF_OPEN,
            is_last=self.pool.is_last(account),
            failing=account.evidence.failing(now, health.samples),
        )
        state = self.pool.rules.failed(account.state, error, now, jitter, circumstances)
        if state is not account.state:
            account.adopt(state)

    def _must_heed(self, error: UpstreamError) -> bool:
        """Whether one refusal is enough: it says how long to wait, or answers a probe."""
        return error.info.retry_after is not None or bool(self.probes)

    def _fail_model(self, error: UpstreamError, now: float, jitter: float) -> None:
        overlay = self.account.overlays.get(self.model, HEALTHY)
        is_probe = bool(self.probes & MODEL) and overlay.status is Status.HALF_OPEN
        circumstances = Circumstances(is_probe=is_probe)
        state = self.pool.rules.failed(overlay, error, now, jitter, circumstances)
        if state is not overlay:
            self.account.adopt(state, self.model)

    def _slow_down(self, now: float) -> None:
        """Multiplicative decrease, at most once a second: refusals come in bursts."""
        account, policy = self.account, self.pool.policy.concurrency
        if now - account.slowed >= policy.pause:
            account.slowed = now
            account.limit = max(1.0, float(int(policy.decrease * account.inflight)))

    def abandoned(self) -> None:
        """The client left: no verdict about the account."""
        if not self.is_over:
            self._release()
            self._end()

    def _release(self) -> None:
        """Probes that had no verdict: the next request may find out."""
        probes, self.probes = self.probes, 0
        if not probes:
            return
        now, account, rules = self.pool.now(), self.account, self.pool.rules
        if probes & HOST:
            account.host.release()
        if probes & OVERLOAD:
            self.shared.overload.release()
        if probes & ACCOUNT and account.state.status is Status.HALF_OPEN:
            account.adopt(rules.given_up(account.state, now))
        overlay: AccountState | None = account.overlays.get(self.model)
        if probes & MODEL and overlay is not None and overlay.status is Status.HALF_OPEN:
            account.adopt(rules.given_up(overlay, now), self.model)

    def _end(self) -> None:
        account = self.account
        self.is_over = True
        account.inflight -= 1
        if account.heir is not None:
            account.pass_on(-1)
        if self.pool.waiting.queue:
            self.pool.waiting.wake()
