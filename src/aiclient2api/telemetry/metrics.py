"""Prometheus metrics. Plain integers while requests run; samples are built only when somebody scrapes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from aiclient2api.accounts import report
from aiclient2api.accounts.health import Status
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.gateway.exchange import Attempt, Exchange

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
MAX_SERIES = 2000
"""Labels come from requests: past this many, new ones are counted as `other`."""

Labels = tuple[str, ...]


class Counter:
    """A counter by labels."""

    def __init__(self, name: str, text: str, labels: Labels) -> None:
        self.name, self.text, self.labels = name, text, labels
        self.values: dict[Labels, int] = {}

    def add(self, labels: Labels, amount: int = 1) -> None:
        """Count."""
        values = self.values
        if labels not in values and len(values) >= MAX_SERIES:
            labels = ("other",) * len(labels)
        values[labels] = values.get(labels, 0) + amount

    def metric(self) -> Metric:
        """The samples."""
        family = CounterMetricFamily(self.name, self.text, labels=self.labels)
        for labels, value in self.values.items():
            family.add_metric(labels, value)
        return family


class Histogram:
    """Seconds by one label."""

    def __init__(self, name: str, text: str, label: str) -> None:
        self.name, self.text, self.label = name, text, label
        self.buckets: dict[str, list[int]] = {}
        self.sums: dict[str, float] = {}

    def observe(self, label: str, seconds: float) -> None:
        """Count one duration."""
        counts = self.buckets.setdefault(label, [0] * (len(SECONDS) + 1))
        counts[bisect_left(SECONDS, seconds)] += 1
        self.sums[label] = self.sums.get(label, 0.0) + seconds

    def metric(self) -> Metric:
        """The samples."""
        family = HistogramMetricFamily(self.name, self.text, labels=(self.label,))
        bounds = [*(str(bound) for bound in SECONDS), "+Inf"]
        for label, counts in self.buckets.items():
            total = 0
            cumulative: list[tuple[str, float]] = []
            for bound, count in zip(bounds, counts, strict=True):
                total += count
                cumulative.append((bound, total))
            family.add_metric((label,), cumulative, self.sums[label])
        return family


class Metrics(Collector):
    """The observer behind `/metrics`."""

    def __init__(self) -> None:
        self.inflight = 0
        self.pools: Mapping[str, AccountPool] = {}
        self.sources: list[Callable[[], Iterable[Metric]]] = []
        """More samples, from parts that this package does not know."""
        self.requests = Counter(
            "aiclient2api_requests", "Client requests.", ("protocol", "operation", "status", "outcome")
        )
        self.attempts = Counter(
            "aiclient2api_attempts", "Tries on upstream accounts.", ("pool", "account", "outcome")
        )
        self.tokens = Counter(
            "aiclient2api_tokens", "Tokens the upstreams reported.", ("pool", "model", "kind")
        )
        self.losses = Counter(
            "aiclient2api_conversion_loss",
            "What conversions could not carry over.",
            ("from", "to", "feature", "act"),
        )
        self.first_token = Histogram(
            "aiclient2api_first_token_seconds", "From the request to its first content.", "protocol"
        )
        self.duration = Histogram(
            "aiclient2api_stream_duration_seconds", "From the request to the end of its stream.", "protocol"
        )
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def started(self, exchange: Exchange) -> None:
        """See Observer."""
        self.inflight += 1

    def attempting(self, exchange: Exchange, attempt: Attempt) -> None:
        """See Observer."""

    def ended(self, exchange: Exchange) -> None:
        """See Observer."""
        self.inflight -= 1
        self.requests.add((exchange.protocol, exchange.operation, str(exchange.status), exchange.outcome))
        for attempt in exchange.attempts:
            self.attempts.add((attempt.pool, attempt.account, attempt.outcome))
        if exchange.first_content is not None:
            self.first_token.observe(exchange.protocol, exchange.first_content - exchange.started)
        if exchange.is_stream:
            self.duration.observe(exchange.protocol, exchange.ended - exchange.started)
        self._count_tokens(exchange)
        for loss in exchange.losses:
            self.losses.add((exchange.protocol, exchange.upstream_protocol, loss.feature, loss.act))

    def _count_tokens(self, exchange: Exchange) -> None:
        usage = exchange.usage
        if usage is None:
            return
        for kind, amount in (
            ("input", usage.input),
            ("cache_read", usage.cache_read),
            ("cache_write", usage.cache_write),
            ("output", usage.output),
            ("reasoning", usage.reasoning),
        ):
            if amount:
                self.tokens.add((exchange.pool, exchange.target_model, kind), amount)

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        for counter in (self.requests, self.attempts, self.tokens, self.losses):
            yield counter.metric()
        yield self.first_token.metric()
        yield self.duration.metric()
        yield GaugeMetricFamily("aiclient2api_inflight_requests", "Requests under way.", value=self.inflight)
        yield from self._accounts()
        for source in self.sources:
            yield from source()

    def _accounts(self) -> Iterable[Metric]:
        state = GaugeMetricFamily(
            "aiclient2api_account_state",
            "1 for the state the account is in.",
            labels=("pool", "account", "state"),
        )
        inflight = GaugeMetricFamily(
            "aiclient2api_account_inflight", "Attempts under way on the account.", labels=("pool", "account")
        )
        limit = GaugeMetricFamily(
            "aiclient2api_account_limit", "How many it bears at a time.", labels=("pool", "account")
        )
        out = GaugeMetricFamily(
            "aiclient2api_account_out_seconds",
            "Until the account, or one model on it, is probed.",
            labels=("pool", "account", "model", "state", "reason"),
        )
        for each in report.accounts(self.pools.values()):
            for status in Status:
                state.add_metric((each.pool, each.account, status.value), each.state == status.value)
            inflight.add_metric((each.pool, each.account), each.inflight)
            limit.add_metric((each.pool, each.account), each.limit)
            for outage in each.outages:
                labels = (each.pool, each.account, outage.model, outage.state, outage.reason)
                out.add_metric(labels, outage.seconds)
        yield from (state, inflight, limit, out, self._circuits())

    def _circuits(self) -> Metric:
        family = GaugeMetricFamily(
            "aiclient2api_circuit_out_seconds",
            "Until a host, or a model of a provider, is probed.",
            labels=("circuit", "reason"),
        )
        for pool in list(self.pools.values())[:1]:  # all pools of a process have the same surroundings
            for outage in report.circuits(pool.surroundings, pool.now()):
                family.add_metric((outage.circuit, outage.reason), outage.seconds)
        return family

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)
