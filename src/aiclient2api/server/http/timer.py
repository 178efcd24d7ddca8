"""What a connection waits for, and until when: the loop's timer is only touched when it has to be."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from enum import Enum


class Phase(Enum):
    """What the connection waits for, with a deadline."""

    HEAD = "head"
    BODY = "body"
    ANSWER = "answer"
    READER = "reader"
    IDLE = "idle"
    LINGER = "linger"
    CLOSE = "close"


def _nobody() -> None:
    """Nobody waits."""


class LazyTimer:
    """One timer per connection. `at` is the deadline in the loop's seconds; moving it later costs an assignment."""

    __slots__ = ("_armed", "_expired", "_handle", "_loop", "at")

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._handle: asyncio.TimerHandle | None = None
        self._armed = math.inf
        self.at = math.inf

    def set(self, at: float) -> None:
        """Call `expired` at this time, unless it is moved again."""
        self.at = at
        if at < self._armed:
            if self._handle is not None:
                self._handle.cancel()
            self._armed = at
            self._handle = self._loop.call_at(at, self._fire)

    def _fire(self) -> None:
        self._handle = None
        self._armed = math.inf
        if self._loop.time() >= self.at:
            self.at = math.inf
            self._expired()
        elif self.at < math.inf:
            self.set(self.at)

    def close(self) -> None:
        """Never fire again, and let go of the owner."""
        self.at = math.inf
        self._expired = _nobody
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
