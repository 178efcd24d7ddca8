"""What a client sees when accounts fail: nothing, as long as one of them can answer."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai

from aiclient2api.simulator.scenario import Fault, Match, Rule
from tests.harness import Sections, Stack, simulated

ACCOUNTS = ("account-a", "account-b")


def two_claude_accounts(url: str) -> Sections:
    account = {"provider": "anthropic_compatible", "base_url": url, "timeouts": {"headers": "1s"}}
    return {
        "accounts": {name: {**account, "pool": "claude", "api_key": name} for name in ACCOUNTS},
        "models": {"m": {"targets": ["claude/claude-x"]}},
    }


CLIENTS = ["openai_chat", "openai_responses", "anthropic", "gemini"]


def ask(stack: Stack, protocol: str, *, stream: bool, model: str = "m") -> str:
    """The text that an official SDK shows."""
    match protocol:
        case "openai_chat":
            return _ask_chat(stack, model, stream=stream)
        case "openai_responses":
            return _ask_responses(stack, model, stream=stream)
        case "anthropic":
            return _ask_claude(stack, model)
        case _:
            return _ask_gemini(stack, model, stream=stream)


def _ask_chat(stack: Stack, model: str, *, stream: bool) -> str:
    messages: Any = [{"role": "user", "content": "Hello"}]
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key=stack.key, max_retries=0) as client:
        if not stream:
            done = client.chat.completions.create(model=model, messages=messages)
            return done.choices[0].message.content or ""
        with client.chat.completions.create(model=model, messages=messages, stream=True) as chunks:
            return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def _ask_responses(stack: Stack, model: str, *, stream: bool) -> str:
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key=stack.key, max_retries=0) as client:
        if not stream:
            return client.responses.create(model=model, input="Hello").output_text
        with client.responses.stream(model=model, input="Hello") as events:
            return events.get_final_response().output_text


def _ask_claude(stack: Stack, model: str) -> str:
    messages: Any = [{"role": "user", "content": "Hello"}]
    with (
        anthropic.Anthropic(base_url=stack.url, api_key=stack.key, max_retries=0) as client,
        client.messages.stream(model=model, max_tokens=100, messages=messages) as events,
    ):
        return events.get_final_text()


def _ask_gemini(stack: Stack, model: str, *, stream: bool) -> str:
    with genai.Client(api_key=stack.key, http_options={"base_url": stack.url}) as client:
        if not stream:
            return client.models.generate_content(model=model, contents="Hello").text or ""
        chunks = client.models.generate_content_stream(model=model, contents="Hello")
        return "".join(chunk.text or "" for chunk in chunks)


FAULTS = {
    "401": Fault(status=401),
    "429": Fault(status=429, retry_after=2),
    "500": Fault(status=500),
    "502 html": Fault(status=502, html=True),
    "529": Fault(status=529),
    "reset": Fault(reset=True),
    "time-out": Fault(delay=20),
    "html with status 200": Fault(html=True),
    "empty body": Fault(empty=True),
    "cut before content": Fault(cut_after_events=1),
    "error event before content": Fault(error_event_after_events=1),
    "half an event": Fault(malformed_after_events=1, malformed="half_event"),
    "broken JSON": Fault(malformed_after_events=1, malformed="broken_json"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
@pytest.mark.parametrize("protocol", CLIENTS)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_failing_account_is_replaced_without_a_trace(fault: Fault, protocol: str, stream: bool) -> None:
    with simulated(two_claude_accounts) as (stack, simulator):
        simulator.scenario.add(Rule(fault=fault, match=Match(key="account-a")))

        texts = [ask(stack, protocol, stream=stream) for _ in range(2)]

        assert texts == ["You said: Hello", "You said: Hello"]
        assert "account-a" in {request.key for request in simulator.requests}


def test_a_refused_connection_is_replaced_without_a_trace() -> None:
    def one_dead(url: str) -> Sections:
        sections = dict(two_claude_accounts(url))
        sections["accounts"]["account-a"]["base_url"] = "http://127.0.0.1:9"
        return sections

    with simulated(one_dead) as (stack, _):
        assert [ask(stack, "anthropic", stream=True) for _ in range(4)] == ["You said: Hello"] * 4


@pytest.fixture
def stack_of_two() -> Iterator[tuple[Stack, object]]:
    with simulated(two_claude_accounts) as pair:
        yield pair


@pytest.mark.parametrize("protocol", CLIENTS)
def test_the_clients_own_mistake_costs_one_call_and_keeps_the_upstreams_words(protocol: str) -> None:
    with simulated(two_claude_accounts) as (stack, simulator):
        simulator.scenario.add(Rule(fault=Fault(status=400, message="messages.0: that will not do")))

        with pytest.raises(
            (openai.BadRequestError, anthropic.BadRequestError, genai.errors.ClientError)
        ) as raised:
            ask(stack, protocol, stream=False)

        assert "messages.0: that will not do" in str(raised.value)
        assert len(simulator.requests) == 1
        assert all(
            account.state.status.value == "healthy" for account in stack.runtime.pools["claude"].accounts
        )


def post(stack: Stack) -> httpx.Response:
    return httpx.post(
        f"{stack.url}/v1/messages",
        headers={"x-api-key": stack.key},
        json={"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]},
    )


def test_a_resource_that_one_client_may_not_use_costs_no_account() -> None:
    message = "You do not have permission to access the File abc or it may not exist."
    with simulated(two_claude_accounts) as (stack, simulator):
        simulator.scenario.add(Rule(fault=Fault(status=403, message=message)))

        answer = post(stack)

        assert (answer.status_code, answer.json()["error"]["message"]) == (403, message)
        assert [account.state.status.value for account in stack.runtime.pools["claude"].accounts] == [
            "healthy",
            "healthy",
        ]


def test_a_refused_permission_disables_no_account() -> None:
    with simulated(two_claude_accounts) as (stack, simulator):
        simulator.scenario.add(Rule(fault=Fault(status=403, message="no")))

        answer = post(stack)

        assert answer.status_code == 503
        assert [account.state.status.value for account in stack.runtime.pools["claude"].accounts] == [
            "cooling",
            "cooling",
        ]


@pytest.mark.parametrize(("upstreams", "told"), [(12, range(9, 16)), (0.2, range(1, 3))])
def test_a_client_is_told_a_wait_that_makes_sense(upstreams: float, told: range) -> None:
    with simulated(two_claude_accounts) as (stack, simulator):
        simulator.scenario.add(Rule(fault=Fault(status=429, retry_after=upstreams)))

        answer = post(stack)

        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) in told
        assert answer.headers["x-should-retry"] == "true"
        for account in stack.runtime.pools["claude"].accounts:
            assert account.overlays["claude-x"].until - time.monotonic() > upstreams - 5


def test_a_wait_that_is_too_long_is_no_reason_to_try_again() -> None:
    with simulated(two_claude_accounts) as (stack, simulator):
        simulator.scenario.add(Rule(fault=Fault(status=429, retry_after=7200)))

        for answer in (post(stack), post(stack)):
            assert answer.status_code == 429
            assert "retry-after" not in answer.headers
            assert answer.headers["x-should-retry"] == "false"
            reset = datetime.datetime.fromisoformat(answer.json()["error"]["reset_at"])
            assert 800 < (reset - datetime.datetime.now(datetime.UTC)).total_seconds() <= 1000
        assert len(simulator.requests) == 2
        for account in stack.runtime.pools["claude"].accounts:
            assert account.state.status.value == "healthy"
            assert account.why_not("another-model", time.monotonic()) is None


def test_a_rejected_credential_is_never_the_clients_401() -> None:
    with simulated(two_claude_accounts) as (stack, simulator):
        simulator.scenario.add(Rule(fault=Fault(status=401, message="invalid x-api-key account-a")))

        with pytest.raises(anthropic.InternalServerError) as raised:
            ask(stack, "anthropic", stream=False)

        assert raised.value.status_code == 503
        assert "account-a" not in str(raised.value)
        assert len(simulator.requests) == 2


def test_all_accounts_cooling_is_a_429_with_retry_after() -> None:
    with simulated(two_claude_accounts) as (stack, simulator):
        simulator.scenario.add(Rule(fault=Fault(status=429, retry_after=20)))
        with pytest.raises(anthropic.RateLimitError):
            ask(stack, "anthropic", stream=False)

        answer = httpx.post(
            f"{stack.url}/v1/messages",
            headers={"x-api-key": stack.key},
            json={"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
        )

        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert answer.headers["x-should-retry"] == "true"
        assert answer.json()["error"]["type"] == "rate_limit_error"
        assert len(simulator.requests) == 2, "a cooling account is left alone"


def chain_over_protocols(url: str) -> Sections:
    return {
        "accounts": {
            "first": {
                "provider": "anthropic_compatible",
                "base_url": url,
                "api_key": "first",
                "pool": "claude",
            },
            "second": {"provider": "gemini_compatible", "base_url": url, "api_key": "second", "pool": "gem"},
        },
        "models": {"m": {"targets": ["claude/claude-x", "gem/gemini-x"]}},
    }


@pytest.mark.parametrize("protocol", CLIENTS)
@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
def test_a_chain_over_two_protocols_answers_from_the_second(protocol: str, stream: bool) -> None:
    with simulated(chain_over_protocols) as (stack, simulator):
        simulator.scenario.add(Rule(fault=Fault(status=529), match=Match(protocol="anthropic")))

        assert ask(stack, protocol, stream=stream) == "You said: Hello"
        assert [request.key for request in simulator.requests] == ["first", "second"]


@pytest.mark.parametrize("protocol", CLIENTS)
def test_a_stream_cut_after_content_fails_loudly_and_is_not_repeated(protocol: str) -> None:
    with simulated(two_claude_accounts) as (stack, simulator):
        simulator.scenario.add(Rule(fault=Fault(cut_after_events=5)))

        with pytest.raises(Exception) as raised:  # each SDK has its own
            ask(stack, protocol, stream=True)

        assert not isinstance(raised.value, AssertionError)
        assert len(simulator.requests) == 1


def test_round_robin_is_fair() -> None:
    with simulated(two_claude_accounts) as (stack, simulator):
        for _ in range(20):
            ask(stack, "anthropic", stream=False)

        keys = [request.key for request in simulator.requests]

        assert keys.count("account-a") == keys.count("account-b") == 10
