"""`make soak`: many streams for a long time, with faults and clients that leave; what grows?

python -m tests.chaos.soak --seconds 1800 --streams 500 --seed 1 --report docs/reports/soak.md
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct, field

from tests.chaos.looking import looked
from tests.faults import reports
from tests.faults.asking import Question, request_bytes
from tests.faults.fleet import KEY, complaint, fresh_nonce, gateway
from tests.faults.many import call, lenient
from tests.faults.rig import account
from tests.faults.script import End, Gate, Head, Play, Rst, Say, Script, Sleep, Whole
from tests.faults.server import FaultServer
from tests.faults.voices import PROTOCOLS
from tests.faults.ways import REFUSED, WAYS

FAULTS, LEAVING = 0.05, 0.10
LEFT_OUT: Final = (
    *(REFUSED, "silence", "401", "403", "no money"),
    *("429 with a wait", "429 without one", "404 for the model", "overloaded"),
)
"""Ways that end with the account or its provider out for a while: soon nobody would be left to stream."""
PIECES = 8
SAMPLE_SECONDS = 10.0
WARM_UP = 0.15
"""The share of the run that is not looked at: caches fill, arenas settle."""
GOAL_MIB = 1.0
"""Growth for 100,000 requests."""
GOAL_REFUSED = 0.005
"""Of all requests: a fault before the content fails over, a second one in a row is told."""


class Sample(Struct, frozen=True):
    """The gateway at one moment."""

    requests: int
    rss: float
    files: int
    inflight: float


class Soak(Struct, kw_only=True):
    """What was counted."""

    outcomes: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    """Seconds that `/healthz` took, a connection of its own included."""

    @property
    def requests(self) -> int:
        """All of them."""
        return sum(self.outcomes.values())


def _plays(seed: int, pause: float) -> Play:
    paced: Script = (
        Head(),
        Say(("prelude", "content")),
        *(step for _ in range(PIECES) for step in (Sleep(pause), Say(("ping",)))),
        Say(("more", "finish", "done")),
        End(),
    )
    cut: Script = (Head(), Say(("prelude", "content")), Gate(), Sleep(pause), Rst())
    chance = random.Random(seed)
    bad = [way.stream[0] for name, way in WAYS.items() if name not in LEFT_OUT] + [cut] * 8
    share = round(len(bad) / FAULTS)
    streams = [*bad, *([paced] * (share - len(bad)))]
    chance.shuffle(streams)
    return Play(stream=tuple(streams), unary=((Sleep(pause), Whole()),))


class _Turning(FaultServer):
    """Plays the scripts of a label in turn, for ever."""

    def __init__(self, play: Play) -> None:
        super().__init__(lambda _: play)
        self._rounds = len(play.stream)
        self.keeps_departures = False

    def turn(self) -> None:
        """Begin again where the scripts are over."""
        for label, hits in self.hits.items():
            if hits >= self._rounds:
                self.hits[label] = 0


async def _one(soak: Soak, server: _Turning, url: str, chance: random.Random, number: int) -> None:
    nonce = fresh_nonce()
    upstream = PROTOCOLS[number // 4 % 4]
    question = Question(
        protocol=PROTOCOLS[number % 4], model=f"{upstream}/m", nonce=nonce, stream=number % 10 > 0
    )
    try:
        if chance.random() < LEAVING:
            await _leave(question, url, chance.uniform(0.0, 2.0))
            soak.outcomes["left"] += 1
            return
        seen = await call(question, url, KEY, server.release)
        if complaint(question, seen) is None:
            soak.outcomes["whole"] += 1
        elif seen.status == 200 and not seen.complete:
            soak.outcomes["broken off, told"] += 1
        else:
            soak.outcomes[f"status {seen.status}" if seen.status else "no answer"] += 1
    finally:
        server.forget(nonce)
        server.turn()


async def _leave(question: Question, url: str, seconds: float) -> None:
    address = urlsplit(url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request_bytes(question, url, KEY))
    await asyncio.sleep(seconds)
    writer.transport.abort()


async def _look(soak: Soak, url: str, pid: int, every: float) -> None:
    address = urlsplit(url)
    while True:
        began = time.monotonic()
        metrics = await _get(address.hostname or "", address.port or 80, "/metrics")
        lines = metrics.splitlines()
        inflight = next(line for line in lines if line.startswith("aiclient2api_inflight_requests "))
        soak.samples.append(
            Sample(soak.requests, reports.rss_mib(pid), reports.open_files(pid), float(inflight.split()[1]))
        )
        await asyncio.sleep(max(0.0, began + every - time.monotonic()))


async def _get(host: str, port: int, path: str) -> str:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(
        f"GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n\r\n".encode()
    )
    text = (await reader.read()).decode()
    writer.close()
    return text


async def soak_for(seconds: float, streams: int, seed: int) -> Soak:
    """The run."""
    gc.collect()
    gc.freeze()  # a collector that pauses the rig would be seen as slow streams
    soak, chance = Soak(), random.Random(seed)
    server = _Turning(_plays(seed, pause=0.5))
    async with server.running() as url:
        accounts: dict[str, Any] = {
            f"{protocol}.{number}": account(
                url, protocol, f"{protocol}.{number}", f"key-{number}", pool=protocol, concurrency=2000
            )
            for protocol in PROTOCOLS
            for number in range(4)
        }
        async with gateway({"accounts": accounts, "policy": lenient()}) as program:
            every = min(SAMPLE_SECONDS, seconds / 12)
            address = urlsplit(program.url)
            health = asyncio.ensure_future(looked(address.hostname or "", address.port or 80, seconds))
            looking = asyncio.ensure_future(_look(soak, program.url, program.process.pid, every))
            end = time.monotonic() + seconds
            numbers = iter(range(10**9))

            async def work() -> None:
                while time.monotonic() < end:
                    await _one(soak, server, program.url, chance, next(numbers))

            await asyncio.gather(*(work() for _ in range(streams)))
            soak.health = await health
            await asyncio.sleep(2 * every)  # two looks at the gateway at rest
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
    return soak


def report(soak: Soak, arguments: argparse.Namespace) -> tuple[str, bool]:
    """The page, and whether every goal is met."""
    steady = soak.samples[int(len(soak.samples) * WARM_UP) : -2]
    growth, low, high = reports.slope([(sample.requests / 1e5, sample.rss) for sample in steady])
    files, files_low, _ = reports.slope([(sample.requests / 1e5, sample.files) for sample in steady])
    rest = soak.samples[-1]
    refused = sum(count for name, count in soak.outcomes.items() if name.startswith(("status", "no answer")))
    lag = reports.percentile(soak.health[int(len(soak.health) * WARM_UP) :], 0.999)
    rows = "\n".join(f"| {name} | {count:,} |" for name, count in sorted(soak.outcomes.items()))
    goals = (
        (f"{growth:+.2f} MiB per 100,000 requests (95 %: {low:+.2f} to {high:+.2f})", "RSS slope", f"≤ {GOAL_MIB} MiB", growth <= GOAL_MIB),
        (f"{files:+.1f} per 100,000 requests", "descriptors slope", "0 within its interval", files_low <= 0),
        (f"{rest.inflight:.0f} requests", "left at rest", "≤ 1 (the look itself)", rest.inflight <= 1),
        (f"{refused / soak.requests:.2%}", "answers other than 200", f"≤ {GOAL_REFUSED:.1%}: two faults in a row", refused <= GOAL_REFUSED * soak.requests),
        (f"{lag * 1000:.0f} ms", "`/healthz` p99.9, a connection of its own included", "≤ 50 ms", lag <= 0.05),
    )  # fmt: skip
    lines = "\n".join(f"| {name} | {shown} | {goal} | {'yes' if holds else '**no**'} |" for shown, name, goal, holds in goals)  # fmt: skip
    first, last = steady[0], steady[-1]
    page = f"""# Soak run

{reports.made(arguments.seed)} Code {reports.source()}. Command: `make soak ARGS='--seconds {arguments.seconds:.0f} --streams {arguments.streams} --seed {arguments.seed}'`.

{arguments.streams} streams at a time for {arguments.seconds / 60:.0f} minutes, {FAULTS:.0%} of the upstream's answers faulted in
{len(WAYS) - len(LEFT_OUT)} ways, {LEAVING:.0%} of the clients left early: {soak.requests:,} requests. The first {WARM_UP:.0%} of the samples and of the
looks at `/healthz` is warm-up. RSS {first.rss:.0f} → {last.rss:.0f} MiB, descriptors {first.files} → {last.files}. Slopes are Theil and Sen's.

RSS by tenths of the run, MiB: {_tenths(steady)}.

| | Measured | Goal | Holds |
|---|---|---|---|
{lines}

| Outcome | Count |
|---|---|
{rows}
"""
    return page, all(holds for *_, holds in goals)


def _tenths(samples: list[Sample]) -> str:
    """The medians of ten equal parts: does it still grow at the end?"""
    edges = [len(samples) * part // 10 for part in range(11)]
    parts = [samples[first:last] for first, last in pairwise(edges) if last > first]
    return ", ".join(f"{median(sample.rss for sample in part):.1f}" for part in parts)


def main() -> int:
    """Run and write; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, default=reports.ROOT / "docs" / "reports" / "soak.md")
    arguments = parser.parse_args()
    text, fine = report(
        asyncio.run(soak_for(arguments.seconds, arguments.streams, arguments.seed)), arguments
    )
    reports.write(arguments.report, text)
    print(text)  # noqa: T201
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
