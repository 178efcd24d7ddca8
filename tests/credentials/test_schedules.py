"""Random schedules of three nodes: one refresh per generation, no family revoked, whatever fails when."""

from __future__ import annotations

import pytest

from aiclient2api.credentials import known, renewal, rules
from aiclient2api.credentials.grant import Grant
from aiclient2api.credentials.record import Record
from aiclient2api.credentials.renewal import Renewal
from aiclient2api.credentials.rules import Wanted
from tests.credentials.node import CALM, TROUBLE
from tests.credentials.virtual import VirtualLoop
from tests.credentials.world import World, play

SCHEDULES = 1_000
SHARDS = 4


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


def test_an_account_that_is_refused_for_as_long_as_the_trouble_lasts_rests_and_is_not_lost(
    loop: VirtualLoop,
) -> None:
    resting = 0
    for seed in range(20):
        world = World(loop, seed, harsh=True)
        odds = world.odds
        odds.refusal, odds.crash, odds.outages, odds.flush, odds.full_disk = 1.0, False, 0, False, False
        odds.pause = odds.lost_request = odds.lost_answer = odds.slow = 0.0
        loop.run_until_complete(world.run())
        assert (world.faults(), world.without_token, world.unknown) == ([], [], 0), seed
        resting += world.now > TROUBLE + CALM
    assert resting > 0, "the rest after the last refusal is longer than the calm"


def is_found(loop: VirtualLoop, fault: str) -> bool:
    return any(fault in play(loop, seed, harsh=True).faults() for seed in range(300))


def test_the_schedules_find_a_node_that_ignores_an_unknown_outcome(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(grant: Grant, record: Record, wanted: Wanted) -> str:
        reason = rules.why_not(grant, record, wanted)
        return "" if reason == "outcome_unknown" else reason

    monkeypatch.setattr(known, "why_not", careless)
    assert is_found(loop, "a family was revoked")


def test_the_schedules_find_a_node_that_asks_at_once_after_a_flush(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "QUARANTINE", 0.0)
    assert is_found(loop, "a family was revoked")


def test_the_schedules_find_a_store_without_compare_and_swap(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "swaps_blindly", True)
    assert is_found(loop, "a family was revoked")


def test_the_schedules_find_a_node_that_leaves_what_it_never_sent_in_doubt(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Renewal, "_never_sent", lambda self, fence: None)
    assert is_found(loop, "an account was lost without a reason")


def test_the_schedules_find_a_node_that_takes_any_refusal_for_the_end(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "REAUTH", "status_503")
    assert is_found(loop, "an account was lost without a reason")


def test_the_schedules_find_a_rest_that_does_not_end(
    loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewal, "pause", lambda *_: float("inf"))
    assert is_found(loop, "an account was lost without a reason")
