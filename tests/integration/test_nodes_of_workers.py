"""Two nodes with two workers each on one Redis, and workers that are killed under load: everything is counted once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.store.servers import running, until
from tests.workers.nodes import ask_many, two_nodes
from tests.workers.trials import count_on_two_nodes, kill_workers, restart_two_nodes

REQUESTS = 1_000
"""`python -m tests.workers.deep` sends 10,000."""
KILLS = 10


@pytest.mark.timeout(600)
def test_everybody_counts_what_the_upstream_counted(tmp_path: Path) -> None:
    counts = count_on_two_nodes(tmp_path, REQUESTS, workers=2)

    assert counts.statuses == {200: REQUESTS}
    assert sum(counts.upstream.values()) == REQUESTS
    assert counts.store == counts.metrics == counts.upstream
    assert counts.ledger == REQUESTS


def test_a_disabled_account_is_used_by_no_worker_of_any_node(tmp_path: Path) -> None:
    with two_nodes(tmp_path, workers=2) as both:
        assert asyncio.run(ask_many(both.urls, 40)) == {200: 40}
        assert both.upstream["b"]

        assert both.cli("accounts", "disable", "b") == "b: disabled\n"
        # each worker judges for itself, and the worst judgement is shown: so all of them have to know
        before = -1
        while before != both.upstream["b"]:
            before = both.upstream["b"]
            assert asyncio.run(ask_many(both.urls, 80)) == {200: 80}
        until(lambda: all("disabled" in both.state("b", url) for url in both.urls))
        assert asyncio.run(ask_many(both.urls, 400)) == {200: 400}
        assert both.upstream["b"] == before

        assert both.cli("accounts", "enable", "b") == "b: enabled\n"
        until(lambda: asyncio.run(ask_many(both.urls, 40)) and both.upstream["b"] > before)


def test_an_account_that_one_worker_finds_out_is_out_for_all_workers(tmp_path: Path) -> None:
    with two_nodes(tmp_path, workers=2) as both:
        both.refuse("c")
        assert asyncio.run(ask_many(both.urls[:1], 8, at_once=1)) == {200: 8}
        until(lambda: all("disabled" in both.state("c", url) for url in both.urls))
        hits = -1
        while hits != both.upstream["c"]:  # each of four workers may have asked before it was told
            hits = both.upstream["c"]
            assert asyncio.run(ask_many(both.urls, 80, at_once=1)) == {200: 80}

        assert hits <= 4
        assert asyncio.run(ask_many(both.urls, 200)) == {200: 200}
        assert both.upstream["c"] == hits


@pytest.mark.timeout(600)
def test_killed_workers_lose_no_row_and_double_none(tmp_path: Path) -> None:
    found = kill_workers(tmp_path, KILLS)

    assert (found.lost, found.double) == (0, 0)
    assert found.booked == found.rows >= found.upstream >= found.answered
    assert found.broken <= KILLS * 8, "eight clients, and only what was on the killed worker breaks"


@pytest.mark.timeout(600)
def test_a_rolling_restart_of_two_nodes_fails_nobody(tmp_path: Path) -> None:
    with running() as server:
        seen = restart_two_nodes(tmp_path, server.url, workers=1)

    assert seen.failures == []
    assert seen.answered == seen.asked
