"""Prometheus metrics. Plain integers while requests run; samples are built only when somebody scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct
from prometheus_client.core import GaugeMetricFamily, Metric

from aiclient2api.accounts import report
from aiclient2api.accounts.health import Status
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.gateway.exchange import Attempt, Exchange
from aiclient2api.gateway.state_refusals import misses_state
from aiclient2api.ir.response import Usage
from aiclient2api.telemetry.counting import Counter, Histogram, Kind, families
from aiclient2api.telemetry.report import page
from aiclient2api.telemetry.tally import LocalTally, Tally

REQUESTS: Final = Kind(
    "aiclient2api_requests", "Client requests.", ("protocol", "operation", "status", "outcome")
)
ATTEMPTS: Final = Kind("aiclient2api_attempts", "Tries on upstream accounts.", ("pool", "account", "outcome"))
TOKENS: Final = Kind("aiclient2api_tokens", "Tokens the upstreams reported.", ("pool", "model", "kind"))
TOKEN_KINDS: Final = ("input", "cache_read", "cache_write", "output", "reasoning")
LOSSES: Final = Kind(
    "aiclient2api_conversion_loss",
    "What conversions could not carry over.",
    ("from", "to", "feature", "act"),
)
STATE_REFUSALS: Final = Kind(
    "aiclient2api_state_refusals",
    "Complaints of upstreams about a signature or encrypted reasoning.",
    ("from", "to"),
)
FIRST_TOKEN: Final = Kind(
    "aiclient2api_first_token_seconds",
    "From the request to its first content.",
    ("protocol",),
    is_histogram=True,
)
DURATION: Final = Kind(
    "aiclient2api_stream_duration_seconds",
    "From the request to the end of its stream.",
    ("protocol",),
    is_histogram=True,
)
KINDS: Final = (REQUESTS, ATTEMPTS, TOKENS, LOSSES, STATE_REFUSALS, FIRST_TOKEN, DURATION)
"""What is counted in tallies, in the order of the page."""


MAX_USUAL: Final = 4096
"""Kinds of requests whose places are remembered."""


class _Places(Struct):
    """Where requests of one kind are counted; -1 for what none of them had yet."""

    request: int
    attempt: int
    input: int = -1
    output: int = -1


class Metrics:
    """The observer behind `/metrics`. It counts in a tally of its own, or in the one that its supervisor gave it."""

    def __init__(self, tally: Tally | None = None) -> None:
        self.tally = tally or LocalTally()
        self.inflight = 0
        self.pools: Mapping[str, AccountPool] = {}
        self.sources: list[Callable[[], Iterable[Metric]]] = []
        """More samples, from parts that this package does not know."""
        self.requests = Counter(REQUESTS, self.tally)
        self.attempts = Counter(ATTEMPTS, self.tally)
        self.tokens = Counter(TOKENS, self.tally)
        self.losses = Counter(LOSSES, self.tally)
        self.state_refusals = Counter(STATE_REFUSALS, self.tally)
        self.first_token = Histogram(FIRST_TOKEN, self.tally)
        self.duration = Histogram(DURATION, self.tally)
        self._usual: dict[tuple[str, str, int, str, str, str, str, str], _Places] = {}

    def started(self, exchange: Exchange) -> None:
        """A request was accepted."""
        self.inflight += 1

    def ended(self, exchange: Exchange) -> None:
        """See Observer."""
        self.inflight -= 1
        attempts = exchange.attempts
        if len(attempts) == 1:
            self._count_usual(exchange, attempts[0])
        else:
            self.requests.add((exchange.protocol, exchange.operation, str(exchange.status), exchange.outcome))
            for attempt in attempts:
                self.attempts.add((attempt.pool, attempt.account, attempt.outcome))
                if attempt.refuses_state:
                    self.state_refusals.add((exchange.protocol, attempt.protocol))
            if exchange.usage is not None:
                self._count_tokens(exchange.pool, exchange.target_model, exchange.usage)
        if exchange.first_content is not None:
            self.first_token.observe(exchange.protocol, exchange.first_content - exchange.started)
        if exchange.is_stream:
            self.duration.observe(exchange.protocol, exchange.ended - exchange.started)
        if exchange.losses:
            self._count_losses(exchange)

    def _count_usual(self, exchange: Exchange, attempt: Attempt) -> None:
        """Nearly every request is of a kind that was there before: one look tells where all of its counts are."""
        kind = (
            exchange.protocol,
            exchange.operation,
            exchange.status,
            exchange.outcome,
            attempt.pool,
            attempt.account,
            attempt.outcome,
            exchange.target_model,
        )
        places = self._usual.get(kind)
        if places is None:
            places = self._places(exchange, attempt)
            if len(self._usual) >= MAX_USUAL:
                self._usual.clear()
            self._usual[kind] = places
        cells = self.tally.cells
        cells[places.request] += 1
        cells[places.attempt] += 1
        if attempt.refuses_state:
            self.state_refusals.add((exchange.protocol, attempt.protocol))
        usage = exchange.usage
        if usage is None:
            return
        if usage.cache_read or usage.cache_write or usage.reasoning or not (usage.input and usage.output):
            self._count_tokens(exchange.pool, exchange.target_model, usage)
            return
        if places.input < 0:
            places.input = self.tokens.find((exchange.pool, exchange.target_model, "input"))
            places.output = self.tokens.find((exchange.pool, exchange.target_model, "output"))
        cells[places.input] += usage.input
        cells[places.output] += usage.output

    def _places(self, exchange: Exchange, attempt: Attempt) -> _Places:
        return _Places(
            self.requests.find(
                (exchange.protocol, exchange.operation, str(exchange.status), exchange.outcome)
            ),
            self.attempts.find((attempt.pool, attempt.account, attempt.outcome)),
        )

    def _count_losses(self, exchange: Exchange) -> None:
        if misses_state(exchange.losses):
            self.state_refusals.add((exchange.protocol, exchange.upstream_protocol))
        for loss in exchange.losses:
            self.losses.add((exchange.protocol, exchange.upstream_protocol, loss.feature, loss.act))

    def _count_tokens(self, pool: str, model: str, usage: Usage) -> None:
        amounts = (usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning)
        for kind, amount in zip(TOKEN_KINDS, amounts, strict=True):
            if amount:
                self.tokens.add((pool, model, kind), amount)

    def gauges(self) -> Iterator[Metric]:
        """What is so at the moment, and what other parts count."""
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
        return page((*families(KINDS, self.tally.items()), *self.gauges()))
