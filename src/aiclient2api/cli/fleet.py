"""What all workers together have to say: one page of metrics, one answer for load balancers."""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from aiclient2api.server.siblings import Health
from aiclient2api.telemetry.counting import families
from aiclient2api.telemetry.metrics import KINDS
from aiclient2api.telemetry.report import Merged, encode, page
from aiclient2api.telemetry.tally import SHARED_BYTES, SharedTally, Sums
from aiclient2api.workers.child import Child
from aiclient2api.workers.messages import Answer, What, Wish
from aiclient2api.workers.rounds import Rounds
from aiclient2api.workers.supervisor import Supervisor

PATIENCE: Final[dict[What, float]] = {"metrics": 2.0, "health": 0.5}
"""Seconds for a worker to report on itself."""

_Asking = tuple[Child, int]
"""A worker that wants to know, and the number of its wish."""


class Fleet:
    """The workers of a supervisor, `count` of them when all are well. What those counted that are gone is kept."""

    def __init__(self, supervisor: Supervisor, count: int, bug: Callable[[BaseException], None]) -> None:
        self.tallies: dict[Child, SharedTally] = {}
        self._supervisor = supervisor
        self._count = count
        self._gone = Sums()
        self._last_words = encode(())
        self._ends: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        self._rounds: dict[What, Rounds[_Asking]] = {
            "metrics": Rounds(self._metrics, _answer, bug),
            "health": Rounds(self._health, _answer, bug),
        }
        supervisor.on_end = self._ended

    def born(self, child: Child, tally: SharedTally) -> None:
        """A worker was started that counts there."""
        self.tallies[child] = tally
        child.wished = lambda wish: self._wished(child, wish)

    def _wished(self, child: Child, wish: Wish) -> None:
        self._rounds[wish.what].ask((child, wish.number))

    def _ended(self, child: Child, status: int) -> None:
        self._ends["stopped" if status == 0 else "died"] += 1
        tally = self.tallies.pop(child, None)
        if tally is not None:
            self._gone.add(tally)
        if child.last_words is not None:
            kept = Merged()
            kept.add(self._last_words)
            kept.add(child.last_words, is_gone=True)
            self._last_words = encode(kept.metrics())

    async def _ask(self, children: Collection[Child], what: What) -> dict[Child, bytes]:
        """The reports of those that answer in time."""
        number = next(self._numbers)
        asked = {child: child.ask(number, what) for child in children if child.is_ready}
        if asked:
            await asyncio.wait(asked.values(), timeout=PATIENCE[what])
        found: dict[Child, bytes] = {}
        for child, report in asked.items():
            if report.done() and not report.cancelled():
                found[child] = report.result()
            child.forget(number)
        return found

    async def _metrics(self) -> bytes:
        children = list(self._supervisor.alive)
        reports = await self._ask(children, "metrics")
        merged = Merged()
        for child in children:
            report = reports.get(child)
            if report is not None:
                merged.add(report)
            elif child.last_words is not None:
                merged.add(child.last_words, is_gone=True)
        merged.add(self._last_words)
        sums = Sums()
        for tally in (self._gone, *self.tallies.values()):
            sums.add(tally)
        ready = sum(child.is_ready for child in self._supervisor.workers.values())
        own = worker_metrics(self._count, ready, len(children) - ready, self._ends)
        return page((*families(KINDS, sums.items()), *merged.metrics(), *own))

    async def _health(self) -> bytes:
        workers = dict(self._supervisor.workers)
        reports = await self._ask(workers.values(), "health")
        said = {number: reports.get(child, b"missing").decode() for number, child in workers.items()}
        each = {str(number): said.get(number, "missing") for number in range(1, self._count + 1)}
        found = set(each.values())
        can_serve = bool(found & {"ok", "degraded"})
        status = "unavailable" if not can_serve else "ok" if found == {"ok"} else "degraded"
        return msgspec.json.encode(Health(status, each))

    def close(self) -> None:
        """Answer nobody any more."""
        for rounds in self._rounds.values():
            rounds.close()


def worker_metrics(wanted: int, ready: int, other: int, ends: Mapping[str, int]) -> Iterator[Metric]:
    """How many workers there are, and how those ended that are gone."""
    workers = GaugeMetricFamily("aiclient2api_workers", "Worker processes.", labels=("state",))
    for state, count in (("wanted", wanted), ("ready", ready), ("other", other)):
        workers.add_metric((state,), count)
    ended = CounterMetricFamily("aiclient2api_worker_ends", "Workers that ended.", labels=("how",))
    for how in ("died", "stopped"):
        ended.add_metric((how,), ends.get(how, 0))
    yield from (workers, ended)


def _answer(body: bytes, asking: list[_Asking]) -> None:
    for child, number in asking:
        child.send(Answer(number=number, body=body))


def tally_memory() -> int:
    """The descriptor of memory for one worker's tally, which the caller closes. Raises OSError."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("tally")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, SHARED_BYTES)
    return descriptor
