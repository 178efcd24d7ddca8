"""When to stop asking a store that does not answer, and when to look again. Pure: time and chance are arguments."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

TIMEOUTS, ERRORS = 3, 5
WINDOW = 2.0
"""Seconds within which so many failures open the breaker (reliability 3.8)."""
SAME_STALL = 0.02
"""Seconds within which time-outs count once: a stall of our own loop makes all open calls late together."""
FIRST_WAIT, MAX_WAIT = 0.2, 2.0
"""Seconds between probes; they are never more than two apart."""


class Breaker:
    """Closed lets calls through; open refuses them at once until a probe succeeds. `random` is in [0, 1)."""

    def __init__(self, now: Callable[[], float], random: Callable[[], float]) -> None:
        self._now = now
        self._random = random
        self._timeouts: deque[float] = deque(maxlen=TIMEOUTS)
        self._errors: deque[float] = deque(maxlen=ERRORS)
        self._probes = 0
        self.is_open = False

    def timed_out(self) -> None:
        """A call took too long."""
        now = self._now()
        if not self._timeouts or now - self._timeouts[-1] > SAME_STALL:
            self._count(self._timeouts, TIMEOUTS, now)

    def failed(self) -> None:
        """A connection broke or was refused."""
        self._count(self._errors, ERRORS, self._now())

    def _count(self, failures: deque[float], limit: int, now: float) -> None:
        failures.append(now)
        if len(failures) == limit and now - failures[0] <= WINDOW:
            self.open()

    def open(self) -> None:
        """Refuse from now on."""
        self.is_open = True

    def close(self) -> None:
        """A probe succeeded."""
        self.is_open = False
        self._probes = 0
        self._timeouts.clear()
        self._errors.clear()

    def next_wait(self) -> float:
        """Seconds until the next probe."""
        longest = min(MAX_WAIT, FIRST_WAIT * 2 ** min(self._probes, 8))
        self._probes += 1
        return longest * (0.5 + 0.5 * self._random())
