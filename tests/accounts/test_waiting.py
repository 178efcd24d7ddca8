from __future__ import annotations

import asyncio

from aiclient2api.accounts.account import AccountSettings
from aiclient2api.accounts.policy import ConcurrencyPolicy, Policy
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.accounts.surroundings import Surroundings
from tests.fakes.accounts import Clock, account, anyone, pool

ONE = AccountSettings(concurrency=1)


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_waiters_are_served_in_their_order() -> None:
    chosen = pool(Clock(), account("a", ONE))
    leases = [chosen.take(anyone, "m", set())]
    served: list[int] = []

    async def wait(number: int) -> None:
        while (lease := chosen.take(anyone, "m", set())) is None:
            assert await chosen.wait()
        served.append(number)
        leases.append(lease)

    async with asyncio.TaskGroup() as tasks:
        for number in range(3):
            tasks.create_task(wait(number))
        await settle()
        for expected in ([0], [0, 1], [0, 1, 2]):
            lease = leases[-1]
            assert lease is not None
            lease.succeeded()
            await settle()
            assert served == expected


async def test_a_waiter_that_leaves_is_passed_over() -> None:
    chosen = pool(Clock(), account("a", ONE))
    first, second = asyncio.ensure_future(chosen.wait()), asyncio.ensure_future(chosen.wait())
    await settle()

    first.cancel()
    await settle()
    chosen.wake()

    assert await second is True
    assert first.cancelled()


async def test_a_waiter_that_leaves_with_its_place_passes_it_on() -> None:
    chosen = pool(Clock(), account("a", ONE))
    first, second = asyncio.ensure_future(chosen.wait()), asyncio.ensure_future(chosen.wait())
    await settle()

    chosen.wake()
    first.cancel()

    assert await second is True
    assert first.cancelled()


def patient(seconds: float) -> AccountPool:
    shared = Surroundings(Policy(concurrency=ConcurrencyPolicy(wait=seconds)))
    return AccountPool("main", [account("a", ONE)], now=Clock(), random=lambda: 0.5, surroundings=shared)


async def test_nobody_waits_for_ever() -> None:
    chosen = patient(0.01)

    assert await chosen.wait() is False
    chosen.wake()


async def test_a_place_that_comes_with_the_time_out_is_not_lost() -> None:
    chosen = patient(0.0)
    waiting = asyncio.ensure_future(chosen.wait())
    await asyncio.sleep(0)

    chosen.wake()

    assert await waiting is True


async def test_the_queue_is_bounded() -> None:
    chosen = pool(Clock(), account("a", ONE))
    waiting = [asyncio.ensure_future(chosen.wait()) for _ in range(64)]
    await settle()

    assert await chosen.wait() is False
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert chosen.wake() is None


async def test_a_reload_gives_no_account_a_second_time_what_it_bears() -> None:
    before, after, last = (pool(Clock(), account("a", ONE)) for _ in range(3))
    first = before.take(anyone, "m", set())
    assert first is not None

    after.accounts[0].follow(before.accounts[0])
    last.accounts[0].follow(after.accounts[0])
    assert after.take(anyone, "m", set()) is None
    waiting = asyncio.ensure_future(last.wait())
    await asyncio.sleep(0)
    assert last.take(anyone, "m", set()) is None
    first.succeeded()

    assert await waiting
    assert [each.accounts[0].inflight for each in (before, after, last)] == [0, 0, 0]
    late = before.take(anyone, "m", set())  # a request of before that tries again
    assert late is not None
    assert last.take(anyone, "m", set()) is None
    late.abandoned()
    assert last.take(anyone, "m", set()) is not None
