from __future__ import annotations

from aiclient2api.accounts.presence import EVERY, GATHERING, Presence
from aiclient2api.store.memory import MemoryStore
from tests.fakes.accounts import Clock


async def test_workers_that_start_together_never_take_a_whole_limit_each() -> None:
    clock = Clock()
    one = Presence(MemoryStore(clock, wall=clock), "w1")
    one.expect(2)
    assert one.live == 2  # also while the store is away

    for _ in range(GATHERING):
        await one.appear()
        assert one.live == 2
        clock.now += EVERY
    await one.appear()

    assert one.live == 1  # the other one never came
