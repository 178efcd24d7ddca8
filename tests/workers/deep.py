"""`make nodes-deep`: two nodes with two workers each, a hundred kills, rolling restarts, and how fast words spread.

python -m tests.workers.deep --requests 10000 --kills 100 --report docs/reports/nodes.md
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiclient2api.store import keys
from tests.faults import reports
from tests.program import simulating, until
from tests.store.servers import running
from tests.workers import nodes
from tests.workers.rig import fleet, sections
from tests.workers.trials import Restarts, count_on_two_nodes, kill_workers, restart_two_nodes

ROUNDS = 10
"""How often a word is spread."""
REQUESTS_AT_ONCE = 8


def roll_one_gateway(folder: Path, times: int) -> Restarts:
    """Replace the workers of one gateway under load."""
    with simulating() as (_, url), fleet(folder, sections(url)) as gateway:
        began = time.monotonic()
        with gateway.load().running() as load:
            for number in range(times):
                load.more(30)
                gateway.program.process.send_signal(signal.SIGUSR2)
                until(lambda number=number: len(gateway.program.events("rolling_restart_done")) > number)
            load.more(30)
        assert gateway.program.stop() == 0
        seconds = time.monotonic() - began
    return Restarts(asked=load.done, answered=load.answers.total(), seconds=seconds, failures=load.failures)


@contextmanager
def asked_all_the_time(both: nodes.Nodes) -> Any:
    """Both nodes are asked while the block runs."""
    is_over = threading.Event()

    def run() -> None:
        while not is_over.is_set():
            asyncio.run(nodes.ask_many(both.urls, 40, at_once=REQUESTS_AT_ONCE))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def spread(folder: Path, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds until nobody uses an account any more: after an admin's word, and after its first refusal."""
    words: list[float] = []
    refusals: list[float] = []
    with nodes.two_nodes(folder, workers=2) as both, asked_all_the_time(both), both.server.admin() as client:

        def quiet(account: str) -> float:
            """When it was used for the last time: nothing for two seconds in which others were."""
            until(lambda: time.monotonic() - both.tally.last[account] > 2.0)
            return both.tally.last[account]

        for _ in range(rounds):
            until(lambda: both.tally.last.get("b", 0.0) > time.monotonic() - 0.5)
            word = threading.Thread(target=both.cli, args=("accounts", "disable", "b"))
            before = client.hget(keys.accounts_admin(), "b")
            word.start()
            until(lambda before=before: client.hget(keys.accounts_admin(), "b") != before)
            said = time.monotonic()
            words.append(max(0.0, quiet("b") - said))
            word.join()
            both.cli("accounts", "enable", "b")
        for _ in range(rounds):
            until(lambda: both.tally.last.get("c", 0.0) > time.monotonic() - 0.5)
            both.refuse("c")
            refused = time.monotonic()
            until(lambda refused=refused: both.tally.last["c"] > refused)
            first = both.tally.last["c"]
            refusals.append(max(0.0, quiet("c") - first))
            both.refuse("")
            both.cli("accounts", "retry", "c")
    return words, refusals


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--report", type=Path, default=Path("docs/reports/nodes.md"))
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="a2-nodes-"))

    def step(name: str, work: Callable[[Path], Any]) -> Any:
        (folder / name).mkdir()
        found = work(folder / name)
        print(name, found, flush=True)  # noqa: T201
        return found

    counts = step("counts", lambda into: count_on_two_nodes(into, given.requests, workers=2))
    kills = step("kills", lambda into: kill_workers(into, given.kills))
    rolled = step("rolling", lambda into: roll_one_gateway(into, 5))

    def restarts(into: Path) -> Restarts:
        with running() as server:
            return restart_two_nodes(into, server.url, workers=2, times=3)

    restarted = step("restarts", restarts)
    words, refusals = step("spread", lambda into: spread(into, given.rounds))
    text = f"""# Several nodes, several workers

{reports.made(0)} Command: `make nodes-deep ARGS='--requests {given.requests} --kills {given.kills} --rounds {given.rounds}'`. Everything is a real process.

| What | Seen | Goal |
|---|---|---|
| two nodes with two workers on one Redis, {given.requests:,} requests: statuses | {counts.statuses} | all 200 |
| attempts by account: upstream | {counts.upstream} | |
| the same in the store, in both nodes' `/metrics` | {"equal" if counts.store == counts.metrics == counts.upstream else f"{counts.store}, {counts.metrics}"} | equal |
| attempts in the ledger (`aiclient2api usage`) | {counts.ledger:,} | {given.requests:,} |
| kill −9 of a worker under load, {kills.kills} times: answers without a row, rows twice | {kills.lost}, {kills.double} | 0, 0 |
| requests of that run, broken with their worker | {kills.asked:,}, {kills.broken} | |
| upstream calls, rows, booked | {kills.upstream:,}, {kills.rows:,}, {kills.booked:,} | equal |
| rolling restart of one gateway with two workers, 5 times: requests, failed | {rolled.asked:,}, {rolled.asked - rolled.answered} | 0 failed |
| rolling restart of two nodes with two workers, 3 times: requests, failed | {restarted.asked:,}, {restarted.asked - restarted.answered} | 0 failed |
| last use of an account after `accounts disable`, of {len(words)}: median, longest | {_ms(words, 0.5)}, {_ms(words, 1.0)} | ≤ 1 s |
| last use of an account after its first 401 on any worker, of {len(refusals)}: median, longest | {_ms(refusals, 0.5)}, {_ms(refusals, 1.0)} | ≤ 1 s |
"""
    reports.write(given.report, text)
    print(text)  # noqa: T201


def _ms(seconds: list[float], share: float) -> str:
    return f"{reports.percentile(seconds, share) * 1000:.0f} ms"


if __name__ == "__main__":
    main()
