"""`asyncio.timeout` for limits that hardly ever pass: none of them has a timer of its own.

Limits of one length pass in the order in which they were set, so the first of them is the only one that the event
loop has to know, and it is not told when that one ends early.
"""

from __future__ import annotations

import asyncio
import itertools
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

GRAIN: Final = 0.01
"""Seconds by which a limit may pass late: in an outage, when they all do, the loop is not asked for each."""


class TimeLimits:
    """The limits of one event loop."""

    def __init__(self) -> None:
        self._rows: dict[float, _Row] = {}
        """By length in seconds: lengths come from the configuration, there are few of them."""

    def within(self, seconds: float) -> TimeLimit:
        """Cancels the body of a `with` after this long, which then raises TimeoutError."""
        row = self._rows.get(seconds)
        if row is None:
            row = self._rows[seconds] = _Row(seconds)
        return TimeLimit(row)

    def __len__(self) -> int:
        """How many are set."""
        return sum(len(row.limits) for row in self._rows.values())


class _Row:
    """The limits of one length, the first to pass first."""

    def __init__(self, seconds: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.limits: dict[TimeLimit, None] = {}
        self.is_armed = False
        self.seconds = seconds

    def arm(self, at: float) -> None:
        """The first limit is set."""
        self.is_armed = True
        self.loop.call_at(at, self._look)

    def _look(self) -> None:
        """The first one's time has come, or it is over and another is the first."""
        now = self.loop.time()
        for limit in list(itertools.takewhile(lambda limit: limit.at <= now, self.limits)):
            del self.limits[limit]
            limit.pass_()
        first = next(iter(self.limits), None)
        self.is_armed = first is not None
        if first is not None:
            self.loop.call_at(max(first.at, now + GRAIN), self._look)


class TimeLimit(Struct, eq=False):
    """One `with`, entered once, in a task. A cancellation from elsewhere stays one, as with `asyncio.timeout`."""

    row: _Row
    at: float = 0.0
    """In the loop's seconds."""
    has_passed: bool = False
    task: asyncio.Task[object] | None = None
    cancelling: int = 0
    """Of the task, when the limit was set."""

    def __enter__(self) -> Self:
        row = self.row
        loop = row.loop
        self.task = task = asyncio.current_task(loop)
        assert task is not None, "a time limit is for a task"
        self.cancelling = task.cancelling()
        self.at = at = loop.time() + row.seconds
        row.limits[self] = None
        if not row.is_armed:
            row.arm(at)
        return self

    def pass_(self) -> None:
        """Cancel what takes too long."""
        self.has_passed = True
        if self.task is not None:
            self.task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.has_passed:
            del self.row.limits[self]
            return
        task = self.task
        if task is not None and task.uncancel() <= self.cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
