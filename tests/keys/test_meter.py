from __future__ import annotations

import random
from math import ceil

import pytest

from aiclient2api.keys.meter import Meter, Slots


def metered(limit: int, window: int = 100) -> Meter:
    meter = Meter(limit)
    meter.roll(window)
    return meter


def spend(meter: Meter, times: int, elapsed: float = 0.0, nodes: int = 1) -> int:
    """How many of so many requests of one fit."""
    taken = 0
    for _ in range(times):
        if meter.refuses(1, elapsed, nodes) is None:
            meter.mine += 1
            taken += 1
    return taken


def left(meter: Meter, elapsed: float) -> int:
    meter.look(elapsed)
    return meter.shown.remaining


def test_a_limit_is_what_fits_into_a_minute() -> None:
    assert spend(metered(10), 30) == 10


def test_the_minute_slides_so_that_two_windows_do_not_make_twice_the_limit() -> None:
    meter = metered(60)
    assert spend(meter, 100, elapsed=0.99) == 60

    meter.roll(101)

    assert spend(meter, 100, elapsed=0.0) == 0
    assert spend(meter, 100, elapsed=0.25) == 15
    assert spend(meter, 100, elapsed=0.5) == 15


def test_what_is_two_windows_old_does_not_count() -> None:
    meter = metered(60)
    spend(meter, 60)

    meter.roll(102)

    assert spend(meter, 100) == 60


def test_a_clock_that_steps_back_changes_nothing() -> None:
    meter = metered(60)
    spend(meter, 60)

    meter.roll(99)

    assert spend(meter, 1) == 0


def test_a_clock_that_was_an_hour_ahead_uses_nothing_up_when_it_is_right_again() -> None:
    meter = metered(3, window=160)
    assert spend(meter, 3) == 3

    meter.roll(100)

    assert spend(meter, 9) == 3
    meter.roll(102)
    assert spend(meter, 9) == 3


@pytest.mark.parametrize(("spent", "elapsed"), [(60, 0.0), (60, 0.5), (60, 0.99), (40, 0.3)])
@pytest.mark.parametrize("amount", [1, 20, 60])
def test_the_wait_that_is_told_is_the_shortest_that_helps(spent: int, elapsed: float, amount: int) -> None:
    meter = metered(60)
    meter.mine = spent
    wait = meter.refuses(amount, elapsed, 1)
    if wait is None:
        assert spent + amount <= 60
        return

    def at(seconds: float) -> float | None:
        later = metered(60)
        later.mine = spent
        windows, rest = divmod(elapsed * 60 + seconds, 60)
        later.roll(100 + int(windows))
        return later.refuses(amount, rest / 60, 1)

    assert at(wait + 0.01) is None
    assert at(wait - 0.5) is not None


def test_an_amount_over_the_limit_needs_all_of_it() -> None:
    meter = metered(1000)
    assert meter.refuses(5000, 0.0, 1) is None
    meter.mine += 1
    assert meter.refuses(5000, 0.0, 1) is not None


def test_what_an_answer_did_not_need_is_given_back() -> None:
    meter = metered(1000)
    meter.mine = 900
    meter.settle(100, -850)
    assert meter.used(0.0) == 50

    meter.roll(101)
    meter.settle(100, -30)
    assert (meter.mine, meter.before) == (0, 20)

    meter.settle(99, -30)
    assert (meter.mine, meter.before) == (0, 20)


def test_what_an_answer_needed_beyond_its_reservation_counts_when_it_is_over() -> None:
    meter = metered(1000)
    meter.mine = 100
    meter.roll(101)

    meter.settle(100, 500)

    assert (meter.mine, meter.before) == (500, 100)


def test_a_node_takes_its_share_until_it_hears_of_the_others() -> None:
    meter = metered(60)
    assert spend(meter, 100, nodes=3) == 20

    meter.heard, meter.others = meter.mine, 10

    assert spend(meter, 100, nodes=3) == 10
    meter.heard = meter.mine
    assert spend(meter, 100, nodes=3) == 7


def test_one_node_that_is_asked_alone_gets_nearly_all_of_the_limit() -> None:
    meter = metered(60)
    for _ in range(12):
        spend(meter, 100, nodes=2)
        meter.heard = meter.mine

    assert meter.mine == 60


def test_a_large_amount_fits_although_it_is_more_than_a_share() -> None:
    meter = metered(1000)
    assert meter.refuses(900, 0.0, 4) is None
    meter.mine += 900
    assert meter.refuses(50, 0.0, 4) is not None


def test_the_remaining_and_the_reset_are_those_of_the_sliding_minute() -> None:
    meter = metered(60)
    assert (left(meter, 0.5), meter.reset(0.5)) == (60, 0.0)
    spend(meter, 30)
    assert (left(meter, 0.5), meter.reset(0.5)) == (30, 90.0)
    meter.roll(101)
    assert (left(meter, 0.5), meter.reset(0.5)) == (45, 30.0)


class Nodes:
    """Meters of one key on several nodes that hear of each other when the store lets them."""

    def __init__(self, count: int, limit: int) -> None:
        self.meters = [metered(limit) for _ in range(count)]
        self.told = [0] * count

    def exchange(self, node: int) -> None:
        meter = self.meters[node]
        self.told[node] = meter.heard = meter.mine
        meter.others = sum(self.told) - self.told[node]

    @property
    def spent(self) -> int:
        return sum(meter.mine for meter in self.meters)


@pytest.mark.parametrize("seed", range(200))
def test_whatever_the_store_does_the_overspend_is_bounded_by_the_formula(seed: int) -> None:
    rng = random.Random(seed)
    count, limit = rng.randint(1, 6), rng.randint(1, 1000)
    largest = rng.randint(1, max(1, limit // 3))
    nodes = Nodes(count, limit)
    reach = rng.random()
    for _ in range(4 * limit):
        node = rng.randrange(count)
        amount = rng.randint(1, largest)
        if nodes.meters[node].refuses(amount, 0.0, count) is None:
            nodes.meters[node].mine += amount
        if rng.random() < reach:
            nodes.exchange(rng.randrange(count))

    assert nodes.spent <= limit + (count - 1) * max(ceil(limit / count), largest)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_without_a_store_all_nodes_together_keep_to_the_limit_but_for_rounding(count: int) -> None:
    nodes = Nodes(count, 100)
    for meter in nodes.meters:
        spend(meter, 200, nodes=count)

    assert nodes.spent <= 100 + count - 1


def test_places_are_limited_and_shared_like_the_rest() -> None:
    slots = Slots(4)
    taken = 0
    while not slots.refuses(nodes=2):
        slots.mine += 1
        taken += 1
    assert taken == 2

    slots.heard = 2
    assert not slots.refuses(nodes=2)
    slots.others = 2
    assert slots.refuses(nodes=2)
    slots.mine -= 1
    assert not slots.refuses(nodes=2)
