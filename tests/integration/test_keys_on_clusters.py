"""Client keys and their limits on a Redis that is several: a cluster of three masters, a master that sentinels replace."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from aiclient2api.simulator.app import Simulator
from tests.integration.test_shared_keys import ask, at_most, is_known, know_each_other
from tests.program import Program, run, serving_program, simulating, until
from tests.store.clusters import Cluster, replicated
from tests.store.test_outage import is_master
from tests.workers.nodes import KEY, sections

LIMIT = 30


class Pair:
    """Two nodes of one store, and their upstream."""

    def __init__(self, programs: list[Program], simulator: Simulator) -> None:
        self.programs, self.simulator = programs, simulator

    def keys(self, *arguments: str) -> str:
        """What `aiclient2api keys` prints; while the store is between two masters it is tried again."""
        config = self.programs[0].config
        printed: list[str] = []

        def works() -> bool:
            done = run(config.parent, "keys", *arguments, "--config", str(config))
            printed.append(done.stdout.strip())
            return done.returncode == 0

        until(works)
        return printed[-1]

    def know(self, key: str) -> set[bool]:
        return {is_known(program.url, key) for program in self.programs}

    def spend(self, key: str, times: int) -> Counter[int]:
        """Ask the nodes in turns; the statuses."""
        with ThreadPoolExecutor(4) as pool:
            urls = [program.url for program in self.programs]
            return Counter(pool.map(lambda number: ask(urls[number % 2], key), range(times)))

    def limit_holds(self, key: str) -> None:
        """Both nodes together let through what the key's limit says, and not much more."""
        know_each_other([program.url for program in self.programs])
        before, began = len(self.simulator.requests), time.monotonic()
        statuses = self.spend(key, 4 * LIMIT)
        assert set(statuses) == {200, 429}
        assert len(self.simulator.requests) - before == statuses[200] <= at_most(LIMIT, began)


@contextmanager
def pair(folder: Path, store: str) -> Iterator[Pair]:
    with ExitStack() as stack:
        simulator, url = stack.enter_context(simulating())
        programs: list[Program] = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            given = dict(sections(url, store))
            programs.append(stack.enter_context(serving_program(folder / name, given)))
        yield Pair(programs, simulator)


@pytest.mark.timeout(300)
def test_keys_and_limits_on_a_cluster(tmp_path: Path) -> None:
    with closing(Cluster()) as servers, pair(tmp_path, servers.url) as nodes:
        key = nodes.keys("create", "ci", "--rpm", str(LIMIT))
        until(lambda: nodes.know(key) == {True})
        nodes.limit_holds(key)

        second = nodes.keys("rotate", "ci", "--overlap", "0s")
        until(lambda: nodes.know(second) == {True} and nodes.know(key) == {False})
        nodes.keys("disable", "ci")
        until(lambda: nodes.know(second) == {False})
        assert "disabled" in nodes.keys("list")


@pytest.mark.timeout(300)
def test_keys_and_limits_outlive_a_failover_by_sentinels(tmp_path: Path) -> None:
    with replicated() as servers, pair(tmp_path, servers.url) as nodes:
        key = nodes.keys("create", "ci", "--rpm", str(LIMIT))
        off = nodes.keys("create", "off")
        nodes.keys("disable", "off")
        until(lambda: nodes.know(key) == {True} and nodes.know(off) == {False})
        with servers.master.admin() as client:
            assert client.wait(1, 5000) == 1

        servers.master.kill()
        seen: set[bool] = set()
        until(lambda: seen.update(nodes.know(key)) or is_master(servers.replica))
        assert seen == {True}, "a known key works whatever the store does"
        nodes.limit_holds(key)

        late = nodes.keys("create", "late")
        until(lambda: nodes.know(late) == {True})
        nodes.keys("disable", "ci")
        until(lambda: nodes.know(key) == {False})
        assert nodes.know(off) == {False}
        assert {ask(program.url, KEY) for program in nodes.programs} == {200}
