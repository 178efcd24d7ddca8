from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import cast

import pytest

from aiclient2api.server.pressure import CLOSING, FULL, Pressure, resident


def pressure(*, memory: int = 1000, rss: int = 0, load: float = 0.0) -> Pressure:
    return Pressure(memory, lambda: load, lambda: rss)


def test_the_highest_share_counts() -> None:
    watched = pressure(rss=920, load=0.3)
    watched.observe(0.0)

    assert watched.level == pytest.approx(0.92)
    assert CLOSING <= watched.level < FULL


def test_requests_under_way_alone_close_connections_but_refuse_nobody() -> None:
    watched = pressure(load=1.0)
    watched.observe(0.0)

    assert CLOSING <= watched.level < FULL


def test_a_lag_must_last() -> None:
    watched = pressure()
    watched.observe(2.0)
    assert watched.level < FULL, "one long callback is no overload"
    for _ in range(10):
        watched.observe(1.0)
    assert watched.level >= FULL
    for _ in range(40):
        watched.observe(0.0)
    assert watched.level < 0.1


def test_memory_that_is_used_up_refuses() -> None:
    watched = pressure(rss=1000)
    watched.observe(0.0)

    assert watched.level >= FULL


class Loop:
    """Its time is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: Callable[[], None] = lambda: None

    def time(self) -> float:
        return self.now

    def call_at(self, _when: float, look: Callable[[], None]) -> None:
        self.due = look


class Ring:
    """Holds itself."""

    def __init__(self) -> None:
        self.me = self


def test_memory_that_runs_out_calls_the_collector_but_not_all_the_time() -> None:
    loop, watched = Loop(), pressure(rss=850)
    watched.start(cast(asyncio.AbstractEventLoop, loop))
    gc.disable()
    try:
        seen: list[bool] = []
        for seconds in (0.1, 0.1, 10.0):
            ring = weakref.ref(Ring())
            loop.now += seconds
            loop.due()
            seen.append(ring() is None)
    finally:
        gc.enable()

    assert seen == [True, False, True]


def test_this_process_has_a_size() -> None:
    assert resident() > 1024**2
