"""What is out for a while and is no account's fault: a host that cannot be reached, an overloaded model.

A circuit opens after some failures in a row, lets one attempt through when its time is over, and closes with the
first success. The account's own health is never touched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct


class CircuitState(Struct, frozen=True, kw_only=True):
    """`until` is when an open circuit lets a probe through; `step` counts how often it opened in a row."""

    is_open: bool = False
    until: float = 0.0
    failures: int = 0
    step: int = 0
    reason: str = ""


CLOSED: Final = CircuitState()


class Limits(Struct, frozen=True, kw_only=True):
    """`failures` in a row open it for `base` seconds, doubling up to `maximum`."""

    failures: int
    base: float
    maximum: float


class Circuit:
    """One host, or one model of one provider. `changed` is told of every new state."""

    __slots__ = ("_changed", "_probe", "limits", "name", "state")

    def __init__(self, name: str, limits: Limits, changed: Callable[[str, CircuitState], None]) -> None:
        self.name = name
        self.limits = limits
        self.state = CLOSED
        self._changed = changed
        self._probe = 0.0
        """Until when the running probe is waited for; 0 when there is none."""

    def blocks(self, now: float) -> bool:
        """Whether nothing may be sent now."""
        return self.state.is_open and (now < self.state.until or now < self._probe)

    def opens_in(self, now: float) -> float:
        """Seconds until it may be tried again."""
        return max(0.0, self.state.until - now, self._probe - now) if self.state.is_open else 0.0

    def probed(self, patience: float) -> None:
        """An attempt goes out while the circuit is open; others wait for its verdict until `patience`."""
        self._probe = patience

    def release(self) -> None:
        """The probe is over without a verdict."""
        self._probe = 0.0

    def failed(self, now: float, jitter: float, wait: float | None = None, reason: str = "") -> None:
        """One more failure. `wait`: what the upstream asked for, in seconds."""
        was, limits = self.state, self.limits
        failures = was.failures + 1
        if was.is_open and now < was.until:
            return  # began before it opened: the same outage
        self._probe = 0.0
        if not was.is_open and failures < limits.failures:
            self.adopt(CircuitState(failures=failures, step=was.step))
            return
        span = limits.base * 2 ** min(was.step, 20) if wait is None else max(wait, limits.base)
        until = now + min(limits.maximum, span) * (0.8 + 0.2 * jitter)
        self.adopt(
            CircuitState(is_open=True, until=until, failures=failures, step=was.step + 1, reason=reason)
        )

    def succeeded(self) -> None:
        """An answer came."""
        self._probe = 0.0
        if self.state is not CLOSED:
            self.adopt(CLOSED)

    def adopt(self, state: CircuitState) -> None:
        """The one place where the state changes; also for what another node found out."""
        self.state = state
        self._changed(self.name, state)
