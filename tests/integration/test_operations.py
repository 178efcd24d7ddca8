"""Token counts and embeddings: relayed to an account of the client's own protocol, refused where there is none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai

from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.scenario import Fault, Match, Rule
from tests.harness import KEY, Sections, Stack, four_pools, simulated

MESSAGES = [{"role": "user", "content": "one two three"}]
CONTENTS = [{"role": "user", "parts": [{"text": "one two three"}]}]


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Stack, Simulator]]:
    with simulated(four_pools) as (stack, simulator):
        yield stack, simulator


def post(stack: Stack, path: str, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(stack.url + path, json=body, headers={"authorization": f"Bearer {KEY}"})


def direct(stack: Stack, path: str, body: dict[str, Any]) -> Any:
    """The upstream's own answer."""
    headers = {
        "authorization": "Bearer k",
        "x-api-key": "k",
        "x-goog-api-key": "k",
        "anthropic-version": "2023-06-01",
    }
    return httpx.post(stack.upstream_url + path, json=body, headers=headers).json()


OPERATIONS = {
    "count_tokens": (
        "/v1/messages/count_tokens",
        {"model": "claude/claude-x", "messages": MESSAGES, "system": "Be  brief"},
        "/v1/messages/count_tokens",
        {"model": "claude-x", "messages": MESSAGES, "system": "Be  brief"},
    ),
    "countTokens": (
        "/v1beta/models/gemini/gemini-x:countTokens",
        {"contents": CONTENTS},
        "/v1beta/models/gemini-x:countTokens",
        {"contents": CONTENTS},
    ),
    "countTokens of a whole request": (
        "/v1beta/models/gemini/gemini-x:countTokens",
        {"generateContentRequest": {"model": "models/gemini/gemini-x", "contents": CONTENTS}},
        "/v1beta/models/gemini-x:countTokens",
        {"generateContentRequest": {"model": "models/gemini-x", "contents": CONTENTS}},
    ),
    "embeddings": (
        "/v1/embeddings",
        {"model": "chat/text-embedding-3-small", "input": ["a b", "c"], "dimensions": 4},
        "/v1/embeddings",
        {"model": "text-embedding-3-small", "input": ["a b", "c"], "dimensions": 4},
    ),
    "embedContent": (
        "/v1beta/models/gemini/embedding-x:embedContent",
        {"model": "models/gemini/embedding-x", "content": {"parts": [{"text": "a b"}]}},
        "/v1beta/models/embedding-x:embedContent",
        {"model": "models/embedding-x", "content": {"parts": [{"text": "a b"}]}},
    ),
    "batchEmbedContents": (
        "/v1beta/models/gemini/embedding-x:batchEmbedContents",
        {"requests": [{"model": "models/gemini/embedding-x", "content": {"parts": [{"text": "a b"}]}}]},
        "/v1beta/models/embedding-x:batchEmbedContents",
        {"requests": [{"model": "models/embedding-x", "content": {"parts": [{"text": "a b"}]}}]},
    ),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_it_is_relayed_with_nothing_but_the_model_changed(
    pair: tuple[Stack, Simulator], operation: str
) -> None:
    stack, simulator = pair
    path, body, upstream_path, upstream_body = OPERATIONS[operation]

    answer = post(stack, path, body)

    sent = simulator.requests[-1]
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-a2-conversion"] == "relay"
    assert (sent.path, json.loads(sent.body)) == (upstream_path, upstream_body)
    assert sent.key == ("upstream-gemini-1" if "v1beta" in path else sent.key)
    assert answer.json() == direct(stack, upstream_path, upstream_body)


ELSEWHERE = [
    pytest.param(
        "/v1/messages/count_tokens", {"model": "chat/x", "messages": MESSAGES}, id="count_tokens-chat"
    ),
    pytest.param(
        "/v1/messages/count_tokens", {"model": "gemini/x", "messages": MESSAGES}, id="count_tokens-gemini"
    ),
    pytest.param("/v1beta/models/claude/x:countTokens", {"contents": CONTENTS}, id="countTokens-claude"),
    pytest.param("/v1/embeddings", {"model": "claude/x", "input": "a"}, id="embeddings-claude"),
    pytest.param("/v1/embeddings", {"model": "responses/x", "input": "a"}, id="embeddings-responses"),
    pytest.param(
        "/v1beta/models/chat/x:embedContent", {"content": {"parts": [{"text": "a"}]}}, id="embedContent-chat"
    ),
    pytest.param("/v1beta/models/chat/x:batchEmbedContents", {"requests": []}, id="batchEmbedContents-chat"),
]


@pytest.mark.parametrize(("path", "body"), ELSEWHERE)
def test_without_an_account_of_the_protocol_it_is_a_400_that_says_so(
    pair: tuple[Stack, Simulator], path: str, body: dict[str, Any]
) -> None:
    stack, simulator = pair
    before = len(simulator.requests)

    answer = post(stack, path, body)

    assert answer.status_code == 400, answer.text
    operation = "count_tokens" if "ount" in path else "embed"
    assert f"{operation} is not available for this model on this route" in answer.json()["error"]["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert len(simulator.requests) == before


def test_official_sdks_count_and_embed(pair: tuple[Stack, Simulator]) -> None:
    stack, _ = pair
    with (
        anthropic.Anthropic(base_url=stack.url, api_key=KEY) as claude,
        openai.OpenAI(base_url=f"{stack.url}/v1", api_key=KEY) as chat,
        genai.Client(api_key=KEY, http_options={"base_url": stack.url}) as gemini,
    ):
        counted = claude.messages.count_tokens(
            model="claude/x", messages=[{"role": "user", "content": "one two three"}]
        )
        embedded = chat.embeddings.create(model="chat/embedding", input="a b", dimensions=4)
        gemini_counted = gemini.models.count_tokens(model="gemini/x", contents="one two three")
        gemini_embedded = gemini.models.embed_content(model="gemini/embedding", contents=["a b", "c"])

    assert counted.input_tokens == 3
    assert len(embedded.data[0].embedding) == 4
    assert gemini_counted.total_tokens == 3
    assert len(gemini_embedded.embeddings or ()) == 2


def mixed_pool(url: str) -> Sections:
    """One pool, two protocols."""
    return {
        "accounts": {
            "claude": {
                "provider": "anthropic_compatible",
                "base_url": url,
                "api_key": "claude",
                "pool": "mixed",
            },
            "chat": {
                "provider": "openai_compatible",
                "base_url": f"{url}/v1",
                "api_key": "chat",
                "pool": "mixed",
            },
        },
        "models": {"m": {"targets": ["mixed/x"]}},
        "system_prompt": {"mode": "append", "text": "Our own words"},
    }


def test_of_a_mixed_pool_only_the_accounts_of_the_protocol_are_asked() -> None:
    with simulated(mixed_pool) as (stack, simulator):
        for _ in range(3):
            assert post(stack, "/v1/embeddings", {"model": "m", "input": "a"}).status_code == 200
            assert (
                post(stack, "/v1/messages/count_tokens", {"model": "m", "messages": MESSAGES}).status_code
                == 200
            )

        asked = [(request.key, request.path) for request in simulator.requests]
        assert set(asked) == {("chat", "/v1/embeddings"), ("claude", "/v1/messages/count_tokens")}


def test_an_account_that_is_out_is_no_mistake_of_the_client() -> None:
    with simulated(mixed_pool) as (stack, simulator):
        simulator.scenario.add(Rule(fault=Fault(status=401), match=Match(key="chat")))
        first = post(stack, "/v1/embeddings", {"model": "m", "input": "a"})

        second = post(stack, "/v1/embeddings", {"model": "m", "input": "a"})

        assert (first.status_code, second.status_code) == (502, 503)
        assert len(simulator.requests) == 1


def test_only_the_wait_for_accounts_of_the_protocol_is_told() -> None:
    with simulated(mixed_pool) as (stack, simulator):
        simulator.scenario.add(
            Rule(fault=Fault(status=429, retry_after=20), match=Match(key="claude"), times=1)
        )
        assert (
            post(stack, "/v1/messages/count_tokens", {"model": "m", "messages": MESSAGES}).status_code == 429
        )
        simulator.scenario.add(Rule(fault=Fault(status=401), match=Match(key="chat"), times=1))
        assert post(stack, "/v1/embeddings", {"model": "m", "input": "a"}).status_code == 502

        assert post(stack, "/v1/embeddings", {"model": "m", "input": "a"}).status_code == 503
        assert (
            post(stack, "/v1/messages/count_tokens", {"model": "m", "messages": MESSAGES}).status_code == 429
        )


def test_the_operators_system_text_is_counted_but_never_embedded() -> None:
    with simulated(mixed_pool) as (stack, simulator):
        counted = post(stack, "/v1/messages/count_tokens", {"model": "m", "messages": MESSAGES})
        embedded = post(stack, "/v1/embeddings", {"model": "m", "input": "a"})

        assert counted.json() == {"input_tokens": 6}
        assert counted.headers["x-a2-conversion"] == "patch"
        assert embedded.headers["x-a2-conversion"] == "relay"
        assert b"Our own words" not in simulator.requests[-1].body
