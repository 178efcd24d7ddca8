"""How an account's health follows from what happened on it: (state, outcome, now) → state. Pure.

    HEALTHY ──3 strikes in a row, or no connection──▶ EJECTED ──until──▶ one probe ──ok──▶ HEALTHY
       │ ────429, quota, overload───────────────────▶ COOLING ──until──▶ one probe    └─fail─▶ longer
       └ ────401, 403───────────────────────────────▶ DISABLED ─until──▶ one probe

A probe is a real request: failover makes its failure invisible. Constants: design "reliability" 3.2 and rulings.
Times are seconds of the injected clock; `jitter` is a random number in [0, 1).

Requests that were under way when an account went out end later. They belong to the same outage: their failure
does not count as another one, their success does not end it.
"""

from __future__ import annotations

from enum import Enum

import msgspec
from msgspec import Struct

from aiclient2api.errors import Overloaded, Penalty, QuotaExhausted, Unreachable, UpstreamError

STRIKES_TO_EJECT = 3
EJECT_BASE, EJECT_MAX = 5.0, 300.0
COOL_BASE, COOL_MAX = 5.0, 60.0
RETRY_AFTER_MIN, RETRY_AFTER_MAX = 1.0, 900.0
"""Retry-After is honoured up to 15 minutes, then the account is probed again."""
QUOTA_PROBE = 720.0
"""Spent quota is probed every 12 min ± 20 %, whatever reset time was promised."""
OVERLOAD_MAX = 30.0
DISABLED_PROBE, DISABLED_MAX = 600.0, 86_400.0
MAX_DOUBLINGS = 10


class Status(Enum):
    """What the account may be used for."""

    HEALTHY = "healthy"
    EJECTED = "ejected"
    COOLING = "cooling"
    DISABLED = "disabled"


class AccountState(Struct, frozen=True, kw_only=True):
    """An account's health. `until` is when it may be probed; `step` counts outages in a row."""

    status: Status = Status.HEALTHY
    until: float = 0.0
    reason: str = ""
    strikes: int = 0
    step: int = 0

    def is_open(self, now: float) -> bool:
        """Whether requests may be sent: healthy, or due for a probe."""
        return self.status is Status.HEALTHY or now >= self.until

    @property
    def needs_probe(self) -> bool:
        """Whether the next request is the one probe."""
        return self.status is not Status.HEALTHY


HEALTHY = AccountState()


def after_success(state: AccountState, *, is_probe: bool) -> AccountState:
    """Content received and terminal seen. `is_probe`: the attempt began while the account was out."""
    return HEALTHY if is_probe or not state.needs_probe else state


def after_failure(
    state: AccountState, error: UpstreamError, now: float, jitter: float, *, is_probe: bool
) -> AccountState:
    """An attempt failed. `is_probe`: it began while the account was out."""
    if not state.needs_probe or (is_probe and now >= state.until):
        return _after_verdict(state, error, now, jitter)
    if error.penalty is Penalty.STRIKE:
        return state
    before = msgspec.structs.replace(state, step=state.step - 1)
    late = _after_verdict(before, error, now, jitter)
    return late if late.until > state.until else state


def _after_verdict(state: AccountState, error: UpstreamError, now: float, jitter: float) -> AccountState:
    match error.penalty:
        case Penalty.NONE:
            return state
        case Penalty.DISABLE:
            wait = min(DISABLED_MAX, DISABLED_PROBE * _growth(state)) * (0.8 + 0.4 * jitter)
            return _out(Status.DISABLED, state, now + wait, error)
        case Penalty.COOL:
            return _out(Status.COOLING, state, now + _cooling(state, error, jitter), error)
        case Penalty.STRIKE:
            strikes = state.strikes + 1
            must_eject = strikes >= STRIKES_TO_EJECT or state.needs_probe or isinstance(error, Unreachable)
            if not must_eject:
                return msgspec.structs.replace(state, strikes=strikes)
            wait = min(EJECT_MAX, EJECT_BASE * _growth(state)) * (0.5 + 0.5 * jitter)
            return _out(Status.EJECTED, state, now + wait, error)


def _growth(state: AccountState) -> int:
    """The wait doubles from outage to outage."""
    return 2 ** min(state.step, MAX_DOUBLINGS)


def _cooling(state: AccountState, error: UpstreamError, jitter: float) -> float:
    retry_after = error.info.retry_after
    if isinstance(error, QuotaExhausted):
        return QUOTA_PROBE * (0.8 + 0.4 * jitter)
    if isinstance(error, Overloaded):
        return min(OVERLOAD_MAX, retry_after or COOL_BASE * _growth(state)) * (1 + 0.1 * jitter)
    if retry_after is not None:
        return min(max(retry_after, RETRY_AFTER_MIN), RETRY_AFTER_MAX) * (1 + 0.1 * jitter)
    return min(COOL_MAX, COOL_BASE * _growth(state)) * (1 + 0.1 * jitter)


def _out(status: Status, state: AccountState, until: float, error: UpstreamError) -> AccountState:
    return AccountState(status=status, until=until, reason=error.info.label, step=state.step + 1)
