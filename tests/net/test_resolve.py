from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from aiclient2api.errors import Unreachable
from aiclient2api.net.resolve import Addresses, Resolver

HERE: Addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]


async def test_a_name_is_asked_for_once_however_many_wait_and_then_remembered() -> None:
    asked: list[str] = []
    go_on = asyncio.Event()

    async def ask(host: str, port: int) -> Addresses:
        asked.append(host)
        await go_on.wait()
        return HERE

    resolver = Resolver(ask)
    waiting = [asyncio.ensure_future(resolver.addresses("up", 80, 5.0)) for _ in range(20)]
    await asyncio.sleep(0)
    go_on.set()

    assert await asyncio.gather(*waiting) == [HERE] * 20
    assert await resolver.addresses("up", 80, 5.0) == HERE
    assert asked == ["up"]


async def test_one_who_stops_waiting_does_not_take_the_answer_from_the_others() -> None:
    go_on = asyncio.Event()

    async def ask(host: str, port: int) -> Addresses:
        await go_on.wait()
        return HERE

    resolver = Resolver(ask)
    impatient = asyncio.ensure_future(resolver.addresses("up", 80, 5.0))
    patient = asyncio.ensure_future(resolver.addresses("up", 80, 5.0))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    go_on.set()

    assert await patient == HERE


async def test_a_slow_name_server_is_not_waited_for() -> None:
    never = asyncio.Event()

    async def ask(host: str, port: int) -> Addresses:
        await never.wait()
        return HERE

    with pytest.raises(Unreachable) as raised:
        await Resolver(ask).addresses("up", 80, 0.01)

    assert not raised.value.sent
    never.set()
    await asyncio.sleep(0)


async def test_a_failure_is_not_remembered() -> None:
    answers: list[Addresses | OSError] = [socket.gaierror(-2, "unknown"), HERE]

    async def ask(host: str, port: int) -> Addresses:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    resolver = Resolver(ask)
    with pytest.raises(Unreachable):
        await resolver.addresses("up", 80, 5.0)

    assert await resolver.addresses("up", 80, 5.0) == HERE


async def test_an_address_waits_for_no_thread() -> None:
    loop = asyncio.new_event_loop()
    release = threading.Event()
    with ThreadPoolExecutor(1) as executor:
        executor.submit(release.wait)  # all of the threads that look names up are busy

        async def look() -> Addresses:
            loop.set_default_executor(executor)
            try:
                return await Resolver().addresses("127.0.0.1", 80, 5.0)
            finally:
                release.set()

        found = await asyncio.to_thread(loop.run_until_complete, look())

    loop.close()
    assert [address[4] for address in found] == [("127.0.0.1", 80)]
