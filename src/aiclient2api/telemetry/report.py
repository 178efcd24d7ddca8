"""What one worker says of itself at a scrape, and how the words of all of them become one page.

Counters and histograms are not among it: those are read from the workers' tallies. Numbers of things under way are
added up; of what all of them judge for themselves, the worst judgement counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from aiclient2api.accounts.health import Status
from aiclient2api.telemetry.tally import LONGEST_LABEL

LARGEST: Final = (
    "aiclient2api_account_out_seconds",
    "aiclient2api_circuit_out_seconds",
    "aiclient2api_ledger_degraded",
    "aiclient2api_key_used",
)
"""Gauges of which the largest counts."""
STATE: Final = "aiclient2api_account_state"
_SEVERITY: Final = {status.value: place for place, status in enumerate(Status)}

_Labels = tuple[tuple[str, str], ...]


class Sample(Struct, frozen=True, array_like=True):
    """One number."""

    name: str
    labels: _Labels
    value: float


class Family(Struct, frozen=True, array_like=True):
    """One metric of one worker."""

    name: str
    text: str
    kind: str
    samples: list[Sample]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Family]).decode


def encode(metrics: Iterable[Metric]) -> bytes:
    """A worker's report."""
    return _encode(
        [
            Family(
                metric.name,
                metric.documentation,
                metric.type,
                [
                    Sample(
                        sample.name,
                        tuple((name, value[:LONGEST_LABEL]) for name, value in sorted(sample.labels.items())),
                        float(sample.value),
                    )
                    for sample in metric.samples
                ],
            )
            for metric in metrics
        ]
    )


class Merged:
    """The reports of all workers. Those that are gone count for what only grows."""

    def __init__(self) -> None:
        self._families: dict[str, tuple[str, str]] = {}
        self._samples: dict[str, dict[tuple[str, _Labels], float]] = {}

    def add(self, report: bytes, *, is_gone: bool = False) -> None:
        """Take one report in. What another version of this program reports counts as nothing."""
        try:
            families = _decode(report)
        except msgspec.MsgspecError:
            return
        for family in families:
            if is_gone and family.kind != "counter":
                continue
            self._families.setdefault(family.name, (family.text, family.kind))
            samples = self._samples.setdefault(family.name, {})
            for sample in family.samples:
                key = sample.name, sample.labels
                before = samples.get(key)
                if before is None:
                    samples[key] = sample.value
                elif family.name in LARGEST or family.name == STATE:
                    samples[key] = max(before, sample.value)
                else:
                    samples[key] = before + sample.value

    def metrics(self) -> Iterator[Metric]:
        """The families, as those of one process."""
        for name, (text, kind) in self._families.items():
            samples = self._samples[name]
            metric = Metric(name, text, kind)
            for (sample, labels), value in (_worst(samples) if name == STATE else samples).items():
                metric.add_sample(sample, dict(labels), value)
            yield metric


def _worst(samples: dict[tuple[str, _Labels], float]) -> dict[tuple[str, _Labels], float]:
    """Of the states that workers see an account in, the worst alone."""
    worst: dict[_Labels, str] = {}
    for (_, labels), value in samples.items():
        account, state = _account_and_state(labels)
        if value and _SEVERITY[state] >= _SEVERITY.get(worst.get(account, ""), -1):
            worst[account] = state
    return {
        key: float(worst.get(account) == state)
        for key in samples
        for account, state in (_account_and_state(key[1]),)
    }


def _account_and_state(labels: _Labels) -> tuple[_Labels, str]:
    return tuple(label for label in labels if label[0] != "state"), dict(labels)["state"]


class _Page(Collector):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def page(metrics: Iterable[Metric]) -> bytes:
    """The exposition format."""
    registry = CollectorRegistry()
    registry.register(_Page(list(metrics)))
    return generate_latest(registry)
