"""How health follows from what happened: (state, outcome, now) → state. Pure.

    HEALTHY ◀──▶ DEGRADED        many failures or slow first tokens: a quarter of the turns
       │ 3 failures in a row, or half of the last minute's
       ▼
    EJECTED   COOLING (429, quota)   DISABLED (401)      each until its time
       └─────────┴──────────┴──▶ HALF_OPEN ──ok──▶ RAMP ──30 s──▶ HEALTHY
                                  one probe  └─failed─▶ out again, longer

A probe is a real request: failover makes its failure invisible. Times are seconds of a monotonic clock, so jumps
of the wall clock do nothing; `jitter` is a random number in [0, 1). The same machine serves the account and its
overlays for single models, which know only COOLING.

Requests that were under way when an account went out end later. They belong to the same outage: their failure
does not count as another one, their success does not end it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec
from msgspec import Struct

from aiclient2api.accounts.policy import HealthPolicy
from aiclient2api.errors import Overloaded, QuotaExhausted, UpstreamError
from aiclient2api.verdicts import Penalty

MAX_DOUBLINGS: Final = 20


class Status(Enum):
    """What the account may be used for."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    RAMP = "ramp"
    HALF_OPEN = "half_open"
    EJECTED = "ejected"
    COOLING = "cooling"
    DISABLED = "disabled"


USABLE: Final = frozenset((Status.HEALTHY, Status.DEGRADED, Status.RAMP))


class AccountState(Struct, frozen=True, kw_only=True):
    """An account's health, or that of one of its models. `step` counts outages in a row."""

    status: Status = Status.HEALTHY
    until: float = 0.0
    """When this state ends by itself: the outage, the ramp, the degradation, the patience with a probe."""
    reason: str = ""
    strikes: int = 0
    step: int = 0
    since: float = 0.0
    before: Status | None = None
    """HALF_OPEN: what the probe is to end."""

    def is_open(self, now: float) -> bool:
        """Whether a request may be sent: usable, or due for a probe."""
        return self.status in USABLE or now >= self.until

    @property
    def needs_probe(self) -> bool:
        """Whether it is out, so that the next request is a probe."""
        return self.status not in USABLE

    @property
    def cause(self) -> Status:
        """The outage it is in, also while it is probed."""
        return self.before if self.status is Status.HALF_OPEN and self.before else self.status


HEALTHY: Final = AccountState()


class Circumstances(Struct, frozen=True, kw_only=True):
    """What is known beside the failure itself."""

    is_probe: bool = False
    """The attempt began while the account was out, to find out."""
    is_last: bool = False
    """All others of its pool are disabled: it is never ejected."""
    failing: float = 0.0
    """The share of failures in the window; 0 when there are too few samples."""


ORDINARY: Final = Circumstances()


class HealthRules:
    """The transitions, by one policy."""

    def __init__(self, policy: HealthPolicy) -> None:
        self.policy = policy

    def advanced(self, state: AccountState, now: float) -> AccountState:
        """What became of a state by the mere passing of time."""
        if now < state.until or state.status is Status.HEALTHY:
            return state
        match state.status:
            case Status.RAMP:
                return AccountState(step=state.step, since=state.since, strikes=state.strikes)
            case Status.DEGRADED:
                return AccountState(step=state.step, since=now)
            case Status.HALF_OPEN:
                return self.given_up(state, now)
            case _:
                return state

    def probing(self, state: AccountState, now: float) -> AccountState:
        """A probe goes out."""
        return msgspec.structs.replace(
            state,
            status=Status.HALF_OPEN,
            before=state.cause,
            since=now,
            until=now + self.policy.probe_patience,
        )

    def given_up(self, state: AccountState, now: float) -> AccountState:
        """The probe brought no verdict: the next request may probe."""
        if state.status is not Status.HALF_OPEN:
            return state
        return msgspec.structs.replace(state, status=state.cause, before=None, since=now, until=now)

    def succeeded(self, state: AccountState, now: float, *, is_probe: bool) -> AccountState:
        """Content received. `is_probe`: the attempt began while the account was out."""
        if state.needs_probe:
            return self._ramp(state, now) if is_probe else state
        return msgspec.structs.replace(state, strikes=0) if state.strikes else state

    def _ramp(self, state: AccountState, now: float) -> AccountState:
        return AccountState(status=Status.RAMP, until=now + self.policy.ramp, step=state.step, since=now)

    def degraded(self, state: AccountState, now: float, reason: str) -> AccountState:
        """It does worse than the others of its pool, but not badly enough to go."""
        if state.status not in (Status.HEALTHY, Status.DEGRADED):
            return state
        return msgspec.structs.replace(
            state,
            status=Status.DEGRADED,
            until=now + self.policy.window,
            reason=reason,
            step=self.step(state, now),
            since=now,
        )

    def recovered(self, state: AccountState, now: float) -> AccountState:
        """It does as well as the others again."""
        if state.status is not Status.DEGRADED:
            return state
        return AccountState(step=state.step, since=now, strikes=state.strikes)

    def failed(
        self,
        state: AccountState,
        error: UpstreamError,
        now: float,
        jitter: float,
        circumstances: Circumstances = ORDINARY,
    ) -> AccountState:
        """An attempt failed, and it is this state's fault."""
        if not state.needs_probe or circumstances.is_probe:
            return self._verdict(state, error, now, jitter, circumstances)
        if error.penalty is Penalty.STRIKE:
            return state
        before = msgspec.structs.replace(state, step=max(0, state.step - 1))
        late = self._verdict(before, error, now, jitter, circumstances)
        return late if late.until > state.until and state.status is not Status.HALF_OPEN else state

    def _verdict(
        self,
        state: AccountState,
        error: UpstreamError,
        now: float,
        jitter: float,
        circumstances: Circumstances,
    ) -> AccountState:
        match error.penalty:
            case Penalty.NONE:
                return state
            case Penalty.DISABLE:
                wait = min(self.policy.disabled_max, self.policy.disabled_probe * self._growth(state, now))
                return self._out(Status.DISABLED, state, error, (now, wait * (0.8 + 0.4 * jitter)))
            case Penalty.COOL:
                return self._out(
                    Status.COOLING, state, error, (now, self._cooling(state, error, now, jitter))
                )
            case Penalty.STRIKE:
                return self._struck(state, error, now, jitter, circumstances)

    def _struck(
        self,
        state: AccountState,
        error: UpstreamError,
        now: float,
        jitter: float,
        circumstances: Circumstances,
    ) -> AccountState:
        policy = self.policy
        strikes = state.strikes + 1
        failing = circumstances.failing
        is_out = state.needs_probe or strikes >= policy.strikes or failing >= policy.eject_share
        if is_out and not circumstances.is_last:
            wait = min(policy.eject_max, policy.eject * self._growth(state, now)) * (0.5 + 0.5 * jitter)
            return self._out(Status.EJECTED, state, error, (now, wait))
        if state.needs_probe:
            state = self._ramp(state, now)
        if is_out or failing >= policy.degrade_share:
            state = self.degraded(state, now, error.info.label)
        return msgspec.structs.replace(state, strikes=strikes)

    def step(self, state: AccountState, now: float) -> int:
        """Outages in a row that still count: each minute in health forgives one."""
        if state.status not in (Status.HEALTHY, Status.RAMP) or not state.step:
            return state.step
        return max(0, state.step - int((now - state.since) / self.policy.forgive))

    def _growth(self, state: AccountState, now: float) -> int:
        """The wait doubles from outage to outage."""
        return 2 ** min(self.step(state, now), MAX_DOUBLINGS)

    def _cooling(self, state: AccountState, error: UpstreamError, now: float, jitter: float) -> float:
        policy, retry_after = self.policy, error.info.retry_after
        more = 1 + 0.1 * jitter  # never earlier than asked for
        if isinstance(error, QuotaExhausted):
            return policy.quota_probe * (0.8 + 0.4 * jitter)
        if isinstance(error, Overloaded):
            return min(policy.overload_max, policy.overload if retry_after is None else retry_after) * more
        if retry_after is not None:
            return min(max(retry_after, policy.retry_after_min), policy.retry_after_max) * more
        return min(policy.cool_max, policy.cool * self._growth(state, now)) * more

    def _out(
        self, status: Status, state: AccountState, error: UpstreamError, span: tuple[float, float]
    ) -> AccountState:
        now, wait = span
        return AccountState(
            status=status,
            until=now + wait,
            reason=error.info.label,
            step=self.step(state, now) + 1,
            since=now,
        )

    def weight(self, state: AccountState, now: float) -> float:
        """The share of its turns that an account gets, from 0 to 1."""
        match state.status:
            case Status.HEALTHY:
                return 1.0
            case Status.DEGRADED:
                return self.policy.degraded_weight
            case Status.RAMP:
                start, ramp = self.policy.ramp_start, self.policy.ramp
                done = (now - state.since) / ramp if ramp else 1.0
                return start + (1.0 - start) * min(1.0, max(0.0, done))
            case _:
                return 0.0
