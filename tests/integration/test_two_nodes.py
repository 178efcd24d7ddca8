"""Two gateways on one Redis: counts are exact, an admin's word is obeyed everywhere, turns are shared."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from aiclient2api.store import keys
from tests.program import DEADLINE
from tests.store.servers import until
from tests.workers.nodes import ask_many, two_nodes


@pytest.mark.timeout(300)
def test_counts_are_exactly_what_the_upstream_counted(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        statuses = asyncio.run(ask_many(nodes.urls, 10_000))

        assert statuses == {200: 10_000}
        assert nodes.upstream.total() == 10_000
        until(lambda: nodes.counts().total() >= 10_000)
        assert nodes.counts() == nodes.upstream
        # turns are taken from the same blocks, so no account is asked much more often than another
        assert max(nodes.upstream.values()) - min(nodes.upstream.values()) <= 10


def test_an_account_that_is_disabled_is_used_by_nobody(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        assert asyncio.run(ask_many(nodes.urls, 40)) == {200: 40}
        assert nodes.upstream["b"]

        assert nodes.cli("accounts", "disable", "b") == "b: disabled\n"
        until(lambda: all("disabled" in nodes.state("b", url) for url in nodes.urls))
        before = nodes.upstream["b"]
        assert asyncio.run(ask_many(nodes.urls, 400)) == {200: 400}
        assert nodes.upstream["b"] == before
        listed = json.loads(nodes.cli("accounts", "list", "--shared", "--json"))
        assert [(row["name"], row["admin"]) for row in listed][:2] == [("a", "enabled"), ("b", "disabled")]

        assert nodes.cli("accounts", "enable", "b") == "b: enabled\n"
        until(lambda: asyncio.run(ask_many(nodes.urls, 20)) and nodes.upstream["b"] > before)


def test_an_account_that_one_node_finds_out_is_out_for_both(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        nodes.refuse("c")
        assert asyncio.run(ask_many(nodes.urls[:1], 8, at_once=1)) == {200: 8}

        until(lambda: "disabled" in nodes.state("c", nodes.urls[1]))

        hits = nodes.upstream["c"]
        assert asyncio.run(ask_many(nodes.urls, 100)) == {200: 100}
        assert nodes.upstream["c"] == hits == 1


def test_no_request_waits_for_the_store_and_no_forbidden_command_is_used(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        nodes.server.pause()
        try:
            began = time.monotonic()
            statuses = asyncio.run(ask_many(nodes.urls, 200))
            assert time.monotonic() - began < DEADLINE
        finally:
            nodes.server.resume()
        assert statuses == {200: 200}
        until(lambda: nodes.counts() == nodes.upstream)

        with nodes.server.admin() as client:
            used = {name.removeprefix("cmdstat_") for name in client.info("commandstats")}
        assert not {"keys", "eval", "evalsha", "fcall", "flushall", "script|load"} & used
        assert {"multi", "exec", "watch", "hincrby", "incrby"} <= used


def test_a_node_that_stops_is_not_counted_any_more(tmp_path: Path) -> None:
    with two_nodes(tmp_path) as nodes:
        assert nodes.programs[1].stop() == 0

        with nodes.server.admin() as client:
            until(lambda: client.zcard(keys.nodes()) == 1)
        assert asyncio.run(ask_many(nodes.urls[:1], 10)) == {200: 10}
