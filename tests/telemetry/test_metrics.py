from __future__ import annotations

import pytest

from aiclient2api.gateway.exchange import Attempt, Exchange
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.response import Usage
from aiclient2api.telemetry.counting import Counter, Kind
from aiclient2api.telemetry.metrics import Metrics
from aiclient2api.telemetry.tally import MAX_SERIES, LocalTally
from tests.fakes.accounts import Clock, account, pool


def exchange() -> Exchange:
    return Exchange(
        request_id="req_1",
        protocol="openai_chat",
        started=100.0,
        first_content=100.3,
        ended=102.0,
        is_stream=True,
        pool="main",
        target_model="claude",
        upstream_protocol="anthropic",
        status=200,
        usage=Usage(input=10, cache_read=4, output=5, reasoning=0),
        losses=[Loss("user", "user", "dropped", "anthropic")],
        attempts=[
            Attempt(
                pool="main",
                account="a",
                model="claude",
                protocol="anthropic",
                started=0.0,
                outcome="overloaded",
            ),
            Attempt(
                pool="main", account="b", model="claude", protocol="anthropic", started=0.0, outcome="ok"
            ),
        ],
    )


def observed(*exchanges: Exchange) -> list[str]:
    metrics = Metrics()
    for one in exchanges:
        metrics.started(one)
        metrics.ended(one)
    return metrics.text().decode().splitlines()


@pytest.mark.parametrize(
    "line",
    [
        'aiclient2api_requests_total{operation="generate",outcome="ok",protocol="openai_chat",status="200"} 2.0',
        'aiclient2api_attempts_total{account="a",outcome="overloaded",pool="main"} 2.0',
        'aiclient2api_attempts_total{account="b",outcome="ok",pool="main"} 2.0',
        'aiclient2api_tokens_total{kind="input",model="claude",pool="main"} 20.0',
        'aiclient2api_tokens_total{kind="cache_read",model="claude",pool="main"} 8.0',
        'aiclient2api_tokens_total{kind="output",model="claude",pool="main"} 10.0',
        'aiclient2api_conversion_loss_total{act="dropped",feature="user",from="openai_chat",to="anthropic"} 2.0',
        'aiclient2api_first_token_seconds_bucket{le="0.25",protocol="openai_chat"} 0.0',
        'aiclient2api_first_token_seconds_bucket{le="0.5",protocol="openai_chat"} 2.0',
        'aiclient2api_first_token_seconds_bucket{le="+Inf",protocol="openai_chat"} 2.0',
        'aiclient2api_first_token_seconds_count{protocol="openai_chat"} 2.0',
        'aiclient2api_stream_duration_seconds_bucket{le="1.0",protocol="openai_chat"} 0.0',
        'aiclient2api_stream_duration_seconds_bucket{le="2.0",protocol="openai_chat"} 2.0',
        'aiclient2api_stream_duration_seconds_sum{protocol="openai_chat"} 4.0',
        "aiclient2api_inflight_requests 0.0",
    ],
)
def test_exchanges_become_samples(line: str) -> None:
    assert line in observed(exchange(), exchange())


def test_requests_of_one_attempt_are_counted_like_any_other() -> None:
    """They take a shorter way, by places that are found once per kind of request."""

    def one(*, status: int = 200, usage: Usage | None = None, refuses: bool = False) -> Exchange:
        made = exchange()
        made.attempts = made.attempts[1:]
        made.attempts[0].refuses_state = refuses
        made.status, made.usage, made.losses = status, usage, []
        return made

    lines = observed(
        one(),
        one(usage=Usage(input=10, output=5)),
        one(usage=Usage(input=10, output=5)),
        one(usage=Usage(input=10, output=5, cache_read=3)),
        one(usage=Usage(input=10)),
        one(status=500, refuses=True),
    )

    for line in (
        'requests_total{operation="generate",outcome="ok",protocol="openai_chat",status="200"} 5.0',
        'requests_total{operation="generate",outcome="ok",protocol="openai_chat",status="500"} 1.0',
        'attempts_total{account="b",outcome="ok",pool="main"} 6.0',
        'tokens_total{kind="input",model="claude",pool="main"} 40.0',
        'tokens_total{kind="output",model="claude",pool="main"} 15.0',
        'tokens_total{kind="cache_read",model="claude",pool="main"} 3.0',
        'state_refusals_total{from="openai_chat",to="anthropic"} 1.0',
    ):
        assert f"aiclient2api_{line}" in lines


def test_nothing_is_counted_that_was_not_reported() -> None:
    lines = observed(
        Exchange(
            request_id="r", protocol="gemini", started=1.0, ended=2.0, status=401, outcome="client_error"
        )
    )

    assert (
        'aiclient2api_requests_total{operation="generate",outcome="client_error",protocol="gemini",status="401"} 1.0'
        in lines
    )
    for name in ("tokens", "attempts", "first_token", "stream_duration", "conversion_loss"):
        assert not [line for line in lines if line.startswith(f"aiclient2api_{name}")]
    assert not [line for line in observed(exchange()) if 'kind="reasoning"' in line]


def test_requests_under_way_are_counted() -> None:
    metrics = Metrics()

    metrics.started(exchange())

    assert b"aiclient2api_inflight_requests 1.0" in metrics.text()


def test_the_state_of_each_account_is_shown() -> None:
    metrics = Metrics()
    one = account("a")
    one.inflight = 3
    metrics.pools = {"main": pool(Clock(), one)}

    lines = metrics.text().decode().splitlines()

    assert 'aiclient2api_account_state{account="a",pool="main",state="healthy"} 1.0' in lines
    assert 'aiclient2api_account_state{account="a",pool="main",state="cooling"} 0.0' in lines
    assert 'aiclient2api_account_inflight{account="a",pool="main"} 3.0' in lines


def test_labels_from_requests_cannot_grow_without_bound() -> None:
    tally = LocalTally()
    counter = Counter(Kind("x", "X.", ("model", "kind")), tally)

    for index in range(MAX_SERIES + 50):
        counter.add((f"model-{index}", "input"), 2)
    counter.add(("model-0", "input"))

    values = dict(tally.items())
    assert len(values) == MAX_SERIES + 1
    assert values["x", ("other", "other")] == [100]
    assert values["x", ("model-0", "input")] == [3]


def test_a_strange_label_does_not_break_the_page() -> None:
    strange = exchange()
    strange.target_model = 'a"b\\c\nd'

    lines = observed(strange)

    assert 'aiclient2api_tokens_total{kind="input",model="a\\"b\\\\c\\nd",pool="main"} 10.0' in lines


def test_an_answer_whose_upstream_did_without_state_is_counted() -> None:
    one = exchange()
    one.losses = [Loss("reasoning.signature", "candidates[0]", "dropped", "openai_chat")]
    line = 'aiclient2api_state_refusals_total{from="openai_chat",to="anthropic"} 1.0'

    assert line in observed(one)
    assert line not in observed(exchange())
