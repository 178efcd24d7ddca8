"""`make bench-store`: what an outage of the store costs 200 running streams and the requests beside them.

python -m bench.store [--streams 200] [--requests 150] [--only KIND …] [--report docs/reports/store.md]

The gateway has two workers on a Redis of its own; simulator and clients are this process, so times include their share
of the machine: what counts is how the difference between a
request and its twin, to a second gateway whose store is well, changes when the store goes away.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from math import hypot, sqrt
from pathlib import Path
from statistics import median
from typing import Any, Final

import aiohttp
from msgspec import Struct
from redis.exceptions import RedisError
from tests.faults import reports
from tests.faults.reports import percentile
from tests.integration.test_store_outages import Outage, outage
from tests.program import simulating
from tests.store.servers import Server, running, until
from tests.store.test_outage import is_master
from tests.workers.load import BODY
from tests.workers.nodes import Tally, ask_many, two_nodes
from tests.workers.rig import KEY, Fleet, fleet, sections
from tests.workers.trials import booked

from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.store import keys
from bench.reliability_figures import Figure

ROOT: Final = Path(__file__).parent.parent
KINDS: Final = ("paused", "killed", "failed over", "read-only", "out of memory")
EVENTS, INTERVAL = 300, 0.2
"""Of a stream: it lasts for a minute."""
DEADLINE: Final = 300.0


class Times(Struct):
    """Seconds of requests one after the other; failures of whatever kind."""

    before: list[float] = []
    pairs_before: list[float] = []
    """By how much each took longer than its twin."""
    first: float = 0.0
    during: list[float] = []
    """From the second one on, until both workers have given the store up."""
    pairs_without: list[float] = []
    """While the store is known to be away."""
    converged: float = 0.0
    """From the store's return until it had every count."""
    failed: int = 0
    streams: int = 0
    """Still under way when the store came back and had everything."""


class Clients:
    """Streams that run, and single requests that are timed."""

    def __init__(self, url: str, twin: str, session: aiohttp.ClientSession) -> None:
        self._url, self._twin, self._session = url, twin, session
        self.asked = self.failed = self.answered = 0

    async def pairs(self, count: int) -> tuple[list[float], list[float]]:
        """Seconds of requests, and by how much each took longer than its twin, who comes first every other time."""
        alone: list[float] = []
        longer: list[float] = []
        for turn in range(count):
            twin = await self._whole(self._twin) if turn % 2 else 0.0
            alone.append(await self.ask(is_stream=False))
            longer.append(alone[-1] - (twin if turn % 2 else await self._whole(self._twin)))
        return alone, longer

    async def _whole(self, url: str) -> float:
        began = time.perf_counter()
        async with self._session.post(f"{url}/v1/messages", json=BODY, headers={"x-api-key": KEY}) as answer:
            await answer.read()
        return time.perf_counter() - began

    async def ask(self, *, is_stream: bool, begun: Callable[[], None] = lambda: None) -> float:
        """One request; seconds until all of it was there."""
        began = time.perf_counter()
        body, text = {**BODY, "stream": is_stream, "max_tokens": 100_000 if is_stream else 9}, b""
        self.asked += 1
        try:
            async with self._session.post(
                f"{self._url}/v1/messages", json=body, headers={"x-api-key": KEY}
            ) as answer:
                async for part in answer.content.iter_any():
                    if not text:
                        begun()
                    text += part
            is_whole = (b"message_stop" if is_stream else b'"stop_reason":"') in text
            self.failed += answer.status != 200 or not is_whole
        except (aiohttp.ClientError, TimeoutError):
            self.failed += 1
        self.answered += not is_stream
        return time.perf_counter() - began

    async def streams(self, count: int) -> list[asyncio.Future[float]]:
        """All of them have content when this returns."""
        all_begun, waiting = asyncio.Event(), count

        def begun() -> None:
            nonlocal waiting
            waiting -= 1
            if not waiting:
                all_begun.set()

        under_way = [asyncio.ensure_future(self.ask(is_stream=True, begun=begun)) for _ in range(count)]
        async with asyncio.timeout(DEADLINE):
            await all_begun.wait()
        return under_way


def counted(server: Server, accounts: list[str]) -> int:
    """Attempts that the store has counted; -1 when it does not say."""
    try:
        with server.admin() as client:
            names = [keys.account_counters(name) for name in accounts]
            return sum(int(number) for name in names for number in client.hvals(name))
    except RedisError:
        return -1


def convergence(clients: Clients, server: Server, accounts: list[str]) -> float:
    """Seconds from the moment when the server takes writes again until it has all counts of before."""

    def is_back() -> bool:
        try:
            return is_master(server)
        except RedisError:
            return False

    until(is_back, DEADLINE)
    back, done = time.perf_counter(), clients.answered
    until(lambda: counted(server, accounts) >= done, DEADLINE)
    return time.perf_counter() - back


async def through(
    kind: str, gateways: tuple[Fleet, Fleet], store: Outage, sizes: tuple[int, int], accounts: list[str]
) -> tuple[Times, Clients]:
    """The whole story of one outage."""
    (streams, requests), gateway = sizes, gateways[0]
    times = Times()
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=DEADLINE)
    ) as session:
        clients = Clients(gateway.url, gateways[1].url, session)
        under_way = await clients.streams(streams)
        await clients.pairs(20)
        times.before, times.pairs_before = await clients.pairs(requests)
        await asyncio.to_thread(store.away)
        converged: asyncio.Future[float] | None = None
        if kind == "failed over":  # it comes back by itself
            converged = asyncio.ensure_future(asyncio.to_thread(convergence, clients, store.left(), accounts))
        times.first = await clients.ask(is_stream=False)
        while not gateway.program.events("store_lost") or len(times.during) < requests // 4:
            times.during.append(await clients.ask(is_stream=False))
        _, times.pairs_without = await clients.pairs(requests)
        await asyncio.to_thread(store.back)
        times.converged = await (converged or asyncio.to_thread(convergence, clients, store.left(), accounts))
        times.streams = sum(not each.done() for each in under_way)
        await asyncio.gather(*under_way)
    times.failed = clients.failed
    return times, clients


def figures(kind: str, folder: Path, sizes: tuple[int, int]) -> list[Figure]:
    """One outage."""
    paced = SimulatorSettings(events=EVENTS, interval=INTERVAL)
    with (
        outage(kind) as store,
        running() as well,
        simulating() as (simulator, url),
        simulating() as (_, other),
    ):
        given: dict[str, Any] = {
            **sections(url, 2 * sizes[0]),
            "store": {"url": store.url, "data_dir": str(folder / "data")},
            "secrets": {"key": "a secret for this store"},
        }
        accounts = list(given["accounts"])
        simulator.settings = paced
        simulator.requests = tally = Tally()
        beside = {**given, "accounts": sections(other)["accounts"], "store": {"url": well.url}}
        (folder / "twin").mkdir()
        with fleet(folder, given) as gateway, fleet(folder / "twin", beside) as twin:
            times, clients = asyncio.run(through(kind, (gateway, twin), store, sizes, accounts))
            until(lambda: counted(store.left(), accounts) >= clients.asked, 60.0)
            counts = counted(store.left(), accounts), tally.by_account.total()
            rows = booked(gateway.program)
            stopped = gateway.program.stop()
    usual = median(times.before)
    first, slowest = times.first - usual, max(times.during) - max(times.before)
    added = median(times.pairs_without) - median(times.pairs_before)
    error = hypot(_error(times.pairs_without), _error(times.pairs_before))
    is_exact = counts == (clients.asked, clients.asked) and rows == clients.asked and stopped == 0
    return [
        Figure(f"{kind}: streams that ran from before to behind it", f"{times.streams}", f"{sizes[0]}", times.streams == sizes[0]),
        Figure(f"{kind}: client errors of {clients.asked:,}", f"{times.failed}", "0", times.failed == 0),
        Figure(f"{kind}: first request, more than usual", _ms(first), "≤ 100 ms", first <= 0.1),
        Figure(f"{kind}: slowest of the next {len(times.during)}, more than the slowest before", _ms(slowest), "≤ 100 ms", slowest <= 0.1),
        Figure(f"{kind}: while it is away, more than usual (medians of {len(times.pairs_without)} pairs)", f"{_ms(added)} ± {_ms(error)}", "≤ 1 ms", added <= 0.001),
        Figure(f"{kind}: all counts in the store after its return", f"{times.converged:.2f} s", "≤ 5 s", times.converged <= 5),
        Figure(f"{kind}: requests, upstream, store, ledger", f"{clients.asked}, {counts[1]}, {counts[0]}, {rows}", "equal", is_exact),
    ]  # fmt: skip


def normal(folder: Path, requests: int) -> list[Figure]:
    """What two nodes ask of the store while all is well."""
    with two_nodes(folder) as both, both.server.admin() as client:
        asyncio.run(ask_many(both.urls, 100))
        client.config_set("slowlog-log-slower-than", "1000")
        client.config_set("slowlog-max-len", "1024")
        client.config_set("latency-monitor-threshold", "10")
        client.slowlog_reset()
        client.config_resetstat()
        began = time.perf_counter()
        statuses = asyncio.run(ask_many(both.urls, requests))
        seconds = time.perf_counter() - began
        stats: Any = client.info("commandstats")
        slow: Any = client.slowlog_get(1024)
        events: Any = client.execute_command("LATENCY", "LATEST")
    busy = sum(int(each["usec"]) for each in stats.values())
    longest = max((int(entry["duration"]) for entry in slow), default=0)
    calls = sum(int(each["calls"]) for each in stats.values())
    shown = f"{longest / 1000:.1f} ms" if longest else "below 1 ms"
    used = ", ".join(sorted(name.removeprefix("cmdstat_") for name in stats))
    return [
        Figure(f"Redis time of {requests:,} requests on two nodes, per request", f"{busy / requests:.0f} µs", "≤ 10 ms", busy / requests <= 10_000),
        Figure(f"commands in these {seconds:.0f} s, per request (all in the background)", f"{calls / requests:.2f}", "", statuses == {200: requests}),
        Figure("longest single command (SLOWLOG)", shown, "≤ 10 ms", longest <= 10_000),
        Figure("events over 10 ms (LATENCY LATEST)", f"{len(events)}", "0", not events),
        Figure("commands used", used, "no KEYS, no scripts", not {"cmdstat_keys", "cmdstat_eval", "cmdstat_evalsha"} & set(stats)),
    ]  # fmt: skip


def _error(values: list[float]) -> float:
    """The standard error of the median, by the interquartile range as if the values were normal."""
    width = percentile(values, 0.75) - percentile(values, 0.25)
    return 1.2533 * width / 1.349 / sqrt(len(values))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def report(found: dict[str, list[Figure]], given: argparse.Namespace) -> str:
    """The page."""
    rows = [
        f"| {each.name} | {each.measured} | {each.goal} | {'yes' if each.holds else '**no**'} |"
        for group in found.values()
        for each in group
    ]
    return f"""# The store away, and the store in use

{reports.made(0)} Command: `make bench-store ARGS='--streams {given.streams} --requests {given.requests}'` (bench/store.py). One
gateway with two workers, {given.streams} streams under way all the time, requests one after the other beside them, each over a connection of
its own. Gateway, Redis, simulator and clients share the machine.

| Figure | Measured | Goal | Holds |
|---|---|---|---|
{chr(10).join(rows)}

"Usual" is the median before the outage. What is added while the store is away is measured in pairs: every request has a twin to a second
gateway whose store is well, one right behind the other, and the median of their differences is compared with that of before the outage,
with its standard error. Counts are exact when the requests of the clients, the requests that the upstream saw, the
attempts that the store has counted and the rows that the ledger has booked are the same number.
"""


def main() -> int:
    """Measure, print, write; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description="What outages of the store cost.")
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--only", nargs="*", choices=[*KINDS, "normal"], default=["normal", *KINDS])
    parser.add_argument("--report", type=Path, default=ROOT / "docs" / "reports" / "store.md")
    given = parser.parse_args()
    found: dict[str, list[Figure]] = {}
    for kind in given.only:
        with tempfile.TemporaryDirectory(prefix="a2-store-") as folder:
            sizes = (given.streams, given.requests)
            found[kind] = (
                normal(Path(folder), 10 * given.requests)
                if kind == "normal"
                else figures(kind, Path(folder), sizes)
            )
        for each in found[kind]:
            print(f"{each.name}: {each.measured} (goal {each.goal}, holds: {each.holds})", flush=True)
    reports.write(given.report, report(found, given))
    return 0 if all(each.holds for group in found.values() for each in group) else 1


if __name__ == "__main__":
    sys.exit(main())
