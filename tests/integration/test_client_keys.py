"""Wherever a client key stands it has the same rights; two different ones are a mistake; no key is no access."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from aiclient2api.server.routes import Access, Routes
from aiclient2api.simulator.app import Simulator
from tests.harness import KEY, Sections, Stack, four_pools, simulated

LIMITED = "key-for-claude-only"


def sections(url: str) -> Sections:
    keys = [{"name": "tests", "key": KEY}, {"name": "limited", "key": LIMITED, "models": ["claude/*"]}]
    return {**four_pools(url), "keys": keys}


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Stack, Simulator]]:
    with simulated(sections) as (stack, simulator):
        yield stack, simulator


CARRIERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key", "?key=")
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "openai_chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    "openai_responses": ("/v1/responses", {"input": "hi"}),
    "anthropic": ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
    "gemini": (
        "/v1beta/models/{}:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    ),
}


def ask(stack: Stack, protocol: str, model: str, keys: dict[str, str]) -> httpx.Response:
    """A request with keys by their carrier."""
    path, body = BODIES[protocol]
    query = {"key": keys["?key="]} if "?key=" in keys else {}
    headers = {
        name: f"Bearer {key}" if name == "authorization" else key
        for name, key in keys.items()
        if name != "?key="
    }
    return httpx.post(
        stack.url + path.format(model), params=query, json={"model": model, **body}, headers=headers
    )


def told(protocol: str, answer: httpx.Response) -> str:
    error = answer.json()["error"]
    return (
        {"anthropic": error.get("type"), "gemini": error.get("status")}.get(protocol)
        or error["code"]
        or error["type"]
    )


FORBIDDEN = {
    "openai_chat": "permission_denied",
    "openai_responses": "permission_denied",
    "anthropic": "permission_error",
    "gemini": "PERMISSION_DENIED",
}
UNKNOWN = {
    "openai_chat": "invalid_api_key",
    "openai_responses": "invalid_api_key",
    "anthropic": "authentication_error",
    "gemini": "UNAUTHENTICATED",
}


@pytest.mark.parametrize("protocol", BODIES)
@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_same_key_has_the_same_rights_in_every_place(
    pair: tuple[Stack, Simulator], carrier: str, protocol: str
) -> None:
    stack, simulator = pair

    allowed = ask(stack, protocol, "claude/x", {carrier: LIMITED})
    before = len(simulator.requests)
    forbidden = ask(stack, protocol, "chat/x", {carrier: LIMITED})
    unknown = ask(stack, protocol, "claude/x", {carrier: "not-a-key"})

    assert allowed.status_code == 200, allowed.text
    assert (forbidden.status_code, told(protocol, forbidden)) == (403, FORBIDDEN[protocol])
    assert "chat/x" in forbidden.text
    assert (unknown.status_code, told(protocol, unknown)) == (401, UNKNOWN[protocol])
    assert len(simulator.requests) == before


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_upstream_gets_its_own_key_and_never_the_clients(
    pair: tuple[Stack, Simulator], carrier: str
) -> None:
    stack, simulator = pair
    for protocol, pool in (
        ("openai_chat", "chat"),
        ("anthropic", "claude"),
        ("gemini", "gemini"),
        ("gemini", "chat"),
    ):
        ask(stack, protocol, f"{pool}/x", {carrier: KEY})

        sent = simulator.requests[-1]
        assert sent.key == f"upstream-{pool}-1"
        assert KEY not in sent.query + repr(sent.headers) + sent.body.decode()


@pytest.mark.parametrize("protocol", BODIES)
@pytest.mark.parametrize("other", ["x-api-key", "x-goog-api-key", "api-key", "?key="])
def test_two_different_keys_are_a_400_and_one_key_twice_is_not(
    pair: tuple[Stack, Simulator], other: str, protocol: str
) -> None:
    stack, _ = pair

    different = ask(stack, protocol, "claude/x", {"authorization": KEY, other: LIMITED})
    same = ask(stack, protocol, "claude/x", {"authorization": KEY, other: KEY})

    assert different.status_code == 400
    assert "two different client keys" in different.text
    assert not any(key in different.text for key in (KEY, LIMITED))
    assert same.status_code == 200


SAMPLES = [
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/responses"),
    ("POST", "/v1/responses/input_tokens"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/messages/count_tokens"),
    ("POST", "/v1beta/models/claude/x:generateContent"),
    ("POST", "/v1/models/x:streamGenerateContent"),
    ("POST", "/v1alpha/tunedModels/x:countTokens"),
    ("POST", "/v1beta/models/x:embedContent"),
    ("POST", "/v1beta/models/x:batchEmbedContents"),
    ("GET", "/v1/models"),
    ("GET", "/v1beta/models/claude/x"),
]


def test_every_route_but_the_public_ones_refuses_a_request_without_a_key(
    pair: tuple[Stack, Simulator],
) -> None:
    stack, simulator = pair
    routes = Routes(stack.runtime.services.converters, stack.runtime.pools.keys())
    visited = set[int]()
    before = len(simulator.requests)
    for method, path in SAMPLES:
        found, _ = routes.find(method, path)
        assert found is not None, path
        visited.add(id(found.route))
        # as a proxy passes it on: what an operator on this machine may do is no concern here
        answer = httpx.request(method, stack.url + path, json={}, headers={"x-forwarded-for": "203.0.113.9"})
        assert answer.status_code == (200 if found.route.access is Access.PUBLIC else 401), path
        if found.route.access is Access.KEY:
            pooled = httpx.request(method, f"{stack.url}/claude{path}", json={})
            assert pooled.status_code == 401, path

    assert visited == {id(route) for route in routes.table}, "a route has no sample here"
    assert len(simulator.requests) == before


def test_only_health_is_public(pair: tuple[Stack, Simulator]) -> None:
    routes = Routes(pair[0].runtime.services.converters, ())

    assert [route.name for route in routes.table if route.access is Access.PUBLIC] == ["healthz", "readyz"]
    assert [route.name for route in routes.table if route.access is Access.OPERATOR] == ["metrics"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_an_unlisted_path_tells_nothing_without_a_key(pair: tuple[Stack, Simulator], method: str) -> None:
    for path in (
        "/",
        "/admin/api/accounts",
        "/console/",
        "/v1/files",
        "/claude/healthz",
        "/claude/metrics",
        "/docs",
    ):
        assert httpx.request(method, pair[0].url + path).status_code == 401, path
