"""Bounded concurrency: how many requests this worker carries at the same time."""

from __future__ import annotations

import asyncio
from types import TracebackType

from aiclient2api.errors import Busy


class _All:
    """What is under way in a process, whichever configuration it began with."""

    inflight = 0


class Admission:
    """Plain counters, of a configuration and of all; entering over the limit raises Busy at once."""

    def __init__(self, limit: int, before: Admission | None = None) -> None:
        """`before`: of the configuration that this one replaces."""
        self.limit = limit
        self.inflight = 0
        self._all = before._all if before else _All()
        self._idle: asyncio.Event | None = None

    def __enter__(self) -> None:
        if self._all.inflight >= self.limit:
            raise Busy("the gateway is at its limit", retry_after=2.0)
        self._all.inflight += 1
        self.inflight += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._all.inflight -= 1
        self.inflight -= 1
        if self._idle is not None and not self.inflight:
            self._idle.set()

    @property
    def load(self) -> float:
        """The share of the limit that is under way."""
        return self._all.inflight / self.limit

    async def idle(self) -> None:
        """Wait until nothing is under way that began with this configuration."""
        if self._idle is None:
            self._idle = asyncio.Event()
        self._idle.clear()
        if self.inflight:
            await self._idle.wait()
