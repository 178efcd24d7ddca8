from __future__ import annotations

from collections import Counter

import pytest

from aiclient2api.accounts.account import AccountSettings
from aiclient2api.accounts.selection import rendezvous, ring, walk
from tests.fakes.accounts import account


def names(*weights: int) -> list[str]:
    accounts = [
        account("abcdefgh"[index], AccountSettings(weight=weight)) for index, weight in enumerate(weights)
    ]
    return [one.name for one in ring(accounts, weights)]


@pytest.mark.parametrize(
    ("weights", "slots"),
    [
        ((), ""),
        ((1,), "a"),
        ((1, 1, 1), "abc"),
        ((2, 1), "baa"),
        ((3, 1), "baaa"),
        ((5, 1, 1), "abaaaca"),
        ((2, 2), "ab"),
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

    assert len(set(ring(accounts, [1] * 300))) == 300
    assert len(ring(accounts, [1] * 299 + [0.1])) <= 600


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


def test_when_a_name_goes_only_its_keys_move() -> None:
    keys = [str(number).encode() for number in range(300)]
    names = ["a", "b", "c", "d"]
    before = [names[next(rendezvous(names, key))] for key in keys]

    after = [names[:3][next(rendezvous(names[:3], key))] for key in keys]

    assert all(new == old for new, old in zip(after, before, strict=True) if old != "d")
    assert min(before.count(name) for name in names) > 45


def test_keys_spread_over_the_names_and_each_has_an_order_of_its_own() -> None:
    names = [f"account-{number}" for number in range(8)]
    orders = [tuple(rendezvous(names, b"%d" % key)) for key in range(4000)]

    firsts = Counter(order[0] for order in orders)
    seconds = Counter(order[1] for order in orders if order[0] == 0)
    assert all(sorted(order) == list(range(8)) for order in orders)
    assert min(firsts.values()) > 400 and max(firsts.values()) < 600
    assert min(seconds.values()) > 40, "the keys of one that goes do not all fall to the same other"
