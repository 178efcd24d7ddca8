"""`make chaos`: two gateways on one store, accounts that die and heal, a provider's outage, a rolling restart, a failover
of the store, a gateway that is killed; who notices?

python -m tests.chaos.run --seconds 1200 --rate 50 --seed 1 --report docs/reports/chaos.md

Time is scaled by 60: an account lives four minutes on average and is out for ten seconds. A failure is anything but a
complete answer. A stream whose account dies under it cannot be saved (content is out): it is counted apart, and it
must have ended with an error. What a killed gateway had under way is cut without a word: that is a failure.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from tests.faults import reports
from tests.faults.asking import Question, Seen, told
from tests.faults.fleet import KEY, complaint, fresh_nonce, gateway
from tests.faults.many import call
from tests.faults.rig import SHORT, account
from tests.faults.script import End, Head, Play, Say, Sleep, Whole
from tests.faults.server import FaultServer
from tests.faults.voices import CHAT, MESSAGES, PROTOCOLS
from tests.faults.ways import REFUSED, WAYS
from tests.program import Program
from tests.store.clusters import Replicated, replicated

ACCOUNTS = 4
LIFE, OUTAGE = 240.0, 10.0
"""Seconds, on average, that an account works and does not."""
PROVIDER_OUT = 45.0
BACK_AFTER = 3.0
"""Seconds until somebody starts a gateway that was killed."""
GOAL = 0.001
PACED = Play(
    stream=((Head(), Say(("prelude", "content")), Sleep(0.3), Say(("more",)), Sleep(0.3), Say(("finish", "done")), End()),),
    unary=((Sleep(0.3), Whole()),),
)  # fmt: skip


class Count(Struct, kw_only=True):
    """What came of the requests."""

    requests: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    calls: int = 0
    seconds: list[float] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)


class World:
    """The upstreams: which accounts are dead, and how."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.dead: dict[str, Play] = {}
        self.out: set[str] = set()
        self.deaths = 0
        self.server = FaultServer(self._play)
        self.server.keeps_departures = False

    def _play(self, label: str) -> Play:
        if label.partition(".")[0] in self.out:
            return WAYS["500"]
        return self.dead.get(label, PACED)

    async def live(self, label: str) -> None:
        """Die and heal for ever."""
        ways = [way for name, way in WAYS.items() if name != REFUSED]
        while True:
            await asyncio.sleep(self.chance.expovariate(1 / LIFE))
            self.dead[label] = self.chance.choice(ways)
            self.deaths += 1
            self.server.kill(label)
            await asyncio.sleep(self.chance.expovariate(1 / OUTAGE))
            del self.dead[label]


class Balancer:
    """Sends requests to the gateways in turn; a connection that is refused goes to the other one, nothing else does."""

    def __init__(self, sections: dict[str, Any], count: Count) -> None:
        self._sections, self.count = sections, count
        self._stack = AsyncExitStack()
        self.programs: list[Program] = []
        self._turn = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Two gateways, until the block ends."""
        async with self._stack:
            for _ in range(2):
                self.programs.append(await self._stack.enter_async_context(gateway(self._sections)))
            yield

    async def restart_all(self) -> None:
        """One after the other, as an operator would."""
        for number in range(len(self.programs)):
            old = self.programs[number]
            await asyncio.to_thread(old.process.send_signal, signal.SIGTERM)
            self.count.events.append(f"gateway {number + 1} was told to stop")
            fresh = await self._stack.enter_async_context(gateway(self._sections))
            self.programs[number] = fresh
            status = await asyncio.to_thread(old.process.wait, 60)
            self.count.events.append(f"gateway {number + 1} stopped with status {status}")

    async def kill_one(self) -> None:
        """The first one dies, and comes back after a while."""
        old = self.programs[0]
        await asyncio.to_thread(old.process.send_signal, signal.SIGKILL)
        self.count.events.append("gateway 1 was killed")
        await asyncio.sleep(BACK_AFTER)
        self.programs[0] = await self._stack.enter_async_context(gateway(self._sections))
        self.count.events.append("gateway 1 was started again")

    async def ask(self, question: Question) -> Seen:
        """One request."""
        self._turn += 1
        for attempt in range(2):
            program = self.programs[(self._turn + attempt) % len(self.programs)]
            try:
                return await call(question, program.url, KEY, lambda _: None)
            except ConnectionError:
                continue
        return Seen()


def sections(url: str, store: str) -> dict[str, Any]:
    """Two providers with four accounts each, in a chain."""
    accounts = {
        f"{pool}.{number}": account(url, protocol, f"{pool}.{number}", f"key-{pool}-{number}", pool=pool, timeouts=SHORT)
        for pool, protocol in (("first", CHAT), ("second", MESSAGES))
        for number in range(ACCOUNTS)
    }  # fmt: skip
    return {
        "accounts": accounts,
        "models": {"m": {"targets": ["first/m", "second/m"]}},
        "server": {"port": 0, "drain": "20s"},
        "store": {"url": store},
        "secrets": {"key": KEY * 2},
    }


async def one(balancer: Balancer, number: int, count: Count) -> None:
    """One request, judged."""
    question = Question(
        protocol=PROTOCOLS[number % 4], model="m", nonce=fresh_nonce(), stream=number // 4 % 4 != 3
    )
    began = time.monotonic()
    seen = await balancer.ask(question)
    count.seconds.append(time.monotonic() - began)
    count.requests += 1
    found = complaint(question, seen)
    if found is None:
        return
    if question.stream and seen.status == 200 and not seen.complete:
        answer = told(question.protocol, seen, stream=True)
        if answer.text and answer.error_is_last and not answer.ends:
            count.cut += 1
            return
    count.failures[found.split(":")[0][:40]] += 1
    if len(count.examples) < 20:
        count.examples.append(f"{question.protocol}: {found[:300]}")


async def chaos(seconds: float, rate: float, seed: int) -> tuple[Count, World]:
    """The run."""
    count, world = Count(), World(seed)
    with replicated() as stores:
        await _run(world, count, stores, (seconds, rate))
    return count, world


async def _run(world: World, count: Count, stores: Replicated, load: tuple[float, float]) -> None:
    seconds, rate = load
    async with world.server.running() as url:
        balancer = Balancer(sections(url, stores.url), count)
        async with balancer.running():
            lives = [asyncio.ensure_future(world.live(f"{pool}.{n}")) for pool in ("first", "second") for n in range(ACCOUNTS)]  # fmt: skip
            plan = asyncio.ensure_future(_plan(world, balancer, stores, seconds))
            running: set[asyncio.Task[None]] = set()
            began = time.monotonic()
            for number in range(int(seconds * rate)):
                await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                task = asyncio.ensure_future(one(balancer, number, count))
                running.add(task)
                task.add_done_callback(running.discard)
            await asyncio.gather(*running)
            await plan
            for life in lives:
                life.cancel()
            count.calls = sum(world.server.hits.values())


async def _plan(world: World, balancer: Balancer, stores: Replicated, seconds: float) -> None:
    """One event after the other, an eighth of the time apart: outage, restart, failover, kill."""
    began = time.monotonic()

    async def until(eighths: int) -> None:
        await asyncio.sleep(max(0.0, began + seconds * eighths / 8 - time.monotonic()))

    await until(2)
    world.out.add("first")
    balancer.count.events.append("the first provider went out")
    await asyncio.sleep(min(PROVIDER_OUT, seconds / 8))
    world.out.clear()
    balancer.count.events.append("the first provider came back")
    await until(4)
    await balancer.restart_all()
    await until(5)
    stores.master.kill()
    balancer.count.events.append("the store's master was killed, its replica takes over")
    await until(6)
    await balancer.kill_one()


def report(count: Count, world: World, arguments: argparse.Namespace) -> str:
    """The page."""
    failed = sum(count.failures.values())
    bound = reports.upper_bound(failed, count.requests)
    verdict = "kept" if bound <= GOAL else "MISSED"
    lines = "\n".join(f"- {event}" for event in count.events)
    failures = (
        "\n".join(f"| {name} | {number} |" for name, number in count.failures.items()) or "| none | 0 |"
    )
    examples = "\n".join(f"- `{example}`" for example in count.examples)
    p50, p99 = (reports.percentile(count.seconds, share) for share in (0.5, 0.99))
    return f"""# Chaos run

{reports.made(arguments.seed)} Code {reports.source()}. Command: `make chaos ARGS='--seconds {arguments.seconds:.0f} --rate {arguments.rate:.0f} --seed {arguments.seed}'`.

Two gateway processes on one store (master, replica, three sentinels) behind a client that tries the other one when a connection is refused; two providers with
{ACCOUNTS} accounts each in a chain, all four client protocols, three quarters streams. {arguments.seconds:.0f} s at
{arguments.rate:.0f} requests per second. Accounts died {world.deaths} times, each time in one of {len(WAYS) - 1} ways, for
{OUTAGE:.0f} s on average.

| | |
|---|---|
| requests | {count.requests:,} |
| failures | {failed} |
| upper 95 % bound of the failure rate | {bound:.5%} (goal {GOAL:.1%}: {verdict}) |
| streams cut because their account died under them, all told with an error | {count.cut} |
| upstream calls per request | {count.calls / max(1, count.requests):.4f} |
| duration p50, p99 | {p50:.2f} s, {p99:.2f} s (the upstream takes 0.3 to 0.6 s) |

| Failures | Count |
|---|---|
{failures}

{examples}

## What happened

{lines}
"""


def main() -> int:
    """Run and write; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=1200.0)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, default=reports.ROOT / "docs" / "reports" / "chaos.md")
    arguments = parser.parse_args()
    count, world = asyncio.run(chaos(arguments.seconds, arguments.rate, arguments.seed))
    text = report(count, world, arguments)
    reports.write(arguments.report, text)
    print(text)  # noqa: T201
    return 0 if reports.upper_bound(count.failures.total(), count.requests) <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
