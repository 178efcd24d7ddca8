"""Token counts and embeddings: relayed to an account of the client's own protocol, else converted."""

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


CONVERTED_COUNTS = [
    pytest.param(
        "/v1/messages/count_tokens", {"model": "gemini/x", "messages": MESSAGES}, id="claude-gemini"
    ),
    pytest.param(
        "/v1/messages/count_tokens", {"model": "responses/x", "messages": MESSAGES}, id="claude-responses"
    ),
    pytest.param("/v1beta/models/claude/x:countTokens", {"contents": CONTENTS}, id="gemini-claude"),
    pytest.param("/v1beta/models/responses/x:countTokens", {"contents": CONTENTS}, id="gemini-responses"),
    pytest.param(
        "/v1/responses/input_tokens", {"model": "claude/x", "input": "one two three"}, id="responses-claude"
    ),
    pytest.param(
        "/v1/responses/input_tokens", {"model": "gemini/x", "input": "one two three"}, id="responses-gemini"
    ),
]


def count_of(answer: httpx.Response) -> int:
    body = answer.json()
    return body["totalTokens"] if "totalTokens" in body else body["input_tokens"]


@pytest.mark.parametrize(("path", "body"), CONVERTED_COUNTS)
def test_a_count_of_another_protocol_is_the_upstreams_own(
    pair: tuple[Stack, Simulator], path: str, body: dict[str, Any]
) -> None:
    stack, _ = pair

    answer = post(stack, path, body)

    assert answer.status_code == 200, answer.text
    assert count_of(answer) == 3
    assert "approximated" not in answer.headers["x-a2-conversion"]


ESTIMATED_COUNTS = [
    pytest.param("/v1/messages/count_tokens", {"model": "chat/x", "messages": MESSAGES}, id="claude"),
    pytest.param("/v1beta/models/chat/x:countTokens", {"contents": CONTENTS}, id="gemini"),
    pytest.param("/v1/responses/input_tokens", {"model": "chat/x", "input": "one two three"}, id="responses"),
]


@pytest.mark.parametrize(("path", "body"), ESTIMATED_COUNTS)
def test_where_the_upstream_offers_no_count_it_is_estimated_and_says_so(
    pair: tuple[Stack, Simulator], path: str, body: dict[str, Any]
) -> None:
    stack, simulator = pair
    before = len(simulator.requests)

    answer = post(stack, path, body)

    assert answer.status_code == 200, answer.text
    assert count_of(answer) == 8  # 13 characters / 4, and 4 around the turn
    assert "approximated=count_tokens" in answer.headers["x-a2-conversion"]
    assert len(simulator.requests) == before


def test_strict_takes_no_estimate(pair: tuple[Stack, Simulator]) -> None:
    stack, _ = pair
    headers = {"authorization": f"Bearer {KEY}", "x-a2-strict": "1"}
    body = {"model": "chat/x", "messages": MESSAGES}

    answer = httpx.post(f"{stack.url}/v1/messages/count_tokens", json=body, headers=headers)

    assert answer.status_code == 400
    assert "count_tokens" in answer.json()["error"]["message"]


def test_embeddings_of_openai_clients_from_gemini(pair: tuple[Stack, Simulator]) -> None:
    stack, simulator = pair

    answer = post(
        stack, "/v1/embeddings", {"model": "gemini/e", "input": ["a b", "c"], "dimensions": 4, "user": "u"}
    )

    sent = simulator.requests[-1]
    assert sent.path == "/v1beta/models/e:batchEmbedContents"
    upstream = direct(stack, sent.path, json.loads(sent.body))
    assert answer.json() == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": vector["values"]}
            for index, vector in enumerate(upstream["embeddings"])
        ],
        "model": "gemini/e",
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }
    assert answer.headers["x-a2-conversion"] == "openai_chat>gemini; defaulted=usage.detail; dropped=user"


@pytest.mark.parametrize(
    ("method", "body", "vectors"),
    [
        ("embedContent", {"content": {"parts": [{"text": "a b"}]}, "outputDimensionality": 4}, 1),
        (
            "batchEmbedContents",
            {
                "requests": [
                    {"content": {"parts": [{"text": text}]}, "outputDimensionality": 4} for text in "ab"
                ]
            },
            2,
        ),
    ],
)
def test_embeddings_of_gemini_clients_from_openai(
    pair: tuple[Stack, Simulator], method: str, body: dict[str, Any], vectors: int
) -> None:
    stack, simulator = pair

    answer = post(stack, f"/v1beta/models/chat/e:{method}", body)

    sent = json.loads(simulator.requests[-1].body)
    assert sent["dimensions"] == 4
    upstream = [item["embedding"] for item in direct(stack, "/v1/embeddings", sent)["data"]]
    if vectors == 1:
        assert sent["input"] == "a b"
        assert answer.json() == {"embedding": {"values": upstream[0]}}
    else:
        assert sent["input"] == ["a", "b"]
        assert answer.json() == {"embeddings": [{"values": vector} for vector in upstream]}


ELSEWHERE = [
    pytest.param("/v1/embeddings", {"model": "claude/x", "input": "a"}, id="embeddings-claude"),
    pytest.param("/v1/embeddings", {"model": "responses/x", "input": "a"}, id="embeddings-responses"),
]


@pytest.mark.parametrize(("path", "body"), ELSEWHERE)
def test_without_an_account_that_embeds_it_is_a_400_that_says_so(
    pair: tuple[Stack, Simulator], path: str, body: dict[str, Any]
) -> None:
    stack, simulator = pair
    before = len(simulator.requests)

    answer = post(stack, path, body)

    assert answer.status_code == 400, answer.text
    assert "embeddings are not available for this model on this route" in answer.json()["error"]["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert len(simulator.requests) == before


MALFORMED = [
    pytest.param("/v1/embeddings", {"model": "gemini/e", "input": []}, "input", id="nothing"),
    pytest.param("/v1/embeddings", {"model": "gemini/e", "input": ["a", {}]}, "input[1]", id="an object"),
    pytest.param("/v1/embeddings", {"model": "gemini/e", "input": [1, 2]}, "vocabulary", id="tokens"),
    pytest.param("/v1beta/models/chat/e:embedContent", {}, "content", id="no content"),
    pytest.param("/v1beta/models/chat/e:batchEmbedContents", {"requests": []}, "requests", id="no request"),
]


@pytest.mark.parametrize(("path", "body", "told"), MALFORMED)
def test_what_cannot_be_embedded_is_the_clients_mistake(
    pair: tuple[Stack, Simulator], path: str, body: dict[str, Any], told: str
) -> None:
    stack, simulator = pair
    before = len(simulator.requests)

    answer = post(stack, path, body)

    assert answer.status_code == 400, answer.text
    assert told in answer.json()["error"]["message"]
    assert len(simulator.requests) == before


def test_official_sdks_count_and_embed_across_protocols(pair: tuple[Stack, Simulator]) -> None:
    stack, _ = pair
    with (
        anthropic.Anthropic(base_url=stack.url, api_key=KEY) as claude,
        openai.OpenAI(base_url=f"{stack.url}/v1", api_key=KEY) as chat,
        genai.Client(api_key=KEY, http_options={"base_url": stack.url}) as gemini,
    ):
        counted = claude.messages.count_tokens(
            model="gemini/x", messages=[{"role": "user", "content": "one two three"}]
        )
        packed = chat.embeddings.create(model="gemini/e", input="a b", dimensions=4)
        plain = chat.embeddings.create(model="gemini/e", input="a b", dimensions=4, encoding_format="float")
        gemini_counted = gemini.models.count_tokens(model="claude/x", contents="one two three")
        gemini_embedded = gemini.models.embed_content(model="chat/e", contents=["a b", "c"])

    assert counted.input_tokens == 3
    assert packed.data[0].embedding == plain.data[0].embedding
    assert len(plain.data[0].embedding) == 4
    assert gemini_counted.total_tokens == 3
    assert len(gemini_embedded.embeddings or ()) == 2


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

        assert (first.status_code, second.status_code) == (
            503,
            503,
        )  # not a 502: the account is the trouble (F20)
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
        assert post(stack, "/v1/embeddings", {"model": "m", "input": "a"}).status_code == 503

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
