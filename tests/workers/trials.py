"""What tests show in small and `python -m tests.workers.deep` shows in large: kills, counts, restarts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from aiclient2api.ledger.records import Row, decode
from tests.ledger.segments import read
from tests.program import DEADLINE, Program, run, serving_program, simulating, until
from tests.workers import nodes
from tests.workers.load import Load
from tests.workers.rig import KEY, fleet, sections


def rows(data_dir: Path) -> Counter[tuple[str, int]]:
    """How often each attempt has a row in a ledger's files."""
    found: Counter[tuple[str, int]] = Counter()
    for path in (data_dir / "ledger").iterdir():
        try:
            content = None if path.suffix == ".lock" else read(path)
        except FileNotFoundError:  # renamed meanwhile, when its owner lives
            continue
        if content is not None:
            records = (decode(payload) for payload in content.payloads)
            found.update((row.request_id, row.attempt) for row in records if isinstance(row, Row))
    return found


def booked(program: Program) -> int:
    """The attempts that the store has booked, by the command that operators use."""
    done = run(program.config.parent, "usage", "--config", str(program.config), "--json")
    assert done.returncode == 0, done.stderr
    lines: list[dict[str, Any]] = json.loads(done.stdout)
    return sum(int(line["attempts"]) for line in lines)


class Kills(Struct, frozen=True, kw_only=True):
    """What came of killing workers under load."""

    kills: int
    asked: int
    answered: int
    broken: int
    """Requests that ended without a complete answer: those under way on the killed workers."""
    upstream: int
    lost: int
    """Complete answers without a row."""
    double: int
    rows: int
    booked: int


def kill_workers(folder: Path, kills: int, between: int = 40) -> Kills:
    """Kill one worker after the other while clients ask, and count everything."""
    with simulating() as (simulator, url), fleet(folder, sections(url)) as gateway:
        simulator.requests = tally = nodes.Tally()
        with gateway.load(8).running() as load:
            for number in range(kills):
                load.more(between)
                place = number % 2 + 1
                pid = gateway.worker(place)
                os.kill(pid, signal.SIGKILL)
                until(lambda place=place, pid=pid: gateway.worker(place) != pid)
            load.more(between)
        until(lambda: gateway.health()["status"] == "ok")
        # who is stopped right behind a kill leaves what the killed one had under way to the next start
        until(lambda: booked(gateway.program) >= max(tally.by_account.total(), len(rows(folder / "data"))))
        assert gateway.program.stop() == 0
        found = rows(folder / "data")
        until(lambda: booked(gateway.program) >= len(found))
        return Kills(
            kills=kills,
            asked=load.done,
            answered=load.answers.total(),
            broken=load.done - load.answers.total(),
            upstream=tally.by_account.total(),
            lost=len(set(load.answers) - {request_id for request_id, _ in found}),
            double=sum(times > 1 for times in found.values()),
            rows=len(found),
            booked=booked(gateway.program),
        )


class Counts(Struct, frozen=True, kw_only=True):
    """Who counted how many attempts."""

    statuses: dict[int, int]
    upstream: dict[str, int]
    store: dict[str, int]
    metrics: dict[str, int]
    ledger: int


def count_on_two_nodes(folder: Path, requests: int, workers: int) -> Counts:
    """So many requests to two nodes in turns: upstream, store, metrics and ledger count them."""
    with nodes.two_nodes(folder, workers=workers) as both:
        statuses = asyncio.run(nodes.ask_many(both.urls, requests))
        until(lambda: both.counts().total() >= requests)
        until(lambda: booked(both.programs[0]) >= requests)
        metrics: Counter[str] = Counter()
        for url in both.urls:
            for labels, value in samples(url, "aiclient2api_attempts_total"):
                metrics[labels["account"]] += int(value)
        return Counts(
            statuses=dict(statuses),
            upstream=dict(both.upstream),
            store=dict(both.counts()),
            metrics=dict(metrics),
            ledger=booked(both.programs[0]),
        )


def samples(url: str, name: str) -> list[tuple[dict[str, str], float]]:
    """Labels and values of a metric of a running gateway."""
    text = httpx.get(f"{url}/metrics", timeout=DEADLINE, verify=False).text
    return [
        (sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    ]


class Restarts(Struct, frozen=True, kw_only=True):
    """What clients saw of a rolling restart."""

    asked: int
    answered: int
    seconds: float
    failures: list[str]


def restart_two_nodes(folder: Path, store: str, workers: int, times: int = 1) -> Restarts:
    """Stop and start one node after the other under load; clients go elsewhere when a connection is refused."""
    with simulating() as (_, url), ExitStack() as stack:
        programs: list[Program] = []

        def start(name: str) -> Program:
            (folder / name).mkdir()
            given = {**sections(url), "store": {"url": store}, "secrets": {"key": "a secret of both nodes"}}
            given["server"] = {"workers": workers, "drain": "20s"}
            return stack.enter_context(serving_program(folder / name, given))

        programs.extend(start(f"first-{number}") for number in range(2))
        load = Load(lambda: [program.url for program in programs], KEY, 6)
        began = time.monotonic()
        with load.running():
            for round_ in range(times):
                for number in range(2):
                    load.more(30)
                    old = programs[number]
                    old.process.send_signal(signal.SIGTERM)
                    assert old.process.wait(DEADLINE) == 0
                    programs[number] = start(f"later-{round_}-{number}")
            load.more(30)
        return Restarts(
            asked=load.done,
            answered=load.answers.total(),
            seconds=time.monotonic() - began,
            failures=load.failures,
        )
