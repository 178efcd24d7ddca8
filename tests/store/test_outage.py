"""Redis is away in every way there is: nobody notices, and afterwards everything is written once."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import cast

import pytest
from redis.exceptions import ConnectionError as Gone
from redis.exceptions import ReadOnlyError

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.health import AccountState, Status
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.accounts.shared import Shared
from aiclient2api.accounts.surroundings import Surroundings
from aiclient2api.store import keys
from aiclient2api.store.address import parse
from aiclient2api.store.base import StoreUnavailable
from aiclient2api.store.breaker import Breaker
from aiclient2api.store.connection import connections
from aiclient2api.store.line import Line
from aiclient2api.store.redis import RedisStore
from tests.fakes.accounts import account
from tests.store.clusters import PATIENT, replicated
from tests.store.servers import DEADLINE, VALKEY, Server, free_port, running


class Node:
    """What one gateway shares, without the gateway."""

    def __init__(self, url: str, name: str, timeout: float = 0.1) -> None:
        self.store = RedisStore(parse(url), timeout=timeout)
        self.bugs: list[BaseException] = []
        self.shared = Shared(self.store, name, lambda: 0.5, self.bugs.append)
        self.accounts: list[Account] = [account("a"), account("b")]
        surroundings = Surroundings(observer=self.shared.states)
        self.pool = AccountPool(
            "chat",
            self.accounts,
            now=time.monotonic,
            random=lambda: 0.5,
            surroundings=surroundings,
            tickets=self.shared.tickets("chat"),
        )
        self.shared.watch({"chat": self.pool})
        self.counted = 0

    def serve(self, times: int = 1) -> None:
        """Requests: take, count, give back; whatever the store does."""
        for _ in range(times):
            lease = self.pool.take(lambda _: True, "m", set())
            assert lease is not None
            self.shared.writes.count(lease.account.name, "m", "ok")
            lease.succeeded()
            self.counted += 1


@asynccontextmanager
async def nodes(url: str, *names: str, timeout: float = 0.1) -> AsyncIterator[list[Node]]:
    """`timeout` in seconds of one command, where a test is about something else."""
    made = [Node(url, name, timeout) for name in names]
    for node in made:
        await node.shared.start()
    try:
        yield made
    finally:
        for node in made:
            await node.shared.close()
            await node.store.close()
        assert [bug for node in made for bug in node.bugs] == []


async def come(condition: Callable[[], object], deadline: float = DEADLINE) -> None:
    """Wait for a change while the loop goes on."""
    async with asyncio.timeout(deadline):
        while not condition():
            await asyncio.sleep(0.005)


def counts(server: Server) -> int:
    """What the store has counted."""
    with server.admin() as client:
        try:
            return sum(int(n) for name in ("a", "b") for n in client.hvals(keys.account_counters(name)))
        except Gone:
            return -1


async def settled(server: Server, made: list[Node]) -> None:
    """Everything that was counted is in the store, once."""
    await come(lambda: all(node.shared.writes.is_empty for node in made))
    assert counts(server) == sum(node.counted for node in made)


async def through(
    server: Server, away: Callable[[], None], back: Callable[[], None], url: str | None = None
) -> None:
    """Two nodes serve before, during and after an outage; they reach the server at `url`."""
    async with nodes(url or server.url, "n1", "n2") as made:
        one, two = made
        for node in made:
            node.serve(100)
        await settled(server, made)
        away()
        try:
            for _ in range(20):
                for node in made:
                    node.serve(10)
                await asyncio.sleep(0.01)
            await come(lambda: not one.store.is_available and not two.store.is_available)
            asking = cast(Coroutine[None, None, bytes | None], one.store.get("a2:v1:x"))
            with pytest.raises(StoreUnavailable):
                asking.send(None)  # at once, while the breaker is open: nothing is waited for
            one.accounts[1].adopt(
                AccountState(
                    status=Status.COOLING,
                    until=time.monotonic() + 60.0,
                    reason="quota",
                    since=time.monotonic(),
                )
            )
            one.serve(10)
        finally:
            back()
        await come(lambda: one.store.is_available and two.store.is_available)
        await come(lambda: two.accounts[1].state.status is Status.COOLING)
        two.serve(10)
        await settled(server, made)


async def test_paused() -> None:
    with running() as server:
        await through(server, server.pause, server.resume)


async def test_killed_and_back() -> None:
    with running(VALKEY, "appendonly yes", "appendfsync always") as server:
        await through(server, server.kill, server.start)


async def test_read_only() -> None:
    """A master that was made a replica of another."""
    with running() as server:

        def demote() -> None:
            with server.admin() as client:
                client.config_set("replica-serve-stale-data", "yes")
                client.replicaof("127.0.0.1", str(free_port()))

        def promote() -> None:
            with server.admin() as client:
                client.replicaof("NO", "ONE")

        await through(server, demote, promote)


async def test_out_of_memory() -> None:
    with running() as server:

        def limit(size: str) -> Callable[[], None]:
            def set_() -> None:
                with server.admin() as client:
                    client.config_set("maxmemory", size)

            return set_

        await through(server, limit("1"), limit("0"))


async def test_no_room_for_clients() -> None:
    with running() as server:
        held = contextlib.ExitStack()

        def refuse() -> None:
            client = held.enter_context(server.admin())
            client.config_set("maxclients", "1")  # the one is ours
            client.client_kill_filter(_type="normal", skipme=True)

        def admit() -> None:
            held.close()
            server.kill()
            config = server.folder / "server.conf"
            config.write_text(config.read_text() + "maxclients 1000\n")
            server.start()

        with server.admin() as client:
            client.config_set("appendonly", "yes")
            client.config_set("appendfsync", "always")
        config = server.folder / "server.conf"
        config.write_text(config.read_text() + "appendonly yes\nappendfsync always\n")
        await through(server, refuse, admit)


async def test_a_password_that_is_not_accepted_any_more() -> None:
    with running() as server:

        def lock() -> None:
            with server.admin() as client:
                client.config_set("requirepass", "another")
                client.client_kill_filter(_type="normal", skipme=True)

        def unlock() -> None:
            with server.admin(password="another") as client:
                client.config_set("requirepass", "")

        await through(server, lock, unlock)


async def test_absent_at_start_and_there_later() -> None:
    port = free_port()
    async with nodes(f"redis://127.0.0.1:{port}", "n1") as made:
        made[0].serve(100)
        await come(lambda: not made[0].store.is_available)
        server = Server(VALKEY, port=port)
        try:
            await come(lambda: made[0].store.is_available)
            await settled(server, made)
        finally:
            await made[0].shared.close()
            server.close()


async def test_a_look_that_fails_in_an_unknown_way_is_not_the_last_one() -> None:
    odd, told, back = [ValueError("odd")], list[str](), asyncio.Event()

    async def check() -> None:
        if odd:
            raise odd.pop()

    async def refuse() -> None:
        raise ReadOnlyError("READONLY")

    with running() as server:
        line = Line(
            connections(parse(server.url), 1, 5.0), Breaker(time.monotonic, lambda: 0.0), check, size=1
        )
        line.on_outage.append(told.append)
        line.on_return.append(back.set)
        with pytest.raises(StoreUnavailable):
            await line.call(refuse)
        async with asyncio.timeout(DEADLINE):
            await back.wait()
        await line.close()

    assert told == ["ReadOnlyError: READONLY", "ValueError: odd"]


async def test_emptied_under_way() -> None:
    with running() as server:
        async with nodes(server.url, "n1", "n2") as made:
            for node in made:
                node.serve(100)
            made[0].accounts[0].adopt(
                AccountState(
                    status=Status.COOLING,
                    until=time.monotonic() + 60.0,
                    reason="quota",
                    since=time.monotonic(),
                )
            )
            await settled(server, made)
            await come(lambda: made[1].accounts[0].state.status is Status.COOLING)
            with server.admin() as client:
                client.flushall()
            for node in made:
                node.serve(10)
            await settled(server, made)
            async with nodes(server.url, "n3") as fresh:
                await come(lambda: fresh[0].accounts[0].state.status is Status.COOLING)


@pytest.mark.parametrize(
    "key",
    [
        keys.accounts_version(),
        keys.account_counters("a"),
        keys.tickets("chat"),
        keys.nodes(),
        keys.accounts_admin(),
        keys.accounts_epoch(),
        keys.account_state("b"),
    ],
)
async def test_a_foreign_type_in_a_key_is_moved_out_of_the_way(key: str) -> None:
    with running() as server:
        with server.admin() as client:
            client.sadd(key, "what is this")
        async with nodes(server.url, "n1") as made:
            made[0].serve(200)
            made[0].accounts[1].adopt(
                AccountState(
                    status=Status.COOLING,
                    until=time.monotonic() + 60.0,
                    reason="quota",
                    since=time.monotonic(),
                )
            )
            await settled(server, made)
            with server.admin() as client:
                await come(lambda: client.exists(keys.account_state("b")) and client.type(key) != b"set")
                aside = list(client.scan_iter("a2:aside:*"))
                assert [client.smembers(name) for name in aside] == [{b"what is this"}]


@pytest.mark.timeout(4 * PATIENT)
async def test_failover_by_sentinels() -> None:
    with replicated() as servers:
        async with nodes(servers.url, "n1", "n2") as made:
            for node in made:
                node.serve(100)
            await settled(servers.master, made)
            with servers.master.admin() as client:
                assert client.wait(1, 5000) == 1
            servers.master.kill()
            for _ in range(10):
                for node in made:
                    node.serve(10)
                await asyncio.sleep(0.01)

            await come(
                lambda: all(node.store.is_available for node in made) and is_master(servers.replica), PATIENT
            )
            for node in made:
                node.serve(10)

            await come(lambda: all(node.shared.writes.is_empty for node in made), PATIENT)
            assert counts(servers.replica) == sum(node.counted for node in made)


def is_master(server: Server) -> bool:
    """Whether it takes writes for the others."""
    with server.admin() as client:
        return client.info("replication")["role"] == "master"


async def test_a_cancelled_command_never_answers_another() -> None:
    with running() as server:
        store = RedisStore(parse(server.url), size=8, timeout=30.0)
        try:
            for index in range(50):
                await store.put(f"a2:v1:k{index}", str(index).encode())
            wrong: list[tuple[int, bytes | None]] = []
            cancelled = 0

            async def read(index: int) -> None:
                value = await store.get(f"a2:v1:k{index}")
                if value != str(index).encode():
                    wrong.append((index, value))

            for turn in range(400):
                tasks = [asyncio.ensure_future(read((turn + index) % 50)) for index in range(10)]
                for _ in range(turn % 12):
                    await asyncio.sleep(0)
                for task in tasks[::2]:
                    task.cancel()
                done = await asyncio.gather(*tasks, return_exceptions=True)
                cancelled += sum(isinstance(item, asyncio.CancelledError) for item in done)

            assert cancelled > 100
            assert wrong == []
            assert store.is_available
        finally:
            await store.close()


async def test_a_stop_at_any_moment_is_a_stop() -> None:
    with running() as server:
        for turn in range(30):
            node = Node(server.url, f"n{turn}")
            await node.shared.start()
            node.serve(3)
            for _ in range(turn):
                await asyncio.sleep(0)
            async with asyncio.timeout(DEADLINE):
                await node.shared.close()
            await node.store.close()
        assert counts(server) == 90
