"""What operators read: exact numbers after known traffic, who may read them, and whether anything can serve."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.scenario import Fault, Match, Rule
from tests.harness import KEY, Sections, Stack, simulated

HELLO: list[Any] = [{"role": "user", "content": "one two three"}]
CLAUDE_PATH, CHAT_PATH = "/v1/messages", "/v1/chat/completions"


def two_accounts(url: str) -> Sections:
    account = {"provider": "anthropic_compatible", "base_url": url, "pool": "claude", "concurrency": 5}
    return {
        "accounts": {name: {**account, "api_key": name} for name in ("a", "b")},
        "models": {"m": {"targets": ["claude/claude-x"]}},
    }


def post(stack: Stack, path: str = CLAUDE_PATH, key: str = KEY, **members: Any) -> httpx.Response:
    body = {"model": "m", "max_tokens": 50, "messages": HELLO, **members}
    return httpx.post(stack.url + path, json=body, headers={"x-api-key": key})


Samples = dict[str, float]


def scraped(stack: Stack) -> dict[str, Samples]:
    """Every sample by its name and its labels."""
    answer = httpx.get(f"{stack.url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    found: dict[str, Samples] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = " ".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def known_traffic(stack: Stack, simulator: Simulator) -> None:
    """Two relayed answers, a converted one, a stream, a converted stream, a failed-over one, and three mistakes."""
    for _ in range(2):
        assert post(stack).status_code == 200
    assert post(stack, CHAT_PATH, seed=7).status_code == 200
    assert post(stack, stream=True).status_code == 200
    assert post(stack, CHAT_PATH, stream=True).status_code == 200
    simulator.scenario.add(Rule(fault=Fault(status=529, retry_after=9), match=Match(key="b"), times=1))
    for _ in range(2):
        assert post(stack).status_code == 200
    assert post(stack, model="unknown").status_code == 404
    assert post(stack, key="wrong").status_code == 401
    assert httpx.post(stack.url + CLAUDE_PATH, content=b"{", headers={"x-api-key": KEY}).status_code == 400


def test_the_numbers_are_those_of_the_traffic() -> None:
    with simulated(two_accounts) as (stack, simulator):
        known_traffic(stack, simulator)
        found = scraped(stack)

    assert found["aiclient2api_requests_total"] == {
        "operation=generate outcome=ok protocol=anthropic status=200": 5,
        "operation=generate outcome=ok protocol=openai_chat status=200": 2,
        "operation=generate outcome=client_error protocol=anthropic status=404": 1,
        "operation=generate outcome=client_error protocol=anthropic status=401": 1,
        "operation=generate outcome=client_error protocol=anthropic status=400": 1,
    }
    assert found["aiclient2api_attempts_total"] == {
        "account=a outcome=ok pool=claude": 5,
        "account=b outcome=ok pool=claude": 2,
        "account=b outcome=overloaded pool=claude": 1,
    }
    # `You said: one two three` is five words for three
    assert found["aiclient2api_tokens_total"] == {
        "kind=input model=claude-x pool=claude": 7 * 3,
        "kind=output model=claude-x pool=claude": 7 * 5,
    }
    losses = found["aiclient2api_conversion_loss_total"]
    assert losses["act=dropped feature=sampling.seed from=openai_chat to=anthropic"] == 1
    for name in ("first_token", "stream_duration"):
        assert found[f"aiclient2api_{name}_seconds_count"] == {
            "protocol=anthropic": 1,
            "protocol=openai_chat": 1,
        }
        assert found[f"aiclient2api_{name}_seconds_bucket"]["le=+Inf protocol=anthropic"] == 1
    assert found["aiclient2api_inflight_requests"] == {"": 0}
    assert found["aiclient2api_account_inflight"] == {"account=a pool=claude": 0, "account=b pool=claude": 0}
    states = {labels for labels, value in found["aiclient2api_account_state"].items() if value}
    assert states == {"account=a pool=claude state=healthy", "account=b pool=claude state=healthy"}
    assert list(found["aiclient2api_account_out_seconds"]) == [
        "account=b model=claude-x pool=claude reason=overloaded state=cooling"
    ]
    assert found["aiclient2api_account_limit"] == {"account=a pool=claude": 5, "account=b pool=claude": 5}


@pytest.mark.parametrize(
    "header",
    ["x-forwarded-for", "x-forwarded-proto", "forwarded", "x-real-ip", "cf-connecting-ip", "via", "origin"],
)
def test_metrics_are_for_this_machine_or_for_a_key(header: str) -> None:
    with simulated(two_accounts) as (stack, _):
        path = f"{stack.url}/metrics"
        through_proxy = {header: "203.0.113.9"}

        assert httpx.get(path).status_code == 200
        assert httpx.get(path, headers=through_proxy).status_code == 401
        assert httpx.get(path, headers={**through_proxy, "x-api-key": "wrong"}).status_code == 401
        assert httpx.get(path, headers={**through_proxy, "authorization": f"Bearer {KEY}"}).status_code == 200
        assert httpx.get(f"{stack.url}/claude/metrics").status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:3000", 200),
        ("[::1]:3000", 200),
        ("127.0.0.9", 200),
        ("monitored-machine:3000", 200),
        ("gateway.example", 401),
        ("127.0.0.1.rebound.example:3000", 401),
        ("203.0.113.9", 401),
        ("[2001:db8::1]:3000", 401),
    ],
)
def test_metrics_and_pools_are_not_for_who_knows_this_machine_by_a_public_name(
    host: str, status: int
) -> None:
    with simulated(two_accounts) as (stack, _):
        metrics = httpx.get(f"{stack.url}/metrics", headers={"host": host})
        ready = httpx.get(f"{stack.url}/readyz", headers={"host": host})

    assert metrics.status_code == status
    assert ready.status_code == 200
    assert ("pools" in ready.json()) == (status == 200)


def test_an_empty_header_of_a_proxy_is_one() -> None:
    with simulated(two_accounts) as (stack, _):
        assert httpx.get(f"{stack.url}/metrics", headers={"x-forwarded-for": ""}).status_code == 401


def test_no_key_and_no_prompt_is_in_the_metrics() -> None:
    with simulated(two_accounts) as (stack, simulator):
        simulator.scenario.add(
            Rule(fault=Fault(status=400, code="bad key upstream-a", message="prompt and key"))
        )
        post(stack, messages=[{"role": "user", "content": "prompt-in-question"}])
        text = httpx.get(f"{stack.url}/metrics").text

    assert not any(secret in text for secret in (KEY, "upstream-a", "prompt"))


def test_ready_means_that_some_account_can_serve() -> None:
    with simulated(two_accounts) as (stack, simulator):
        assert httpx.get(f"{stack.url}/readyz").status_code == 200
        simulator.scenario.add(Rule(fault=Fault(status=401), match=Match(key="a")))
        post(stack)
        post(stack)
        states = {"disabled": 1, "healthy": 1}
        told = httpx.get(f"{stack.url}/readyz").json()
        assert told == {"status": "ok", "pools": {"claude": states}}, "b is still there"

        simulator.scenario.add(Rule(fault=Fault(status=402), match=Match(key="b")))
        post(stack)
        ready, healthy = httpx.get(f"{stack.url}/readyz"), httpx.get(f"{stack.url}/healthz")

        states = {"disabled": 1, "cooling": 1}
        assert (ready.status_code, ready.json()) == (
            503,
            {"status": "unavailable", "pools": {"claude": states}},
        )
        assert (healthy.status_code, healthy.json()) == (200, {"status": "ok"})


def test_health_tells_nobody_anything_else() -> None:
    with simulated(two_accounts) as (stack, _):
        for path in ("/healthz", "/readyz"):
            answer = httpx.get(
                stack.url + path, headers={"x-api-key": "whatever", "x-forwarded-for": "203.0.113.7"}
            )
            assert set(answer.headers) <= {"date", "content-type", "content-length"}
            assert answer.json() == {"status": "ok"}
