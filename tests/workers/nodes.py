"""Two gateways on one Redis, each with one or more workers, and a simulator that counts what it is asked."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from aiclient2api.simulator.app import ReceivedRequest, Simulator
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.store import keys
from tests.program import Program, run, serving_program, simulating
from tests.store.servers import Server, running, until

KEY = "client-key-of-the-tests"
ACCOUNTS = ("a", "b", "c", "d")


def sections(url: str, store: str, workers: int = 1) -> Mapping[str, Any]:
    """Four accounts in one pool."""
    return {
        "server": {"workers": workers, "drain": "20s"},
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
        self.last: dict[str, float] = {}
        """When an account was used last, on the monotonic clock."""

    def append(self, item: ReceivedRequest, /) -> None:
        name = item.key.removeprefix("upstream-")
        self.by_account[name] += 1
        self.last[name] = time.monotonic()


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
def two_nodes(folder: Path, more: Mapping[str, Any] = {}, workers: int = 1) -> Iterator[Nodes]:
    """Two nodes that know of each other, until the block ends."""
    with ExitStack() as stack:
        server = stack.enter_context(running())
        simulator, url = stack.enter_context(simulating())
        programs: list[Program] = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            given = {**sections(url, server.url, workers), **more}
            programs.append(stack.enter_context(serving_program(folder / name, given)))
        with server.admin() as client:
            until(lambda: client.zcard(keys.nodes()) == 2 * workers)
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
