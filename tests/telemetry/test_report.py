from __future__ import annotations

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from aiclient2api.keys.gauges import gauges as key_gauges
from aiclient2api.keys.limiter import KeyLimiter
from aiclient2api.ledger.gauges import gauges as ledger_gauges
from aiclient2api.ledger.ledger import Ledger
from aiclient2api.telemetry.metrics import Metrics
from aiclient2api.telemetry.report import LARGEST, STATE, Merged, encode, page


def states(current: str) -> Metric:
    family = GaugeMetricFamily("aiclient2api_account_state", "S.", labels=("pool", "account", "state"))
    for state in ("healthy", "degraded", "ejected", "disabled"):
        family.add_metric(("p", "a", state), state == current)
    return family


def out(seconds: float) -> Metric:
    family = GaugeMetricFamily("aiclient2api_account_out_seconds", "O.", labels=("account",))
    family.add_metric(("a",), seconds)
    return family


def shown(*reports: list[Metric]) -> list[str]:
    merged = Merged()
    for report in reports:
        merged.add(encode(report))
    return [line for line in page(merged.metrics()).decode().splitlines() if not line.startswith("#")]


def test_what_is_under_way_is_added_up_and_of_judgements_the_worst_counts() -> None:
    busy = GaugeMetricFamily("aiclient2api_inflight_requests", "I.", value=3)

    lines = shown(
        [busy, states("healthy"), out(2.0)], [busy, states("ejected"), out(5.0)], [states("degraded")]
    )

    assert lines == [
        "aiclient2api_inflight_requests 6.0",
        'aiclient2api_account_state{account="a",pool="p",state="healthy"} 0.0',
        'aiclient2api_account_state{account="a",pool="p",state="degraded"} 0.0',
        'aiclient2api_account_state{account="a",pool="p",state="ejected"} 1.0',
        'aiclient2api_account_state{account="a",pool="p",state="disabled"} 0.0',
        'aiclient2api_account_out_seconds{account="a"} 5.0',
    ]


def test_of_those_that_are_gone_only_what_grows_counts() -> None:
    records = CounterMetricFamily("records", "R.", value=7)
    merged = Merged()
    merged.add(encode([records, GaugeMetricFamily("busy", "B.", value=3)]), is_gone=True)
    merged.add(encode([records]))

    assert [line for line in page(merged.metrics()).decode().splitlines() if line[0] != "#"] == [
        "records_total 14.0"
    ]


def test_what_another_version_reports_counts_as_nothing() -> None:
    merged = Merged()
    merged.add(b"\x92\x01\x02")

    assert list(merged.metrics()) == []


SUMMED = {
    "aiclient2api_inflight_requests",
    "aiclient2api_account_inflight",
    "aiclient2api_account_limit",
    "aiclient2api_ledger_unbooked",
    "aiclient2api_key_inflight",
}


def test_somebody_has_thought_of_what_a_gauge_of_several_workers_means() -> None:
    metrics = Metrics()
    limiter = KeyLimiter(lambda: 0.0, lambda: 0.0)
    metrics.sources = [lambda: ledger_gauges(Ledger(None, lambda: 0.0)), lambda: key_gauges(limiter)]

    gauges = {metric.name for metric in metrics.gauges() if metric.type == "gauge"}

    assert gauges == SUMMED | {*LARGEST, STATE}
