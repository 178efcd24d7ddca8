"""What an operator sees of the ledger: built only when somebody scrapes."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from aiclient2api.ledger.ledger import Ledger


def gauges(ledger: Ledger) -> Iterator[Metric]:
    """Samples for `/metrics`."""
    yield CounterMetricFamily(
        "aiclient2api_ledger_records", "Records that the ledger has written.", value=ledger.written
    )
    yield GaugeMetricFamily(
        "aiclient2api_ledger_unbooked",
        "Batches of usage that the store has not taken yet.",
        value=ledger.unbooked,
    )
    yield GaugeMetricFamily(
        "aiclient2api_ledger_degraded",
        "1 while the disk takes nothing: a kill would lose records.",
        value=int(ledger.is_degraded),
    )
