from __future__ import annotations

import asyncio

from aiclient2api.workers.rounds import Rounds


async def test_who_asks_during_a_round_gets_the_next_one() -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    begun: list[int] = []
    told: asyncio.Queue[tuple[bytes, list[str]]] = asyncio.Queue()

    async def work() -> bytes:
        number = len(begun)
        begun.append(number)
        await gates[number].wait()
        return b"%d" % number

    rounds = Rounds[str](work, lambda body, who: told.put_nowait((body, who)), lambda _: None)
    rounds.ask("a")
    while not begun:
        await asyncio.sleep(0)
    rounds.ask("b")
    rounds.ask("c")
    gates[0].set()
    assert await told.get() == (b"0", ["a"])
    gates[1].set()
    assert await told.get() == (b"1", ["b", "c"])
    assert begun == [0, 1]


async def test_a_round_that_fails_is_told_and_the_next_one_is_made() -> None:
    failures: list[Exception] = []
    told: asyncio.Queue[bytes] = asyncio.Queue()
    results = [b"well"]

    async def work() -> bytes:
        if not failures:
            raise ValueError
        return results.pop()

    rounds = Rounds[str](work, lambda body, _: told.put_nowait(body), failures.append)
    rounds.ask("a")
    while not failures:
        await asyncio.sleep(0)
    rounds.ask("b")

    assert await told.get() == b"well"
