"""Time limits without timers of their own: they do what `asyncio.timeout` does."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from aiclient2api.gateway.time_limits import GRAIN, TimeLimits

SOON, LATE = 0.02, 60.0
BOUND = 20.0
"""Seconds in which a test ends, or fails."""


async def test_what_takes_too_long_ends_with_a_time_out():
    limits = TimeLimits()
    async with asyncio.timeout(BOUND):
        with pytest.raises(TimeoutError), limits.within(SOON):
            await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0
    assert len(limits) == 0


async def test_what_ends_in_time_leaves_nothing():
    limits = TimeLimits()
    with limits.within(LATE):
        assert len(limits) == 1
    with pytest.raises(KeyError), limits.within(LATE):
        raise KeyError
    assert len(limits) == 0


async def test_a_limit_that_ended_in_time_does_not_hit_what_comes_after_it():
    limits = TimeLimits()
    reached = asyncio.Event()
    with limits.within(SOON):
        pass
    asyncio.get_running_loop().call_later(3 * SOON, reached.set)
    async with asyncio.timeout(BOUND):
        await reached.wait()


async def test_the_next_limit_is_kept_where_the_first_ended_early():
    limits = TimeLimits()
    async with asyncio.timeout(BOUND):
        with limits.within(SOON):
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError), limits.within(SOON):
            await asyncio.Event().wait()


async def test_a_cancellation_from_elsewhere_stays_one():
    limits = TimeLimits()
    entered = asyncio.Event()

    async def wait() -> None:
        with limits.within(LATE):
            entered.set()
            await asyncio.Event().wait()

    async with asyncio.timeout(BOUND):
        task = asyncio.ensure_future(wait())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert len(limits) == 0


async def test_a_cancellation_in_the_moment_of_the_time_out_stays_one():
    limits = TimeLimits()
    held: list[asyncio.Task[None]] = []

    async def wait() -> None:
        limit = limits.within(LATE)
        with limit:
            asyncio.get_running_loop().call_soon(limit.pass_)
            asyncio.get_running_loop().call_soon(held[0].cancel)
            await asyncio.Event().wait()

    async with asyncio.timeout(BOUND):
        held.append(asyncio.ensure_future(wait()))
        with pytest.raises(asyncio.CancelledError):
            await held[0]


async def test_of_two_limits_the_shorter_one_passes():
    limits = TimeLimits()
    async with asyncio.timeout(BOUND):
        with limits.within(LATE):
            with pytest.raises(TimeoutError), limits.within(SOON):
                await asyncio.Event().wait()
            assert len(limits) == 1
        with pytest.raises(TimeoutError), limits.within(SOON), limits.within(LATE):
            await asyncio.Event().wait()


async def test_many_at_once_pass_each_at_its_time():
    limits = TimeLimits()
    loop = asyncio.get_running_loop()
    over: list[float] = []

    async def wait(number: int) -> None:
        await asyncio.sleep(number / 1000)
        set_at = loop.time()
        try:
            with limits.within(SOON):
                await asyncio.Event().wait()
        except TimeoutError:
            over.append(loop.time() - set_at)

    async with asyncio.timeout(BOUND):
        await asyncio.gather(*(wait(number) for number in range(50)))
    assert len(over) == 50
    assert min(over) >= SOON * 0.99
    assert len(limits) == 0


class Counting(asyncio.SelectorEventLoop):
    """Counts the timers that are asked of it."""

    armed = 0

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        self.armed += 1
        return super().call_at(when, callback, *args, context=context)


def test_a_thousand_limits_arm_one_timer():
    async def main() -> int:
        limits = TimeLimits()
        for _ in range(500):
            with limits.within(LATE):
                pass
        with contextlib.ExitStack() as stack:
            for _ in range(500):
                stack.enter_context(limits.within(LATE))
            return len(limits)

    loop = Counting()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(main()) == 500
    assert loop.armed == 1


def test_limits_that_all_pass_are_looked_for_seldom():
    async def wait(limits: TimeLimits, turn: int) -> None:
        for _ in range(turn):
            await asyncio.sleep(0)  # each begins in a turn of the loop of its own
        with pytest.raises(TimeoutError), limits.within(10 * SOON):
            await asyncio.Event().wait()

    async def main() -> float:
        began = asyncio.get_running_loop().time()
        limits = TimeLimits()
        await asyncio.gather(*(wait(limits, turn) for turn in range(300)))
        return asyncio.get_running_loop().time() - began

    loop = Counting()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        seconds = runner.run(main())
    assert loop.armed <= 2 + seconds / GRAIN
