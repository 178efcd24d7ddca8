"""What a client key may use: reserved before an upstream is called, settled at every end, told in the caller's protocol."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from aiclient2api.keys.limiter import Use
from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.scenario import Fault, Match, Rule
from aiclient2api.simulator.settings import SimulatorSettings
from tests.harness import KEY, Sections, Stack, four_pools, simulated
from tests.program import until

NOW = 1_800_000_000.0
"""The beginning of a minute."""
PROTOCOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai_chat": (
        "/v1/chat/completions",
        {"model": "chat/m", "messages": [{"role": "user", "content": "hi"}]},
    ),
    "openai_responses": ("/v1/responses", {"model": "responses/m", "input": "hi"}),
    "anthropic": (
        "/v1/messages",
        {"model": "claude/m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]},
    ),
    "gemini": (
        "/v1beta/models/gemini/m:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    ),
}
LIMITED = {
    "openai_chat": "rate_limit_exceeded",
    "openai_responses": "rate_limit_exceeded",
    "anthropic": "rate_limit_error",
    "gemini": "RESOURCE_EXHAUSTED",
}


class Limited:
    """A gateway whose key has limits, and its minute."""

    def __init__(self, stack: Stack, simulator: Simulator) -> None:
        self.stack, self.simulator = stack, simulator
        self.now = NOW
        stack.runtime.limiter.clock = lambda: self.now

    @property
    def use(self) -> Use:
        return self.stack.runtime.limiter.uses["tests"]

    def ask(
        self, protocol: str = "openai_chat", *, prompt: str = "hi", settles: bool = True, **members: Any
    ) -> httpx.Response:
        path, body = PROTOCOLS[protocol]
        if prompt != "hi":
            body = {**body, "messages": [{"role": "user", "content": prompt}]}
        try:
            return httpx.post(
                self.stack.url + path,
                json={**body, **members},
                headers={"authorization": f"Bearer {KEY}"},
                timeout=20,
            )
        finally:
            until(lambda: self.is_settled or not settles)

    @property
    def is_settled(self) -> bool:
        uses = self.stack.runtime.limiter.uses
        return not uses or self.use.slots.mine == 0

    @property
    def calls(self) -> int:
        return len(self.simulator.requests)


@contextmanager
def limited(settings: SimulatorSettings | None = None, **limits: int) -> Iterator[Limited]:
    def sections(url: str) -> Sections:
        return {**four_pools(url), "keys": [{"name": "tests", "key": KEY, **limits}]}

    with simulated(sections, settings) as (stack, simulator):
        yield Limited(stack, simulator)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_request_over_the_limit_is_a_429_in_the_callers_protocol_and_costs_no_upstream_call(
    protocol: str,
) -> None:
    with limited(rpm=2) as gateway:
        assert [gateway.ask(protocol).status_code for _ in range(2)] == [200, 200]
        refused = gateway.ask(protocol)

        assert refused.status_code == 429
        assert gateway.calls == 2
        error = refused.json()["error"]
        told = {"anthropic": error.get("type"), "gemini": error.get("status")}.get(protocol) or error["code"]
        assert told == LIMITED[protocol]
        assert "2 requests per minute" in error["message"]
        assert 1 <= int(refused.headers["retry-after"]) <= 30
        assert refused.headers["x-should-retry"] == "true"
        if protocol == "gemini":
            assert any("retryDelay" in detail for detail in error["details"])

        gateway.now = NOW + 125
        assert gateway.ask(protocol).status_code == 200


def test_what_is_left_is_told_in_the_headers_of_the_openai_protocols() -> None:
    with limited(rpm=10, tpm=100_000) as gateway:
        for protocol in ("openai_chat", "openai_responses"):
            headers = gateway.ask(protocol).headers
            assert headers["x-ratelimit-limit-requests"] == "10"
            assert headers["x-ratelimit-reset-requests"] == "2m0s"
            assert headers["x-ratelimit-limit-tokens"] == "100000"
            assert 90_000 < int(headers["x-ratelimit-remaining-tokens"]) < 100_000
        assert headers["x-ratelimit-remaining-requests"] == "8"
        assert gateway.ask(stream=True).headers["x-ratelimit-remaining-requests"] == "7"


def test_what_is_left_is_told_in_the_headers_of_messages_and_with_a_refusal_too() -> None:
    with limited(rpm=1) as gateway:
        for status in (200, 429):
            answer = gateway.ask("anthropic")
            assert answer.status_code == status
            assert answer.headers["anthropic-ratelimit-requests-limit"] == "1"
            assert answer.headers["anthropic-ratelimit-requests-remaining"] == "0"
            assert answer.headers["anthropic-ratelimit-requests-reset"] == "2027-01-15T08:02:00Z"


def test_gemini_and_keys_without_limits_get_no_such_headers() -> None:
    with limited(rpm=1) as gateway:
        assert not [name for name in gateway.ask("gemini").headers if "ratelimit" in name]
    with limited() as gateway:
        assert not [name for name in gateway.ask().headers if "ratelimit" in name]


def test_tokens_are_reserved_at_the_most_that_is_possible_and_settled_at_what_was_used() -> None:
    with limited(tpm=1000) as gateway:
        answer = gateway.ask(max_tokens=900)

        assert answer.status_code == 200
        assert gateway.use.tokens.mine == answer.json()["usage"]["total_tokens"] < 200
        assert int(answer.headers["x-ratelimit-remaining-tokens"]) < 100, "told while it was reserved"
        assert gateway.ask(max_tokens=900 - answer.json()["usage"]["total_tokens"]).status_code == 200
        refused = gateway.ask(max_tokens=990)
        assert (refused.status_code, gateway.calls) == (429, 2)
        assert "1000 tokens per minute" in refused.text


def test_an_answer_without_a_bound_may_be_the_only_one() -> None:
    with limited(tpm=3000) as gateway:
        assert gateway.ask().status_code == 200
        assert gateway.ask().status_code == 429


def test_a_request_that_is_larger_than_a_minute_is_refused_for_good() -> None:
    with limited(tpm=100) as gateway:
        refused = gateway.ask(prompt="word " * 200)

        assert refused.status_code == 429
        assert refused.headers["x-should-retry"] == "false"
        assert "larger than the client key's limit" in refused.text
        assert gateway.calls == 0


def test_a_picture_is_not_counted_by_its_bytes() -> None:
    picture = "data:image/png;base64," + "iVBORw0KGgo" * 40_000
    content = [{"type": "image_url", "image_url": {"url": picture}}]
    with limited(tpm=10_000) as gateway:
        answer = gateway.ask(messages=[{"role": "user", "content": content}], max_tokens=100)

        assert answer.status_code == 200, answer.text


def test_counting_tokens_uses_none_but_is_a_request() -> None:
    path, body = "/v1/messages/count_tokens", dict(PROTOCOLS["anthropic"][1])
    del body["max_tokens"]
    with limited(rpm=1, tpm=1) as gateway:
        answers = [
            httpx.post(gateway.stack.url + path, json=body, headers={"x-api-key": KEY}) for _ in range(2)
        ]

        assert [answer.status_code for answer in answers] == [200, 429]


def test_model_lists_are_not_limited() -> None:
    with limited(rpm=1) as gateway:
        for _ in range(3):
            answer = httpx.get(f"{gateway.stack.url}/v1/models", headers={"x-api-key": KEY})
            assert answer.status_code == 200


def test_no_more_requests_at_a_time_than_allowed_and_a_place_is_free_after_each_end() -> None:
    with limited(concurrency=1) as gateway:
        gateway.simulator.scenario.add(Rule(fault=Fault(delay=30), match=Match(prompt="wait")))
        for _ in range(3):
            client = _waiting(gateway)
            until(lambda: gateway.stack.runtime.limiter.uses and gateway.use.slots.mine == 1)
            refused = gateway.ask(settles=False)
            assert refused.status_code == 429
            assert "1 requests at a time" in refused.text
            client.close()
            until(lambda: gateway.use.slots.mine == 0)
        assert gateway.ask().status_code == 200
        assert gateway.use.slots.mine == 0


def _waiting(gateway: Limited) -> http.client.HTTPConnection:
    """A client that has asked for what takes long."""
    client = http.client.HTTPConnection(urlsplit(gateway.stack.url).netloc)
    body = json.dumps({"model": "chat/m", "messages": [{"role": "user", "content": "wait"}]})
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    client.request("POST", "/v1/chat/completions", body, headers)
    return client


ENDINGS: dict[str, tuple[Fault | None, dict[str, Any], int]] = {
    "an answer": (None, {}, 200),
    "a stream": (None, {"stream": True}, 200),
    "a stream that is cut": (Fault(cut_after_events=2, reset=True), {"stream": True}, 200),
    "an upstream's refusal": (Fault(status=400), {}, 400),
    "an upstream's failure": (Fault(status=500), {}, 502),
    "an unknown model": (None, {"model": "nowhere/m"}, 404),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_end_gives_the_place_back_and_leaves_what_was_used(ending: str) -> None:
    fault, members, status = ENDINGS[ending]
    with limited(concurrency=1, rpm=1000, tpm=1_000_000) as gateway:
        if fault is not None:
            gateway.simulator.scenario.add(Rule(fault=fault))
        for _ in range(3):
            answer = None
            try:
                answer = gateway.ask(**members)
            except httpx.RemoteProtocolError:
                assert fault
            assert answer is None or answer.status_code == status, answer.text
            until(lambda: gateway.use.slots.mine == 0)

        assert gateway.use.requests.mine == 3
        used = gateway.use.tokens.mine
        assert used < 4096, "a reservation was never given back"
        assert (used > 0) == (status == 200)


def test_a_request_that_is_refused_takes_no_place() -> None:
    with limited(rpm=1, concurrency=5) as gateway:
        assert [gateway.ask().status_code for _ in range(4)] == [200, 429, 429, 429]

        assert gateway.use.slots.mine == 0
        assert gateway.use.requests.mine == 1
