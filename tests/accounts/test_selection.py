from __future__ import annotations

import pytest

from aiclient2api.accounts.account import AccountSettings
from aiclient2api.accounts.selection import ring, walk
from tests.fakes.accounts import account


def names(*weights: int) -> list[str]:
    accounts = [
        account("abcdefgh"[index], AccountSettings(weight=weight)) for index, weight in enumerate(weights)
    ]
    return [one.name for one in ring(accounts)]


@pytest.mark.parametrize(
    ("weights", "slots"),
    [
        ((), ""),
        ((1,), "a"),
        ((1, 1, 1), "abc"),
        ((2, 1), "aba"),
        ((3, 1), "aaba"),
        ((5, 1, 1), "aabacaa"),
        ((2, 2), "abab"),
    ],
)
def test_slots_follow_the_weights_smoothly(weights: tuple[int, ...], slots: str) -> None:
    assert "".join(names(*weights)) == slots


def test_large_weights_share_a_ring_of_bounded_size() -> None:
    slots = names(300, 100)

    assert len(slots) == 128
    assert slots.count("a") == 96


def test_every_account_has_a_slot_however_small_its_weight() -> None:
    slots = names(100_000, 1)

    assert slots.count("b") == 1
    assert len(slots) == 129


def test_many_accounts_have_a_slot_each() -> None:
    accounts = [account(str(index)) for index in range(300)]

    assert len(set(ring(accounts))) == 300


@pytest.mark.parametrize(
    ("ticket", "order"),
    [(0, "abcd"), (1, "bcda"), (3, "dabc"), (4, "acdb"), (8, "adbc"), (12, "abcd"), (13, "bcda")],
)
def test_a_walk_begins_at_its_ticket_and_goes_on_elsewhere_each_round(ticket: int, order: str) -> None:
    assert "".join(walk("abcd", ticket)) == order


@pytest.mark.parametrize("slots", ["", "a", "ab", "abc", "aabacaa"])
def test_a_walk_visits_everyone_once(slots: str) -> None:
    for ticket in range(50):
        assert sorted(walk(slots, ticket)) == sorted(set(slots))
