"""What the answer's headers say: how it was converted, what was lost, who was tried; and strict, which refuses losses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.scenario import Fault, Match, Rule
from tests.harness import KEY, Sections, Stack, four_pools, simulated
from tests.program import until

STRICT_KEY = "key-of-a-strict-client"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
LOSSY = {"model": "claude/x", "messages": HELLO, "seed": 7, "logit_bias": {"5": 1}}
LOSSLESS = {"model": "claude/x", "messages": HELLO, "max_tokens": 50}


def sections(url: str) -> Sections:
    keys = [{"name": "tests", "key": KEY}, {"name": "strict", "key": STRICT_KEY, "strict": True}]
    models = {"chain": {"targets": ["claude/x", "chat/x"]}}
    return {**four_pools(url), "keys": keys, "models": models}


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Stack, Simulator]]:
    with simulated(sections) as (stack, simulator):
        yield stack, simulator


def chat(stack: Stack, body: dict[str, Any], key: str = KEY, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(
        f"{stack.url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}", **given}
    )


def test_losses_are_named_in_the_header(pair: tuple[Stack, Simulator]) -> None:
    answer = chat(pair[0], LOSSY)

    assert answer.status_code == 200
    strategy, *entries = answer.headers["x-a2-conversion"].split("; ")
    dropped = next(entry for entry in entries if entry.startswith("dropped="))
    assert strategy == "openai_chat>anthropic"
    assert set(dropped.removeprefix("dropped=").split(",")) >= {"sampling.seed", "sampling.logit_bias"}


def test_a_relay_says_relay_and_where_it_went(pair: tuple[Stack, Simulator]) -> None:
    answer = chat(pair[0], {"model": "chat/x", "messages": HELLO, "seed": 7})

    assert answer.headers["x-a2-conversion"] == "relay"
    assert answer.headers["x-a2-target"] == "chat/x"
    assert answer.headers["x-a2-attempts"] == "1"
    assert answer.headers["x-request-id"].startswith("req_")


def test_state_that_is_carried_is_counted(pair: tuple[Stack, Simulator]) -> None:
    answer = chat(pair[0], {**LOSSLESS, "max_tokens": 4000, "reasoning_effort": "high"})

    assert "carried=1" in answer.headers["x-a2-conversion"].split("; ")


def test_the_losses_of_a_stream_are_counted_too(pair: tuple[Stack, Simulator]) -> None:
    stack, _ = pair
    losses = stack.runtime.metrics.losses
    label = ("openai_chat", "anthropic", "reasoning.opaque", "carried")
    before = losses.values.get(label, 0)

    answer = chat(stack, {**LOSSLESS, "max_tokens": 4000, "reasoning_effort": "high", "stream": True})

    assert answer.text.endswith("data: [DONE]\n\n")
    until(lambda: losses.values.get(label, 0) == before + 1)  # booked when the last byte is out


def policy_strict(url: str) -> Sections:
    return {**sections(url), "policy": {"strict": True}}


@pytest.mark.parametrize("wish", ["header", "key", "policy"])
def test_strict_refuses_losses_by_name_before_any_upstream_call(
    pair: tuple[Stack, Simulator], wish: str
) -> None:
    if wish == "policy":
        with simulated(policy_strict) as (stack, simulator):
            answer, calls = chat(stack, LOSSY), len(simulator.requests)
    else:
        stack, simulator = pair
        before = len(simulator.requests)
        answer = (
            chat(stack, LOSSY, x_a2_strict="1") if wish == "header" else chat(stack, LOSSY, key=STRICT_KEY)
        )
        calls = len(simulator.requests) - before

    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (
        400,
        "invalid_request_error",
        "unsupported_content",
    )
    assert "sampling.seed dropped" in error["message"]
    assert "sampling.logit_bias dropped" in error["message"]
    assert calls == 0


@pytest.mark.parametrize("key", [KEY, STRICT_KEY])
def test_strict_lets_through_what_loses_nothing(pair: tuple[Stack, Simulator], key: str) -> None:
    answer = chat(pair[0], LOSSLESS, key=key, x_a2_strict="1")

    assert answer.status_code == 200, answer.text
    assert answer.headers["x-a2-conversion"].startswith("openai_chat>anthropic")


def test_only_1_is_a_wish_for_strict(pair: tuple[Stack, Simulator]) -> None:
    assert chat(pair[0], LOSSY, x_a2_strict="0").status_code == 200


def test_strict_goes_on_to_a_target_that_can(pair: tuple[Stack, Simulator]) -> None:
    stack, simulator = pair
    before = len(simulator.requests)

    answer = chat(stack, {**LOSSY, "model": "chain"}, x_a2_strict="1", x_a2_explain="1")

    assert answer.status_code == 200
    assert answer.headers["x-a2-target"] == "chat/x"
    assert answer.headers["x-a2-conversion"] == "relay"
    assert answer.headers["x-a2-explain"] == "claude/claude-1 refused; chat/chat-1 ok"
    assert len(simulator.requests) - before == 1


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/v1/responses", {"model": "claude/x", "input": "hi", "top_logprobs": 3, "include": ["message.output_text.logprobs"]}, "invalid_request_error"),
        ("/v1/messages", {"model": "chat/x", "max_tokens": 9, "messages": HELLO, "top_k": 5}, "invalid_request_error"),
        ("/v1beta/models/claude/x:generateContent", {"contents": [{"role": "user", "parts": [{"text": "hi"}]}], "generationConfig": {"seed": 3}}, "INVALID_ARGUMENT"),
    ],
    ids=["openai_responses", "anthropic", "gemini"],
)  # fmt: skip
def test_strict_speaks_every_clients_protocol(
    pair: tuple[Stack, Simulator], path: str, body: dict[str, Any], kind: str
) -> None:
    answer = httpx.post(pair[0].url + path, json=body, headers={"x-api-key": KEY, "x-a2-strict": "1"})

    error = answer.json()["error"]
    assert answer.status_code == 400, answer.text
    assert (error.get("status") or error["type"]) == kind
    assert "dropped" in error["message"]


def two_accounts(url: str) -> Sections:
    account = {"provider": "anthropic_compatible", "base_url": url, "pool": "claude"}
    return {"accounts": {name: {**account, "api_key": f"secret-of-{name}"} for name in ("a", "b")}}


def test_the_trail_tells_who_was_tried_and_who_was_not() -> None:
    with simulated(two_accounts) as (stack, simulator):
        simulator.scenario.add(Rule(fault=Fault(status=529, retry_after=20), match=Match(key="secret-of-a")))
        body = {"model": "claude/x", "messages": HELLO}
        first = chat(stack, body, x_a2_explain="1")
        simulator.scenario.add(Rule(fault=Fault(status=500), match=Match(key="secret-of-b")))
        second = chat(stack, body, x_a2_explain="1")
        without = chat(stack, body)

        assert first.headers["x-a2-explain"] in (
            "claude/a overloaded (provider+model); claude/b ok",
            "claude/b ok; passed over a: another one's turn",
        )
        tried, *passed_over = second.headers["x-a2-explain"].split("; ")
        assert second.status_code == 502
        assert tried.startswith("claude/b ")
        assert any(entry.startswith("passed over a: cooling this model for") for entry in passed_over)
        assert "secret-of" not in repr(first.headers) + repr(second.headers)
        assert "x-a2-explain" not in without.headers


def test_the_trail_is_for_known_clients_only(pair: tuple[Stack, Simulator]) -> None:
    assert "x-a2-explain" not in chat(pair[0], LOSSY, key="unknown", x_a2_explain="1").headers
