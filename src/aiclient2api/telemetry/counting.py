"""Counters and histograms over a tally, and how its integers become samples."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from aiclient2api.telemetry.tally import LONGEST_LABEL, MAX_SERIES, Series, Tally, other

SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_MICROSECONDS: Final = 1_000_000
"""A sum of seconds is kept as an integer."""

Labels = tuple[str, ...]


class Kind(Struct, frozen=True):
    """A counter or a histogram, as operators see it."""

    name: str
    text: str
    labels: Labels
    is_histogram: bool = False

    @property
    def size(self) -> int:
        """Cells of one series: a histogram's are its buckets, and its sum behind them."""
        return len(SECONDS) + 2 if self.is_histogram else 1


class Counter:
    """Counts by labels."""

    def __init__(self, kind: Kind, tally: Tally) -> None:
        self._kind = kind
        self._tally = tally
        self._cells = tally.cells
        self._places: dict[Labels, int] = {}

    def add(self, labels: Labels, amount: int = 1) -> None:
        """Count."""
        self._cells[self.find(labels)] += amount

    def find(self, labels: Labels) -> int:
        """Where these labels are counted."""
        place = self._places.get(labels)
        return self._place(labels) if place is None else place

    @property
    def values(self) -> dict[Labels, int]:
        """What this process counted so far."""
        return {labels: self._cells[place] for labels, place in self._places.items()}

    def _place(self, labels: Labels) -> int:
        """Where these labels are counted, found for the first time."""
        places = self._places
        is_full = len(places) >= MAX_SERIES
        labels = other(labels) if is_full else tuple([label[:LONGEST_LABEL] for label in labels])
        if labels not in places:
            places[labels] = self._tally.place((self._kind.name, labels), self._kind.size)
        return places[labels]


class Histogram(Counter):
    """Seconds by one label."""

    def observe(self, label: str, seconds: float) -> None:
        """Count one duration."""
        place = self.find((label,))
        self._cells[place + bisect_left(SECONDS, seconds)] += 1
        self._cells[place + len(SECONDS) + 1] += round(seconds * _MICROSECONDS)


def families(kinds: Iterable[Kind], items: Iterable[tuple[Series, list[int]]]) -> Iterator[Metric]:
    """The samples of what was counted."""
    found: dict[str, list[tuple[Labels, list[int]]]] = {}
    for (name, labels), cells in items:
        found.setdefault(name, []).append((labels, cells))
    for kind in kinds:
        series = found.get(kind.name, [])
        yield _histogram(kind, series) if kind.is_histogram else _counter(kind, series)


def _counter(kind: Kind, series: list[tuple[Labels, list[int]]]) -> Metric:
    family = CounterMetricFamily(kind.name, kind.text, labels=kind.labels)
    for labels, cells in series:
        family.add_metric(labels, cells[0])
    return family


def _histogram(kind: Kind, series: list[tuple[Labels, list[int]]]) -> Metric:
    family = HistogramMetricFamily(kind.name, kind.text, labels=kind.labels)
    bounds = [*(str(bound) for bound in SECONDS), "+Inf"]
    for labels, cells in series:
        total = 0
        cumulative: list[tuple[str, float]] = []
        for bound, count in zip(bounds, cells[:-1], strict=True):
            total += count
            cumulative.append((bound, total))
        family.add_metric(labels, cumulative, cells[-1] / _MICROSECONDS)
    return family
