from __future__ import annotations

from aiclient2api.workers.backoff import FLAPPING, LONGEST, WELL, Backoff


def test_pauses_double_up_to_a_bound() -> None:
    backoff = Backoff()

    pauses = [backoff.died(0.5) for _ in range(8)]

    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, LONGEST, LONGEST]


def test_it_is_flapping_from_the_fifth_death_in_a_row() -> None:
    backoff = Backoff()

    seen = [(backoff.died(1.0), backoff.is_flapping)[1] for _ in range(FLAPPING)]

    assert seen == [False] * (FLAPPING - 1) + [True]


def test_who_lived_well_begins_anew() -> None:
    backoff = Backoff()
    for _ in range(6):
        backoff.died(0.0)

    assert backoff.died(WELL) == 0.1
    assert not backoff.is_flapping
