"""An event loop whose clock jumps to whatever is next: hours of schedules in milliseconds, always the same."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class _Clock(selectors.SelectSelector):
    """Never waits: what would be waiting moves the time."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "everybody waits for something that never comes"
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """No sockets, no threads, no real time."""

    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        """Virtual seconds."""
        return self._clock.now
