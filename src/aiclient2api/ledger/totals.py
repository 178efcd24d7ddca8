"""Adding up: rows to counts by hour, client key, model, pool and account. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import add
from typing import Final

from msgspec import Struct

from aiclient2api.ledger.records import Row

HOUR: Final = 3600
MAX_WAITING: Final = 256
"""Rows that were not added up yet."""
SEPARATOR: Final = "\x1f"
"""Stands between the parts of a field: no name of ours can contain it."""

COUNTS: Final = (
    "attempts",
    "failed",
    "estimated",
    "input",
    "cache_read",
    "cache_write",
    "output",
    "reasoning",
)
"""The order of the numbers below; `attempts` are upstream calls, `failed` those that gave no answer."""


_NOTHING: Final = (0,) * len(COUNTS)
Group = tuple[int, str, str, str, str]
"""What is added up separately: hour since the Unix epoch, client key, model, pool, account."""
LABELS: Final = ("key", "model", "pool", "account")
TIMES: Final = {"hour": "%Y-%m-%dT%HZ", "day": "%Y-%m-%d"}
"""What a report may be grouped by beside the labels, in UTC."""


class Totals:
    """Counts that were not handed on yet."""

    def __init__(self) -> None:
        self._groups: dict[Group, list[int]] = {}
        self._rows: list[Row] = []

    @property
    def groups(self) -> dict[Group, list[int]]:
        """The counts."""
        rows, self._rows = self._rows, []
        for row in rows:
            self._count(row)
        return self._groups

    def add(self, row: Row) -> None:
        """Count one row in the hour in which it ended. Rows are added up many at a time, which takes far less than each
        between two requests; when they are needed, or when so many wait.
        """
        self._rows.append(row)
        if len(self._rows) >= MAX_WAITING:
            _ = self.groups

    def _count(self, row: Row) -> None:
        group = (int(row.ended) // HOUR, row.key, row.model, row.pool, row.account)
        more = (
            1,
            row.outcome != "ok",
            row.mark == "estimated",
            row.input,
            row.cache_read,
            row.cache_write,
            row.output,
            row.reasoning,
        )
        counts = self._groups.get(group, _NOTHING)
        self._groups[group] = list(map(add, counts, more))

    def increments(self) -> list[tuple[int, str, int]]:
        """Hour, field and amount, without zeros."""
        return [
            (hour, SEPARATOR.join((*map(_plain, labels), name)), amount)
            for (hour, *labels), counts in self.groups.items()
            for name, amount in zip(COUNTS, counts, strict=True)
            if amount
        ]


def _plain(label: str) -> str:
    """A label as it may stand in a field; model names come from clients."""
    return label.replace(SEPARATOR, "?")[:200]


class Line(Struct, frozen=True, kw_only=True):
    """One line of a report: what it is grouped by, and its counts."""

    labels: dict[str, str]
    counts: dict[str, int]


def report(periods: Iterable[tuple[int, Mapping[str, int]]], by: Sequence[str]) -> list[Line]:
    """Stored counts (field → amount) of periods that begin at a second since the Unix epoch, grouped by labels and
    times: the earliest first, then the largest.
    """
    grouped: dict[tuple[str, ...], dict[str, int]] = {}
    for begin, fields in periods:
        moment = datetime.fromtimestamp(begin, UTC)
        times = {name: moment.strftime(form) for name, form in TIMES.items()}
        for field, amount in fields.items():
            *parts, name = field.split(SEPARATOR)
            if len(parts) != len(LABELS) or name not in COUNTS:
                continue  # written by a later version
            labels = {**times, **dict(zip(LABELS, parts, strict=True))}
            counts = grouped.setdefault(tuple(labels[label] for label in by), dict.fromkeys(COUNTS, 0))
            counts[name] += amount
    lines = [
        Line(labels=dict(zip(by, values, strict=True)), counts=counts) for values, counts in grouped.items()
    ]
    return sorted(lines, key=_order)


def _order(line: Line) -> tuple[object, ...]:
    times = [line.labels[name] for name in TIMES if name in line.labels]
    return (*times, -line.counts["input"] - line.counts["output"], *line.labels.values())
