"""What an account did lately: outcomes of the last minute and the usual time to its first token.

Plain counters, written by the one event loop; reading and writing cost a few additions.
"""

from __future__ import annotations

from typing import Final

SLOTS: Final = 6
ALPHA: Final = 0.2
"""How much one sample moves the usual time to the first token."""


class Evidence:
    """A ring of six slots over the policy's window."""

    __slots__ = ("_bad", "_epoch", "_good", "_slot", "_until", "_width", "first_token", "timed")

    def __init__(self, window: float) -> None:
        self._width = window / SLOTS
        self._epoch = 0
        self._slot = 0
        self._until = 0.0
        self._good = [0] * SLOTS
        self._bad = [0] * SLOTS
        self.first_token = 0.0
        """Seconds, as a moving average."""
        self.timed = 0
        """How many samples it is made of."""

    def good(self, now: float) -> None:
        """An attempt went well."""
        if now >= self._until:
            self._turn(now)
        self._good[self._slot] += 1

    def bad(self, now: float) -> None:
        """An attempt failed, and it was the account's fault."""
        if now >= self._until:
            self._turn(now)
        self._bad[self._slot] += 1

    def _turn(self, now: float) -> None:
        """Empty the slots whose time has come again."""
        epoch = int(now / self._width)
        for passed in range(max(self._epoch + 1, epoch - SLOTS + 1), epoch + 1):
            self._good[passed % SLOTS] = self._bad[passed % SLOTS] = 0
        self._epoch, self._slot, self._until = epoch, epoch % SLOTS, (epoch + 1) * self._width

    def failing(self, now: float, samples: int) -> float:
        """The share of failures in the window; 0 with fewer than `samples` outcomes."""
        if now >= self._until:
            self._turn(now)
        bad = sum(self._bad)
        total = bad + sum(self._good)
        return bad / total if total and total >= samples else 0.0

    def took(self, seconds: float) -> None:
        """A first token came after so long."""
        self.timed += 1
        self.first_token += (seconds - self.first_token) * (ALPHA if self.timed > 1 else 1.0)

    def forget(self) -> None:
        """After an outage the past says nothing about what comes."""
        self._good = [0] * SLOTS
        self._bad = [0] * SLOTS
        self.timed = 0
