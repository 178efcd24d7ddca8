from __future__ import annotations

import asyncio

import pytest

from aiclient2api.errors import Busy
from aiclient2api.gateway.limits import Admission


def test_requests_over_the_limit_are_turned_away_at_once() -> None:
    admission = Admission(2)

    with admission, admission, pytest.raises(Busy) as raised, admission:
        pass

    assert raised.value.info.retry_after == 2.0
    assert admission.inflight == 0


def test_a_request_that_fails_leaves_its_place() -> None:
    admission = Admission(1)

    for _ in range(3):
        with pytest.raises(ValueError, match="x"), admission:
            raise ValueError("x")

    assert admission.inflight == 0


async def test_an_idle_worker_does_not_wait() -> None:
    await Admission(1).idle()


async def test_the_last_request_ends_every_wait() -> None:
    admission = Admission(2)
    with admission:
        with admission:
            waiting = [asyncio.ensure_future(admission.idle()) for _ in range(2)]
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not any(one.done() for one in waiting)

    await asyncio.gather(*waiting)


async def test_what_began_before_a_reload_counts_until_it_is_over() -> None:
    before = Admission(2)
    after = Admission(2, before)

    with before, after:
        assert after.load == 1.0
        with pytest.raises(Busy), after:
            pass
    with after:
        await before.idle()
        with after, pytest.raises(Busy), after:
            pass
    assert after.load == 0.0
