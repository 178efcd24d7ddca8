"""Outages that are the network's: requests do not notice them, and afterwards everything is written once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from aiclient2api.accounts.health import AccountState, Status
from aiclient2api.store.address import parse
from aiclient2api.store.base import Store, StoreUnavailable, StoreUnusable
from aiclient2api.store.line import DOWN_WORDS
from aiclient2api.store.opening import StoreSettings, open_store
from aiclient2api.store.redis import RedisStore
from tests.store.clusters import PATIENT, replicated
from tests.store.servers import DEADLINE, running
from tests.store.test_outage import come, counts, is_master, nodes, settled, through
from tests.store.weather import Weather


async def test_a_store_that_is_too_late_is_left_alone() -> None:
    with running() as server:
        async with Weather(server.port).running() as weather:

            def late() -> None:
                weather.delay = 0.1

            def punctual() -> None:
                weather.delay = 0.0

            await through(server, late, punctual, weather.url)


async def test_a_store_that_is_slow_but_in_time_is_used() -> None:
    with running() as server:
        async with (
            Weather(server.port).running() as weather,
            nodes(weather.url, "n1", "n2", timeout=10.0) as made,
        ):
            weather.delay = 0.05
            for _ in range(20):
                for node in made:
                    node.serve(10)
                await asyncio.sleep(0.01)

            assert all(node.store.is_available for node in made)
            await settled(server, made)


async def test_a_store_that_is_slow_while_the_program_starts_is_not_missed(tmp_path: Path) -> None:
    with running() as server:
        async with Weather(server.port).running() as weather:
            weather.delay = 0.15
            settings = StoreSettings(url=weather.url, data_dir=tmp_path)
            opened = await open_store(settings, lambda level, event, fields: None)
            await opened.close()

    assert opened.warnings == ()


async def test_a_server_that_is_too_old_is_refused_in_one_sentence() -> None:
    info = b"redis_version:6.0.16\r\nmaxmemory_policy:noeviction\r\n"
    with running() as server:
        async with Weather(server.port).running() as weather:
            weather.word = b"$%d\r\n%s\r\n" % (len(info), info)
            store = RedisStore(parse(weather.url), timeout=30.0)
            try:
                with pytest.raises(
                    StoreUnusable, match=r"the server is Redis 6\.0\.16; 6\.2 or later is needed"
                ):
                    await store.check()
            finally:
                await store.close()
        with server.admin() as client:
            assert client.dbsize() == 0


async def test_a_store_that_does_not_answer_at_start_is_told_and_joined_later(tmp_path: Path) -> None:
    said: list[str] = []
    with running() as server:
        server.pause()
        settings = StoreSettings(url=server.url, data_dir=tmp_path)
        opened = await open_store(settings, lambda level, event, fields: said.append(event))
        server.resume()
        try:
            await joined(opened.store)
        finally:
            await opened.close()

    (warning,) = opened.warnings
    assert "does not answer; going on without it until it does (TimeoutError" in warning
    assert set(said) <= {"store_lost", "store_back"}  # nothing when the machine is not loaded


async def joined(store: Store) -> None:
    """It takes a value and gives it back, whatever a loaded machine made late before."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                await store.put("a2:v1:x", b"1")
                assert await store.get("a2:v1:x") == b"1"
            except StoreUnavailable:
                await asyncio.sleep(0.005)
            else:
                return


async def test_a_tenth_of_all_packets_lost_counts_everything_once() -> None:
    with running() as server:
        async with Weather(server.port).running() as weather, nodes(weather.url, "n1", "n2") as made:
            weather.loss = 0.1
            for _ in range(100):
                for node in made:
                    node.serve(10)
                await asyncio.sleep(0.01)
            weather.loss = 0.0

            await settled(server, made)


async def test_a_node_that_is_cut_off_serves_by_itself_and_converges() -> None:
    with running() as server:
        async with (
            Weather(server.port).running() as weather,
            nodes(weather.url, "far") as (far,),
            nodes(server.url, "near", timeout=10.0) as (near,),
        ):
            weather.is_cut = True
            await come(lambda: far.serve() or not far.store.is_available)
            for node, account, status in ((far, 0, Status.COOLING), (near, 1, Status.EJECTED)):
                now = time.monotonic()
                state = AccountState(status=status, until=now + 60.0, reason="r", since=now)
                node.accounts[account].adopt(state)
            near.serve(10)
            assert near.store.is_available
            assert far.accounts[1].state.status is Status.HEALTHY

            weather.is_cut = False
            await come(lambda: far.store.is_available)
            await come(lambda: far.accounts[1].state.status is Status.EJECTED)
            await come(lambda: near.accounts[0].state.status is Status.COOLING)
            await settled(server, [far, near])


@pytest.mark.parametrize("word", sorted({*DOWN_WORDS} - {"NOREPLICAS"}))
async def test_a_store_that_says_no_is_an_outage(word: str) -> None:
    with running() as server:
        async with Weather(server.port).running() as weather:

            def refuse() -> None:
                weather.word = f"-{word} not now\r\n".encode()

            def obey() -> None:
                weather.word = None

            await through(server, refuse, obey, weather.url)


@pytest.mark.timeout(4 * PATIENT)
async def test_an_old_master_that_returns_is_not_believed() -> None:
    with replicated() as servers:
        async with nodes(servers.url, "n1", "n2") as made:
            for node in made:
                node.serve(50)
            await settled(servers.master, made)
            with servers.master.admin() as client:
                assert client.wait(1, 5000) == 1
            servers.master.kill()
            for node in made:
                node.serve(50)
            await come(lambda: is_master(servers.replica), PATIENT)
            await come(lambda: all(node.store.is_available for node in made), PATIENT)

            servers.master.start()
            for _ in range(20):
                for node in made:
                    node.serve(5)
                await asyncio.sleep(0.01)
            await come(lambda: not is_master(servers.master), PATIENT)
            for node in made:
                node.serve(5)

            await come(lambda: all(node.shared.writes.is_empty for node in made), PATIENT)
            assert counts(servers.replica) == sum(node.counted for node in made)
