"""Pools under load, on sockets: an account that dies, a total outage, fairness, and waits that are heeded."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.faults.catalogue import HEALTHY
from tests.faults.dying import Dying
from tests.faults.fleet import complaint, gateway, many
from tests.faults.rig import account
from tests.faults.script import Play, Refuse
from tests.faults.server import FaultServer
from tests.faults.voices import MESSAGES
from tests.faults.ways import WAYS

EIGHT = tuple(f"a{number}" for number in range(8))


def eight_accounts(url: str) -> dict[str, Any]:
    return {
        "accounts": {name: account(url, MESSAGES, name, f"upstream-{name}", pool="pool") for name in EIGHT}
    }


def refusing(kind: str, *headers: str) -> Play:
    script = (Refuse(kind, headers),)
    return Play(stream=(script,), unary=(script,))


def jain(counts: list[int]) -> float:
    """1 when all are equal, 1/n when one has everything."""
    return sum(counts) ** 2 / (len(counts) * sum(count * count for count in counts))


@pytest.mark.timeout(300)
async def test_ten_thousand_requests_notice_nothing_while_one_of_eight_accounts_dies_in_each_of_twenty_ways() -> (
    None
):
    seen = await Dying().run(requests=500, at_once=16)

    assert len(seen) == len(WAYS) == 20
    assert {name: found[:2] for name, found in seen.items() if found} == {}


async def test_round_robin_over_eight_accounts_is_fair_also_after_one_is_out() -> None:
    plays = dict.fromkeys(EIGHT, HEALTHY)
    server = FaultServer(lambda label: plays[label])
    async with server.running() as url, gateway(eight_accounts(url)) as program:
        done = await many(program.url, "pool/m", 800, at_once=50)
        assert [text for question, seen in done if (text := complaint(question, seen))] == []
        assert jain([server.hits[name] for name in EIGHT]) >= 0.99

        plays["a3"] = refusing("bad key")
        await many(program.url, "pool/m", 40, at_once=1)
        server.hits.clear()
        done = await many(program.url, "pool/m", 700, at_once=50)

        assert [text for question, seen in done if (text := complaint(question, seen))] == []
        assert server.hits["a3"] == 0
        assert jain([server.hits[name] for name in EIGHT if name != "a3"]) >= 0.98


@pytest.mark.parametrize("kind", ["broken 500", "overloaded", "rate", "bad key"])
async def test_a_total_outage_costs_at_most_one_and_a_fifth_calls_per_request(kind: str) -> None:
    server = FaultServer(lambda _: refusing(kind))
    async with server.running() as url, gateway(eight_accounts(url)) as program:
        done = await many(program.url, "pool/m", 600, at_once=16)

    assert {seen.status for _, seen in done} <= {429, 502, 503, 529}
    assert sum(server.hits.values()) <= 1.2 * len(done)


@pytest.mark.parametrize("seconds", [2])
async def test_a_retry_after_is_heeded_and_the_account_is_used_again_soon_after(seconds: int) -> None:
    plays = {"a0": refusing("rate", f"retry-after: {seconds}"), "a1": HEALTHY}
    server = FaultServer(lambda label: plays[label])
    async with server.running() as url:
        both = {name: account(url, MESSAGES, name, f"u-{name}", pool="pool") for name in plays}
        async with gateway({"accounts": both}) as program:
            await many(program.url, "pool/m", 2, at_once=1)
            assert server.hits["a0"] == 1
            refused = time.monotonic()
            plays["a0"] = HEALTHY
            while server.hits["a0"] == 1:
                await many(program.url, "pool/m", 1, at_once=1)
                assert time.monotonic() < refused + 20
            back = time.monotonic() - refused

    assert seconds - 0.1 <= back <= seconds * 1.1 + 1.5


async def test_all_out_is_told_at_once_and_ends_when_the_accounts_are_back() -> None:
    out = True
    server = FaultServer(lambda _: refusing("broken 500") if out else HEALTHY)
    async with server.running() as url, gateway(eight_accounts(url)) as program:
        down = await many(program.url, "pool/m", 60, at_once=4)
        assert all(seen.status in (502, 503) for _, seen in down)
        out = False
        healed = time.monotonic()
        while True:
            ((question, seen),) = await many(program.url, "pool/m", 1, at_once=1)
            if complaint(question, seen) is None:
                break
            assert 500 <= seen.status < 600
            await asyncio.sleep(0.05)
            assert time.monotonic() < healed + 20

    assert time.monotonic() - healed <= 10
