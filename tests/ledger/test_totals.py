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


TWO_HOURS = [
    (82_800, {field("me", "small", "p", "a", "input"): 5, field("you", "large", "p", "a", "input"): 50}),
    (86_400, {field("me", "large", "p", "b", "input"): 7, field("me", "large", "p", "b", "attempts"): 1}),
]


def test_a_report_groups_by_what_is_asked_largest_first() -> None:
    lines = report(TWO_HOURS, ["model"])

    assert [(line.labels["model"], line.counts["input"], line.counts["attempts"]) for line in lines] == [
        ("large", 57, 1),
        ("small", 5, 0),
    ]


def test_a_report_by_time_begins_with_the_earliest() -> None:
    days = [tuple(line.labels.values()) for line in report(TWO_HOURS, ["key", "day"])]
    hours = [(line.labels["hour"], line.counts["input"]) for line in report(TWO_HOURS, ["hour"])]

    assert days == [("you", "1970-01-01"), ("me", "1970-01-01"), ("me", "1970-01-02")]
    assert hours == [("1970-01-01T23Z", 55), ("1970-01-02T00Z", 7)]


def test_fields_of_a_later_version_are_passed_over() -> None:
    assert report([(0, {field("me", "m", "p", "a", "images"): 3, "odd": 1})], ["key"]) == []
