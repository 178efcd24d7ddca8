"""What an operator sees of the limits of client keys: built only when somebody scrapes."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from aiclient2api.keys.limiter import KeyLimiter
from aiclient2api.keys.meter import MINUTE


def gauges(limiter: KeyLimiter) -> Iterator[Metric]:
    """Samples for `/metrics`; only keys with limits have any."""
    refused = CounterMetricFamily(
        "aiclient2api_key_refused", "Requests over a limit of their client key.", labels=("key", "limit")
    )
    inflight = GaugeMetricFamily(
        "aiclient2api_key_inflight", "Requests under way of client keys with limits.", labels=("key",)
    )
    used = GaugeMetricFamily(
        "aiclient2api_key_used",
        "Requests and tokens of the last minute, on all nodes as far as this one knows.",
        labels=("key", "limit"),
    )
    window, seconds = divmod(limiter.clock(), MINUTE)
    for name, use in list(limiter.uses.items()):
        use.roll(int(window))
        inflight.add_metric((name,), use.slots.mine)
        for limit, count in use.refused.items():
            refused.add_metric((name, limit), count)
        for limit, meter in (("requests", use.requests), ("tokens", use.tokens)):
            used.add_metric((name, limit), meter.used(seconds / MINUTE))
    yield from (refused, inflight, used)
