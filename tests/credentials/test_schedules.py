"""Random schedules of three nodes: one refresh per generation, no family revoked, whatever fails when."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aiclient2api.credentials import known, rules
from aiclient2api.credentials.grant import Grant
from aiclient2api.credentials.record import Record
from aiclient2api.credentials.rules import Wanted
from tests.credentials.virtual import VirtualLoop
from tests.credentials.world import World, play

SCHEDULES = 1_000
SHARDS = 4


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_schedule_sends_a_refresh_token_twice_to_a_strict_provider(loop: VirtualLoop, shard: int) -> None:
    generations = 0
    for seed in range(shard, SCHEDULES, SHARDS):
        world = play(loop, seed, harsh=True)
        assert world.faults() == [], seed
        generations += world.generations
    assert generations > 1.5 * SCHEDULES / SHARDS  # the schedules do get somewhere


def test_a_provider_with_a_period_of_grace_loses_no_account_whose_answer_comes_through(
    loop: VirtualLoop,
) -> None:
    resent = 0
    for seed in range(SCHEDULES // 4):
        world = play(loop, seed, harsh=False)
        assert world.faults() == [], seed
        resent += world.twice
    assert resent > 10


def found(loop: VirtualLoop) -> set[str]:
    return {fault for seed in range(300) for fault in play(loop, seed, harsh=True).faults()}


def test_the_schedules_find_a_node_that_ignores_an_unknown_outcome(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(grant: Grant, record: Record, wanted: Wanted) -> str:
        reason = rules.why_not(grant, record, wanted)
        return "" if reason == "outcome_unknown" else reason

    monkeypatch.setattr(known, "why_not", careless)
    assert "a family was revoked" in found(loop)


def test_the_schedules_find_a_node_that_asks_at_once_after_a_flush(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "QUARANTINE", 0.0)
    assert "a family was revoked" in found(loop)


def test_the_schedules_find_a_store_without_compare_and_swap(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "swaps_blindly", True)
    assert "a family was revoked" in found(loop)
