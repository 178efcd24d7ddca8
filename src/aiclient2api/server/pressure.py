"""How near this worker is to what it can bear: the loop's lag, resident memory, requests under way.

One timer looks ten times a second; a request only reads a number. From 0.9 on connections close behind their answer,
from 1.0 on new requests are refused before their body is read, and when memory stands at 95 % of its limit the
largest stream is given up, one per look.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

EVERY: Final = 0.1
"""Seconds between two looks."""
SPAN: Final = 1.0
"""Seconds over which the lag is averaged."""
WORST_LAG: Final = 0.25
"""Seconds of average lag at which the worker counts as full."""
CLOSING: Final = 0.9
FULL: Final = 1.0
GIVE_UP: Final = 0.95
COLLECTING: Final = 0.8
"""The share of memory from which the garbage collector, which is kept from coming, is called."""
COLLECT_EVERY: Final = 10.0
"""Seconds between two calls of it: each is a silence of all streams."""
_DECAY: Final = 1 - math.exp(-EVERY / SPAN)
_STATM: Final = Path("/proc/self/statm")
_CGROUP: Final = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


class Pressure:
    """`level` is 1.0 when the worker is full. `memory` is its bound in bytes, `load` what share of the requests
    it may carry is under way.
    """

    def __init__(
        self, memory: int | None, load: Callable[[], float], rss: Callable[[], int] | None = None
    ) -> None:
        self.memory = memory or machine_memory()
        self._load = load
        self._rss = rss or resident
        self._lag = 0.0
        self._share = 0.0
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0.0
        self._collected = -math.inf
        self.level = 0.0
        """From CLOSING on clients shall come back over new connections, perhaps to another worker; from FULL on
        they are refused."""
        self.shed: Callable[[], None] | None = None
        """Gives up the largest stream."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look every tenth of a second."""
        self._loop = loop
        self._arm(loop.time())

    def _arm(self, now: float) -> None:
        self._due = now + EVERY
        self._handle = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        now = self._loop.time()
        self.observe(now - self._due)
        if self._share >= COLLECTING and now - self._collected >= COLLECT_EVERY:
            self._collected = now
            gc.collect()
        if self._share >= GIVE_UP and self.shed is not None:
            self.shed()
        self._arm(now)

    def observe(self, lag: float) -> None:
        """Take one measurement; `lag` in seconds."""
        self._lag += (min(max(lag, 0.0), 4 * WORST_LAG) - self._lag) * _DECAY
        self._share = self._rss() / self.memory if self.memory else 0.0
        self.level = max(self._lag / WORST_LAG, self._share, min(self._load(), FULL - 0.01))

    def stop(self) -> None:
        """Look no more."""
        if self._handle is not None:
            self._handle.cancel()


def resident() -> int:
    """This process's resident memory in bytes; 0 where the system does not tell."""
    try:
        return int(_STATM.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def machine_memory() -> int:
    """What the container, else the machine has, in bytes; 0 when unknown."""
    try:
        machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        machine = 0
    for path in _CGROUP:
        try:
            limit = int(path.read_text("ascii"))
        except (OSError, ValueError):
            continue
        return min(limit, machine) if machine else limit
    return machine
