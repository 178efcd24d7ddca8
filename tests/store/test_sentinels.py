"""Sentinels that do not agree: the latest configuration counts, whoever answers first and whoever does not answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError

from aiclient2api.store.address import parse
from aiclient2api.store.base import StoreUnavailable
from aiclient2api.store.connection import connections
from aiclient2api.store.exchange import Client
from aiclient2api.store.master import Answer, NoMaster, chosen, read
from aiclient2api.store.redis import RedisStore
from aiclient2api.store.sentinels import MEMORY, SILENCE, MasterPool, Sentinels
from tests.fakes.accounts import Clock
from tests.store.clusters import PATIENT, replicated, told_by
from tests.store.servers import DEADLINE, VALKEY, Server, running, until
from tests.store.test_outage import come, is_master

OPTIONS = {"protocol": 2, "driver_info": None}
LONG = 3600.0


def sentinel(
    master: Server, epoch: int = 0, down_after: int = 3_600_000
) -> contextlib.AbstractContextManager[Server]:
    """One that watches a server by itself; those with different masters never hear of each other."""
    return running(
        VALKEY,
        f"sentinel monitor mymaster 127.0.0.1 {master.port} 1",
        f"sentinel config-epoch mymaster {epoch}",
        f"sentinel down-after-milliseconds mymaster {down_after}",
        "sentinel failover-timeout mymaster 3600000",
    )


@contextmanager
def two_views() -> Iterator[tuple[Server, Server, Server, Server]]:
    """The old master, the new one, a sentinel that still believes in the old one, and one that knows better."""
    with running() as old, running() as new, sentinel(old) as late, sentinel(new, 1) as informed:
        yield old, new, late, informed


@asynccontextmanager
async def asking(
    *servers: Server, grace: float = LONG, clock: Clock | None = None
) -> AsyncIterator[Sentinels]:
    """All of these."""
    places = [("127.0.0.1", server.port) for server in servers]
    sentinels = Sentinels(places, OPTIONS, LONG, grace=grace, now=clock or Clock())
    try:
        yield sentinels
    finally:
        await sentinels.close()


async def place(sentinels: Sentinels) -> int:
    """The port of the master."""
    async with asyncio.timeout(DEADLINE):
        return (await sentinels.discover_master("mymaster"))[1]


def url(*servers: Server) -> str:
    """Of a store behind these sentinels."""
    return f"redis+sentinel://{','.join(f'127.0.0.1:{server.port}' for server in servers)}/mymaster"


@pytest.mark.parametrize("is_first", [True, False])
async def test_the_latest_configuration_is_believed_wherever_it_stands_in_the_address(is_first: bool) -> None:
    with two_views() as (old, new, late, informed):
        order = (informed, late) if is_first else (late, informed)
        store = RedisStore(parse(url(*order)), timeout=30.0)
        try:
            await store.put("a2:v1:x", b"1")
        finally:
            await store.close()
        with old.admin() as stale, new.admin() as current:
            assert (stale.dbsize(), current.dbsize()) == (0, 1)


async def test_a_sentinel_that_stands_still_is_waited_for_once() -> None:
    clock = Clock()
    with two_views() as (old, new, late, informed):
        informed.pause()
        async with asking(late, informed, grace=0.05, clock=clock) as sentinels:
            assert await place(sentinels) == old.port
            sentinels.grace = LONG
            assert await place(sentinels) == old.port  # at once, or it took an hour

            clock.now += SILENCE
            again = asyncio.ensure_future(place(sentinels))
            informed.resume()
            assert await again == new.port


async def test_an_answer_that_comes_late_still_counts() -> None:
    with two_views() as (old, new, late, informed):
        informed.pause()
        outdated = asyncio.Event()
        async with asking(late, informed, grace=0.05) as sentinels:
            sentinels.on_outdated.append(outdated.set)
            assert await place(sentinels) == old.port
            assert not outdated.is_set()
            informed.resume()
            async with asyncio.timeout(DEADLINE):
                await outdated.wait()
            sentinels.grace = LONG
            informed.pause()
            again = asyncio.ensure_future(place(sentinels))
            await asyncio.wait([again], timeout=0.1)
            informed.resume()
            assert await again == new.port  # it was waited for


async def test_when_nobody_else_answers_one_that_was_late_is_waited_for() -> None:
    with two_views() as (old, new, late, informed):
        informed.pause()
        async with asking(late, informed, grace=0.05) as sentinels:
            assert await place(sentinels) == old.port
            late.kill()
            looking = asyncio.ensure_future(place(sentinels))
            await asyncio.wait([looking], timeout=0.1)
            informed.resume()
            assert await looking == new.port


async def test_one_new_connection_that_finds_another_master_turns_all_away_from_the_old_one() -> None:
    with two_views() as (old, new, late, informed):
        informed.kill()
        there = connections(parse(url(late, informed)), 3, 30.0)
        client = there.of("a2:v1:x")
        try:
            async with client.session() as idle, client.session() as busy:
                await idle.run([("SET", "idle", b"1")])
                await busy.run([("SET", "busy", b"1")])
            with pytest.raises(Disconnected, match="closed meanwhile"):
                async with client.session() as busy:
                    await busy.run([("SET", "busy", b"2")])
                    informed.start()
                    async with client.session(), client.session() as fresh:
                        await fresh.run([("SET", "fresh", b"1")])
                    await busy.run([("SET", "busy", b"3")])
            async with client.session() as one, client.session() as two:
                await one.run([("SET", "one", b"1")])
                await two.run([("SET", "two", b"1")])
        finally:
            await there.close()
        with old.admin() as stale, new.admin() as current:
            assert (stale.get("busy"), stale.get("idle"), stale.dbsize()) == (b"2", b"1", 2)
            assert sorted(current.keys()) == [b"fresh", b"one", b"two"]


async def test_a_master_that_the_latest_configuration_calls_down_is_not_replaced_by_an_earlier_one() -> None:
    with running() as old, running() as new, sentinel(old) as late, sentinel(new, 1, 200) as informed:
        new.kill()
        until(lambda: int(told_by(informed).get("s-down-time", 0)) > 1000)  # not for a stall of its own
        async with asking(late, informed) as sentinels:
            with pytest.raises(NoMaster, match=r"'mymaster' is down|are replacing the master"):
                await place(sentinels)


async def test_nobody_connects_to_a_master_that_is_being_replaced() -> None:
    """Behind the promotion no sentinel knows of it for half a second, and all name the old master."""
    deaf = ('rename-command SLAVEOF ""', 'rename-command REPLICAOF ""')
    with (
        running() as master,
        running(VALKEY, f"replicaof 127.0.0.1 {master.port}", *deaf),
        sentinel(master) as leader,
        sentinel(master) as other,
    ):
        until(lambda: all(told_by(leader)[name] == "1" for name in ("num-slaves", "num-other-sentinels")))
        async with asking(other, leader) as sentinels:
            assert await place(sentinels) == master.port
            until(lambda: fails_over(leader))

            with pytest.raises(NoMaster, match="the sentinels are replacing the master 'mymaster'"):
                await place(sentinels)


def fails_over(leader: Server) -> bool:
    """Tell it to; whether it waits for the promotion now."""
    with leader.admin() as client, contextlib.suppress(ResponseError):  # no good replica yet, or under way
        client.execute_command("SENTINEL", "FAILOVER", "mymaster")
    return told_by(leader).get("failover-state") == "wait_promotion"


@pytest.mark.timeout(4 * PATIENT)
async def test_what_new_connections_write_while_an_old_master_is_back_is_not_lost() -> None:
    written: list[str] = []
    with replicated() as servers:
        servers.master.kill()
        await come(lambda: is_master(servers.replica), PATIENT)
        servers.master.start()
        async with asyncio.timeout(PATIENT):
            while is_master(servers.master):
                store = RedisStore(parse(servers.url), timeout=30.0)
                try:
                    await store.put(f"a2:v1:k{len(written)}", b"1")
                    written.append(f"a2:v1:k{len(written)}")
                except StoreUnavailable:
                    await asyncio.sleep(0.005)
                finally:
                    await store.close()
        with servers.replica.admin() as client:
            assert client.exists(*written) == len(written) > 0


async def test_a_server_that_is_no_master_is_not_used_whatever_sentinels_say() -> None:
    with (
        running() as master,
        running(VALKEY, f"replicaof 127.0.0.1 {master.port}") as replica,
        sentinel(replica) as wrong,
    ):
        store = RedisStore(parse(url(wrong)), timeout=30.0)
        try:
            with pytest.raises(StoreUnavailable, match="name a server that is no master"):
                await store.get("a2:v1:x")
        finally:
            await store.close()


@pytest.mark.parametrize(
    "options",
    [("user gate on >right ~* +@all -role",), ("user gate on >right ~* +@all", 'rename-command ROLE ""')],
)
async def test_a_server_that_cannot_be_asked_for_its_role_is_used_on_the_sentinels_word(
    options: tuple[str, ...],
) -> None:
    with running(VALKEY, *options) as master, sentinel(master) as only:
        store = RedisStore(parse(url(only).replace("//", "//gate:right@")), timeout=30.0)
        try:
            await store.put("a2:v1:x", b"1")
            assert await store.get("a2:v1:x") == b"1"
        finally:
            await store.close()


async def test_an_epoch_that_was_heard_of_is_not_forgotten_at_once() -> None:
    clock = Clock()
    with two_views() as (old, new, late, informed):
        async with asking(late, informed, clock=clock) as sentinels:
            pool = MasterPool("mymaster", sentinels)
            assert (await pool.get_master_address(), pool.age) == (("127.0.0.1", new.port), 1)
            informed.kill()
            with pytest.raises(NoMaster, match="know less of 'mymaster' than others did a moment ago"):
                await place(sentinels)
            clock.now += MEMORY  # sentinels that were set up anew begin at 0
            assert (await pool.get_master_address(), pool.age) == (("127.0.0.1", old.port), 2)


async def test_many_who_look_for_the_master_are_one_question() -> None:
    with running() as master, sentinel(master) as only, only.admin() as client:
        async with asking(only) as sentinels:
            await place(sentinels)
            before = client.info("stats")["total_commands_processed"]
            await asyncio.gather(*(place(sentinels) for _ in range(50)))
            assert client.info("stats")["total_commands_processed"] == before + 3  # with our own one


class Turns(Sentinels):
    """Two whose second one answers a number of turns of the loop behind the first one."""

    def __init__(self, turns: int) -> None:
        super().__init__([("127.0.0.1", 1), ("127.0.0.1", 2)], OPTIONS, LONG, grace=LONG, now=Clock())
        self.turns = turns
        self.is_changing = False

    async def _question(self, client: Client, name: str) -> Answer:
        is_second = client is self._clients[1]
        is_changing = self.is_changing and is_second
        for _ in range(self.turns * is_second):
            await asyncio.sleep(0)
        return Answer(("127.0.0.1", 6379), 1, is_changing=is_changing)


@pytest.mark.parametrize("turns", range(6))
async def test_what_was_said_before_is_not_the_answer_to_a_later_question(turns: int) -> None:
    """Whichever turn of the loop the last answer came in."""
    sentinels = Turns(turns)
    assert await place(sentinels) == 6379
    sentinels.is_changing = True
    with pytest.raises(NoMaster, match="are replacing the master"):
        await place(sentinels)


@pytest.mark.parametrize(
    ("answers", "port"),
    [
        ([(1, 0), (1, 0), (2, 1)], 2),
        ([(1, 3), (2, 3), (2, 3)], 2),
        ([(1, 0)], 1),
    ],
    ids=["a later epoch before the many", "the many at the same epoch", "a single one"],
)
def test_of_several_answers_one_is_chosen(answers: list[tuple[int, int]], port: int) -> None:
    said = [Answer(place=("h", at), epoch=epoch) for at, epoch in answers]
    assert chosen("m", said, 0).place == ("h", port)


def test_one_sentinel_that_does_not_reach_the_master_does_not_decide() -> None:
    said = [Answer(place=("h", 1), epoch=2, is_down=True), Answer(place=("h", 1), epoch=2)]
    assert chosen("m", said, 0).place == ("h", 1)


def test_a_leader_shows_the_old_master_under_the_new_epoch_and_names_the_new_one() -> None:
    """As Valkey 9.1 answers between the promotion and the end of a failover."""
    state = [b"ip", b"127.0.0.1", b"port", b"1", b"flags", b"s_down,o_down,master,failover_in_progress"]
    said = read([*state, b"config-epoch", b"1"], [b"127.0.0.1", b"2"])
    assert said == Answer(place=("127.0.0.1", 2), epoch=1)
