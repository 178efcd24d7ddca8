"""Bounded concurrency: how many requests this worker carries at the same time."""

from __future__ import annotations

import asyncio
from types import TracebackType

from aiclient2api.errors import Busy


class Admission:
    """A plain counter; entering over the limit raises Busy at once."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.inflight = 0
        self._idle: asyncio.Event | None = None

    def __enter__(self) -> None:
        if self.inflight >= self.limit:
            raise Busy("the gateway is at its limit", retry_after=2.0)
        self.inflight += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.inflight -= 1
        if self._idle is not None and not self.inflight:
            self._idle.set()

    @property
    def load(self) -> float:
        """The share of the limit that is under way."""
        return self.inflight / self.limit

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        if self._idle is None:
            self._idle = asyncio.Event()
        self._idle.clear()
        if self.inflight:
            await self._idle.wait()
