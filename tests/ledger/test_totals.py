from __future__ import annotations

from aiclient2api.ledger.totals import SEPARATOR, Totals, report
from tests.ledger.test_ledger import row


def field(*parts: str) -> str:
    return SEPARATOR.join(parts)


def test_rows_of_one_group_are_added_and_zeros_left_out() -> None:
    totals = Totals()
    totals.add(row("r1", tokens=7))
    totals.add(row("r2", tokens=9))

    assert sorted(totals.increments()) == [
        (2, field("me", "claude", "main", "a", "attempts"), 2),
        (2, field("me", "claude", "main", "a", "input"), 16),
        (2, field("me", "claude", "main", "a", "output"), 10),
    ]


def test_a_report_groups_by_what_is_asked_largest_first() -> None:
    hours = [
        {field("me", "small", "p", "a", "input"): 5, field("you", "large", "p", "a", "input"): 50},
        {field("me", "large", "p", "b", "input"): 7, field("me", "large", "p", "b", "attempts"): 1},
    ]

    lines = report(hours, ["model"])

    assert [(line.labels["model"], line.counts["input"], line.counts["attempts"]) for line in lines] == [
        ("large", 57, 1),
        ("small", 5, 0),
    ]


def test_fields_of_a_later_version_are_passed_over() -> None:
    assert report([{field("me", "m", "p", "a", "images"): 3, "odd": 1}], ["key"]) == []
