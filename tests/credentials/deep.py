"""`make refresh-deep`: a hundred thousand schedules of three nodes, in shards that can be resumed, with a report.

python -m tests.credentials.deep --schedules 100000 --shard 5000 --state FOLDER --report docs/reports/refresh.md
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import msgspec
from msgspec import Struct

from aiclient2api import credentials, store
from tests import fakes
from tests.credentials.virtual import VirtualLoop
from tests.credentials.world import World, play


class Tally(Struct):
    """What a shard found. `broken` has the seeds of schedules in which something happened that must never."""

    counts: dict[str, int] = {}
    broken: dict[str, list[str]] = {}
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        """Both together."""
        names = dict.fromkeys((*self.counts, *other.counts))
        self.counts = {name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in names}
        self.broken.update(other.broken)
        self.seconds += other.seconds


def counted(world: World) -> dict[str, int]:
    """One schedule in numbers."""
    return {
        "schedules": 1,
        "generations": world.generations,
        "refresh tokens used": world.accepted,
        "families revoked": len(world.idp.revoked),
        "families revoked although somebody had the next token": world.wasted,
        "refresh tokens sent again and taken (grace)": world.twice,
        "nodes that crashed": world.crashes,
        "stores emptied": world.flushes,
        "requests whose outcome nobody knew": world.unknown,
        "accounts that ended in need of a new login": bool(world.without_token),
        "tokens used before they were kept": world.unkept,
        "virtual seconds": round(world.now),
    }


def shard(first: int, count: int, *, harsh: bool) -> Tally:
    """So many schedules."""
    tally, loop, began = Tally(), VirtualLoop(), time.process_time()
    counts: Counter[str] = Counter()
    for seed in range(first, first + count):
        world = play(loop, seed, harsh=harsh)
        counts.update(counted(world))
        if faults := world.faults():
            tally.broken[str(seed)] = faults
    loop.close()
    tally.counts, tally.seconds = dict(counts), time.process_time() - began
    return tally


def version() -> str:
    """Names the code that is judged, and the judge: what another version found does not count."""
    folders = [Path(__file__).parent, *(Path(package.__path__[0]) for package in (credentials, store, fakes))]
    files = [path for folder in folders for path in sorted(folder.glob("*.py"))]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:12]


def kept(folder: Path, first: int, count: int, *, harsh: bool) -> Tally:
    """The shard, from its file where it was run before."""
    path = folder / f"{'strict' if harsh else 'grace'}-{first}-{count}.json"
    if not path.exists():
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(shard(first, count, harsh=harsh)))
        part.replace(path)
    return msgspec.json.decode(path.read_bytes(), type=Tally)


def shards(folder: Path, total: int, size: int, jobs: int, *, harsh: bool) -> Iterator[Tally]:
    """All of them, so many at a time."""
    firsts = range(0, total, size)
    counts = [min(size, total - first) for first in firsts]
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(partial(kept, folder, harsh=harsh), firsts, counts)


def report(tallies: dict[str, Tally], schedules: int, command: str) -> str:
    """The page."""
    names = list(next(iter(tallies.values())).counts)
    lines = [
        "# Token refresh: random schedules of three nodes",
        "",
        f"Seeds 0 to {schedules - 1:,} (strict), on {datetime.date.today()}. Command: `{command}`.",
        "",
        "Each schedule is the real keeper ([credentials](../credentials.md)) on three nodes with a disk each, a store and an",
        "identity provider that rotates refresh tokens and revokes the family of one that comes twice, on a virtual clock:",
        "90 s of crashes between any two steps, pauses of up to 40 s, lost leases, lost requests and answers, slow and",
        "refusing provider, outages of the store for some or all nodes, lost replies of the store, emptied stores, full disks;",
        "then 50 s in which everything has to come right, and as much more as an account rests whose provider refused it time",
        "after time (5 s, doubling). Strict: the provider takes nothing twice, `reuse: 0s`. Grace: it takes a refresh token again",
        "for 60 s, `reuse: 30s`. Code: `tests/credentials/world.py`.",
        "",
        "| | " + " | ".join(tallies) + " |",
        "|---|" + "---|" * len(tallies),
    ]
    lines += [
        f"| {name} | " + " | ".join(f"{tally.counts.get(name, 0):,}" for tally in tallies.values()) + " |"
        for name in names
    ]
    lines.append(
        "| **schedules with anything that must never be** | "
        + " | ".join(f"**{len(tally.broken)}**" for tally in tallies.values())
        + " |"
    )
    lines.append(
        "| CPU seconds | " + " | ".join(f"{tally.seconds:,.0f}" for tally in tallies.values()) + " |"
    )
    for name, tally in tallies.items():
        for seed, faults in tally.broken.items():
            lines.append(f"\n{name}, seed {seed}: {'; '.join(faults)}")
    lines += [
        "",
        "What must never be: a family revoked or a refresh token used twice at the strict provider, a generation fetched twice,",
        "a token used before it was on a disk or in the store, an account without a token in the end although somebody knew the",
        "outcome of every request with its refresh token.",
        "With a period of grace the last chance of an account whose answer was lost may void its family, above all where the",
        "next token lies on the disk of a node that crashed and comes back later (seeds 938, 1628). Accounts that end in",
        "need of a new login are those whose answer was lost with the node or the connection it came over: the strict provider",
        "offers no way back.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run, report, 1 if anything is broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--schedules", type=int, default=100_000)
    parser.add_argument("--grace", type=int, default=20_000, help="schedules with a period of grace")
    parser.add_argument("--shard", type=int, default=5_000)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--state", type=Path, default=Path("build/refresh-deep"))
    parser.add_argument("--report", type=Path, default=Path("docs/reports/refresh.md"))
    given = parser.parse_args()
    state = given.state / version()
    state.mkdir(parents=True, exist_ok=True)
    tallies: dict[str, Tally] = {}
    for name, harsh, count in (("strict", True, given.schedules), ("grace", False, given.grace)):
        tallies[name] = Tally()
        for tally in shards(state, count, given.shard, given.jobs, harsh=harsh):
            tallies[name].add(tally)
            sys.stdout.write(f"{name}: {tallies[name].counts['schedules']:,}\n")
            sys.stdout.flush()
    given_all = (given.schedules, given.grace) == (100_000, 20_000)
    command = "make refresh-deep"
    if not given_all:
        command += f" ARGS='--schedules {given.schedules} --grace {given.grace}'"
    given.report.parent.mkdir(parents=True, exist_ok=True)
    given.report.write_text(report(tallies, given.schedules, command), "utf-8")
    return 1 if any(tally.broken for tally in tallies.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
