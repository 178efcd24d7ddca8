"""Two gateways on one Redis: counts are exact, an admin's word is obeyed everywhere, turns are shared."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiclient2api.simulator.app import ReceivedRequest, Simulator
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.store import keys
from tests.program import DEADLINE, Program, run, serving_program, simulating
from tests.store.servers import Server, running, until

KEY = "client-key-of-the-tests"
ACCOUNTS = ("a", "b", "c", "d")


def sections(url: str, store: str) -> Mapping[str, Any]:
    return {
        "accounts": {
            name: {
                "provider": "openai_compatible",
                "base_url": f"{url}/v1",
                "api_key": f"upstream-{name}",
                "pool": "chat",
            }
            for name in ACCOUNTS
        },
        "keys": [{"name": "tests", "key": KEY}],
        "secrets": {"key": "a secret that both nodes have"},
        "store": {"url": store},
    }


class Tally(deque[ReceivedRequest]):
    """Counts the requests of each account instead of keeping them."""

    def __init__(self) -> None:
        super().__init__(maxlen=1)
        self.by_account: Counter[str] = Counter()

    def append(self, item: ReceivedRequest, /) -> None:
        self.by_account[item.key.removeprefix("upstream-")] += 1


class Nodes:
    """Two programs, their simulator and their store."""

    def __init__(self, programs: list[Program], simulator: Simulator, server: Server) -> None:
        self.programs, self.server = programs, server
        self.tally = Tally()
        simulator.requests = self.tally
        self.simulator = simulator

    def refuse(self, refused: str) -> None:
        """The upstream does not take this account's key any more."""
        admitted = tuple(f"upstream-{name}" for name in ACCOUNTS if name != refused)
        self.simulator.settings = SimulatorSettings(keys=admitted)

    @property
    def urls(self) -> list[str]:
        return [program.url for program in self.programs]

    @property
    def upstream(self) -> Counter[str]:
        """What the upstream counted, by account."""
        return self.tally.by_account

    def state(self, account: str, url: str) -> str:
        """What a node says of an account in its metrics."""
        with urllib.request.urlopen(f"{url}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return "".join(
            line
            for line in lines
            if line.startswith("aiclient2api_account_state")
            and f'account="{account}"' in line
            and line.endswith(" 1.0")
        )

    def counts(self) -> Counter[str]:
        """What the store has counted, by account."""
        with self.server.admin() as client:
            return Counter(
                {name: sum(int(n) for n in client.hvals(keys.account_counters(name))) for name in ACCOUNTS}
            )

    def cli(self, *arguments: str) -> str:
        program = self.programs[0]
        done = run(program.config.parent, *arguments, "--config", str(program.config))
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def two_nodes(folder: Path, more: Mapping[str, Any] = {}) -> Iterator[Nodes]:
    with ExitStack() as stack:
        server = stack.enter_context(running())
        simulator, url = stack.enter_context(simulating())
        programs: list[Program] = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            programs.append(
                stack.enter_context(serving_program(folder / name, {**sections(url, server.url), **more}))
            )
        with server.admin() as client:
            until(lambda: client.zcard(keys.nodes()) == 2)
        yield Nodes(programs, simulator, server)


async def ask(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    body = {"model": "chat/m", "messages": [{"role": "user", "content": "hi"}]}
    async with session.post(
        f"{url}/v1/chat/completions",
        json=body,
        headers={"authorization": f"Bearer {KEY}", "x-a2-explain": "1"},
    ) as answer:
        await answer.read()
        return answer.status, answer.headers.get("x-a2-account", "")


async def ask_many(urls: list[str], times: int, at_once: int = 40) -> Counter[int]:
    """So many requests, to the gateways in turns; the statuses."""
    numbers = iter(range(times))
    statuses: Counter[int] = Counter()

    async def worker(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            status, _ = await ask(session, urls[number % len(urls)])
            statuses[status] += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=at_once)) as session:
        await asyncio.gather(*(worker(session) for _ in range(at_once)))
    return statuses


@pytest.mark.timeout(300)
def test_counts_are_exactly_what_the_upstream_counted(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        statuses = asyncio.run(ask_many(nodes.urls, 10_000))

        assert statuses == {200: 10_000}
        assert nodes.upstream.total() == 10_000
        until(lambda: nodes.counts().total() >= 10_000)
        assert nodes.counts() == nodes.upstream
        # turns are taken from the same blocks, so no account is asked much more often than another
        assert max(nodes.upstream.values()) - min(nodes.upstream.values()) <= 10


def test_an_account_that_is_disabled_is_used_by_nobody_after_a_second(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        assert asyncio.run(ask_many(nodes.urls, 40)) == {200: 40}
        assert nodes.upstream["b"]

        said = time.monotonic()
        assert nodes.cli("accounts", "disable", "b") == "b: disabled\n"
        assert time.monotonic() - said < DEADLINE
        until(lambda: all("disabled" in nodes.state("b", url) for url in nodes.urls), 5.0)
        before = nodes.upstream["b"]
        assert asyncio.run(ask_many(nodes.urls, 400)) == {200: 400}
        assert nodes.upstream["b"] == before
        listed = json.loads(nodes.cli("accounts", "list", "--shared", "--json"))
        assert [(row["name"], row["admin"]) for row in listed][:2] == [("a", "enabled"), ("b", "disabled")]

        assert nodes.cli("accounts", "enable", "b") == "b: enabled\n"
        until(lambda: asyncio.run(ask_many(nodes.urls, 20)) and nodes.upstream["b"] > before)


def test_an_account_that_one_node_finds_out_is_out_for_both_within_a_second(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        nodes.refuse("c")
        assert asyncio.run(ask_many(nodes.urls[:1], 8, at_once=1)) == {200: 8}

        until(lambda: "disabled" in nodes.state("c", nodes.urls[1]), 5.0)

        hits = nodes.upstream["c"]
        assert asyncio.run(ask_many(nodes.urls, 100)) == {200: 100}
        assert nodes.upstream["c"] == hits == 1


def test_no_request_waits_for_the_store_and_no_forbidden_command_is_used(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        nodes.server.pause()
        try:
            began = time.monotonic()
            statuses = asyncio.run(ask_many(nodes.urls, 200))
            assert time.monotonic() - began < DEADLINE
        finally:
            nodes.server.resume()
        assert statuses == {200: 200}
        until(lambda: nodes.counts() == nodes.upstream, 5.0)

        with nodes.server.admin() as client:
            used = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
        assert not {"keys", "eval", "evalsha", "fcall", "flushall", "script|load"} & used
        assert {"multi", "exec", "watch", "hincrby", "incrby"} <= used


def test_a_node_that_stops_is_not_counted_any_more(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        assert nodes.programs[1].stop() == 0

        with nodes.server.admin() as client:
            until(lambda: client.zcard(keys.nodes()) == 1)
        assert asyncio.run(ask_many(nodes.urls[:1], 10)) == {200: 10}
