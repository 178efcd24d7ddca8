from __future__ import annotations

import pytest

from aiclient2api.server.pressure import Pressure, resident


def pressure(*, memory: int = 1000, rss: int = 0, load: float = 0.0) -> Pressure:
    return Pressure(memory, lambda: load, lambda: rss)


def test_the_highest_share_counts() -> None:
    watched = pressure(rss=920, load=0.3)
    watched.observe(0.0)

    assert watched.level == pytest.approx(0.92)
    assert (watched.is_high, watched.is_full) == (True, False)


def test_requests_under_way_alone_close_connections_but_refuse_nobody() -> None:
    watched = pressure(load=1.0)
    watched.observe(0.0)

    assert (watched.is_high, watched.is_full) == (True, False)


def test_a_lag_must_last() -> None:
    watched = pressure()
    watched.observe(2.0)
    assert not watched.is_full, "one long callback is no overload"
    for _ in range(10):
        watched.observe(1.0)
    assert watched.is_full
    for _ in range(40):
        watched.observe(0.0)
    assert watched.level < 0.1


def test_memory_that_is_used_up_refuses() -> None:
    watched = pressure(rss=1000)
    watched.observe(0.0)

    assert watched.is_full


def test_this_process_has_a_size() -> None:
    assert resident() > 1024**2
