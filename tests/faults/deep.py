"""`make faults-deep`: a million faulted streams, in shards that can be resumed, with a report.

python -m tests.faults.deep --streams 1000000 --shard 50000 --seed 1 --state FOLDER --report docs/reports/faults.md

A shard that was run with the same seed and the same code (`reports.source`) is kept, whatever the commit is called. Two of these
programs, the second `--backwards`, share the work of one state folder: a shard and its gateway do not fill two cores.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from tests.faults import reports
from tests.faults.drawing import draw, nonce_of
from tests.faults.fleet import KEY, gateway
from tests.faults.many import Run, Tally, plays, sdk_verdict, sections
from tests.faults.official import Sdks
from tests.faults.server import FaultServer

SDK_SHARE = 100
"""Every hundredth stream is judged by an official SDK."""


async def _shard(seed: int, numbers: range, at_once: int, *, sdk: bool) -> Tally:
    server = FaultServer(plays(seed))
    server.keeps_departures = False
    async with server.running() as url, gateway(sections(url)) as program:
        run = Run(seed, program.url, KEY, server)
        judged = [number for number in numbers if sdk and number % SDK_SHARE == 0]
        raw = (number for number in numbers if not sdk or number % SDK_SHARE)
        await asyncio.gather(run.all(raw, at_once), _with_sdks(run, program.url, judged, server))
        return run.tally


async def _with_sdks(run: Run, url: str, numbers: list[int], server: FaultServer) -> None:
    if not numbers:
        return
    clients = Sdks(url, KEY)
    loop = asyncio.get_running_loop()
    left = iter(numbers)
    with ThreadPoolExecutor(4) as threads:

        def release(nonce: str) -> None:
            loop.call_soon_threadsafe(server.release, nonce)

        async def work() -> None:
            for number in left:
                drawn = draw(run.seed, number)
                heard = await loop.run_in_executor(threads, clients.ask, drawn.question, release)
                outcome, lies = sdk_verdict(drawn, heard, server.hits[f"r-{number}"])
                run.tally.add(drawn, outcome, lies)
                run.tally.by_sdk += 1
                server.forget(nonce_of(number))
                server.forget_label(f"r-{number}")

        await asyncio.gather(*(work() for _ in range(4)))
    clients.close()


def run_shard(seed: int, numbers: range, at_once: int = 64, *, sdk: bool = True) -> Tally:
    """One shard: a fault server and clients in this process, a gateway in another."""
    return asyncio.run(_shard(seed, numbers, at_once, sdk=sdk))


def merged(tallies: list[Tally]) -> Tally:
    """One tally of many."""
    whole = Tally()
    for tally in tallies:
        whole.streams += tally.streams
        whole.seconds += tally.seconds
        whole.by_sdk += tally.by_sdk
        whole.outcomes = dict(Counter(whole.outcomes) + Counter(tally.outcomes))
        whole.lies = dict(Counter(whole.lies) + Counter(tally.lies))
        whole.examples = [*whole.examples, *tally.examples][:50]
    return whole


def report(tally: Tally, seed: int, shards: int, source: str) -> str:
    """The page."""
    rows = "\n".join(f"| {name} | {count:,} |" for name, count in sorted(tally.outcomes.items()))
    lies = (
        "\n".join(f"| {name} | {count:,} |" for name, count in sorted(tally.lies.items())) or "| none | 0 |"
    )
    examples = "\n".join(f"- `{example}`" for example in tally.examples)
    when = datetime.datetime.now(datetime.UTC).date().isoformat()
    return f"""# Faulted streams

{tally.streams:,} streams in {shards} shards, {tally.by_sdk:,} of them judged by the official Python SDKs, the others byte
by byte. Each has a random pair of protocols, a random fault at a random byte of the upstream's answer, and a nonce
that must come back. Seed {seed}, {when}, commit {reports.commit()}, code {source}, {reports.machine()},
{tally.seconds / 60:.0f} minutes of shards ({tally.streams / max(tally.seconds, 1):.0f} streams per second).

Command: `make faults-deep ARGS='--seed {seed}'` (tests/faults/deep.py).

A *false success* is a normal end that the upstream did not send; a *silent truncation* is an answer that lacks text and
does not say so.

| Lies | Count |
|---|---|
{lies}

{examples}

| Outcome | Count |
|---|---|
{rows}
"""


def main() -> int:
    """Run what is missing, then write the report; 1 when anything lied."""
    parser = argparse.ArgumentParser(description="Faulted streams by the hundred thousand.")
    parser.add_argument("--streams", type=int, default=1_000_000)
    parser.add_argument("--shard", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backwards", action="store_true", help="begin with the last shard")
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--state", type=Path, default=reports.ROOT / "build" / "faults-deep")
    parser.add_argument("--report", type=Path, default=reports.ROOT / "docs" / "reports" / "faults.md")
    asked = parser.parse_args()
    asked.state.mkdir(parents=True, exist_ok=True)
    source = reports.source()
    tallies: list[Tally] = []
    firsts = range(0, asked.streams, asked.shard)
    for first in reversed(firsts) if asked.backwards else firsts:
        numbers = range(first, min(first + asked.shard, asked.streams))
        kept = asked.state / f"{source}-seed{asked.seed}-{numbers.start}-{numbers.stop}.json"
        if not kept.exists():
            began = time.monotonic()
            tally = run_shard(asked.seed, numbers, asked.at_once)
            kept.write_bytes(msgspec.json.encode(tally))
            rate = len(numbers) / (time.monotonic() - began)
            print(f"{kept.name}: {rate:.0f}/s, lies: {dict(tally.lies)}", flush=True)  # noqa: T201
        tallies.append(msgspec.json.decode(kept.read_bytes(), type=Tally))
        reports.write(asked.report, report(merged(tallies), asked.seed, len(tallies), source))
    return 1 if merged(tallies).lies else 0


if __name__ == "__main__":
    sys.exit(main())
