"""What choosing an account costs in a pool of a thousand: one pick, and the view made anew when health changes.

No network: the pool is the one that serves, its clock is moved by hand. Measured in CPU time, which others on the
machine do not lengthen.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.fakes.accounts import Clock, account, anyone
from tests.faults.reports import percentile

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.health import AccountState, Status
from aiclient2api.accounts.pool import ANYTHING, AccountPool, Wish
from bench.reliability_figures import Figure

ACCOUNTS = 1000


def _pool(clock: Clock) -> AccountPool:
    accounts = [account(f"a{number}") for number in range(ACCOUNTS)]
    return AccountPool("pick", accounts, now=clock, random=lambda: 0.5)


def _out(one: Account, until: float) -> None:
    one.adopt(AccountState(status=Status.COOLING, until=until, reason="rate_limit"))


def _timed(times: int, work: Callable[[int], object]) -> list[float]:
    taken: list[float] = []
    for number in range(times):
        began = time.thread_time_ns()
        work(number)
        taken.append((time.thread_time_ns() - began) / 1e9)
    return taken


def _shown(seconds: list[float]) -> str:
    return f"p50 {percentile(seconds, 0.5) * 1e6:.1f} µs, p99 {percentile(seconds, 0.99) * 1e6:.1f} µs"


async def pick(scale: float) -> list[Figure]:
    """A pick with all accounts well, with nine of ten out, by prompt, and right after a change of health."""
    clock, times = Clock(), max(200, int(20_000 * scale))
    pool = _pool(clock)

    def take(wish: Wish = ANYTHING) -> None:
        lease = pool.take(anyone, "m", set(), wish)
        assert lease is not None
        lease.abandoned()

    def after_a_change(number: int) -> None:
        clock.now += 1.0  # behind the debouncing: the next pick makes a new view
        take()

    take()
    well = _timed(times, lambda _: take())
    by_prompt = _timed(max(100, times // 100), lambda number: take(Wish(prompt=b"%d" % number)))
    for number, one in enumerate(pool.accounts):
        if number % 10:
            _out(one, clock.now + 1e9)
    take()
    mostly_out = _timed(times, lambda _: take())
    rebuilt: list[float] = []
    for number in range(max(50, times // 200)):
        _out(pool.accounts[number * 10 % ACCOUNTS + 1], clock.now + 1e9)
        rebuilt += _timed(1, after_a_change)
    rows = (
        ("one pick of 1,000 accounts", well, 1e-3),
        ("the same with 900 of them out", mostly_out, 1e-3),
        ("the same by the beginning of the prompt", by_prompt, 2e-3),
        ("the first pick after a change of health", rebuilt, 5e-3),
    )
    return [
        Figure(name, _shown(seconds), f"p99 ≤ {goal * 1e3:g} ms", percentile(seconds, 0.99) <= goal)
        for name, seconds, goal in rows
    ]
