"""Whatever arrives, the answer is a clear error in the client's protocol, and no account is blamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.harness import KEY, Stack, four_pools, simulated

PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/claude/x:generateContent",
}
GOOD: dict[str, dict[str, Any]] = {
    "openai_chat": {"model": "claude/x", "messages": [{"role": "user", "content": "hi"}]},
    "openai_responses": {"model": "gemini/x", "input": "hi"},
    "anthropic": {"model": "chat/x", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}
PROTOCOLS = list(PATHS)


@pytest.fixture(scope="module")
def stack(server_name: str) -> Iterator[Stack]:
    def sections(url: str) -> dict[str, Any]:
        return {**four_pools(url), "limits": {"body": "64KiB"}, "server": {"http": server_name}}

    with simulated(sections) as (running, _):
        yield running


def send(stack: Stack, protocol: str, body: bytes, key: str = KEY, method: str = "POST") -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.request(method, stack.url + PATHS[protocol], content=body, headers=headers)


def told(protocol: str, answer: httpx.Response) -> tuple[str, str]:
    """Type (or status word) and message, in the protocol's own shape; fails on any other shape."""
    error = answer.json()["error"]
    match protocol:
        case "openai_chat" | "openai_responses":
            assert set(error) >= {"message", "type", "code", "param"}
            return error["type"], error["message"]
        case "anthropic":
            assert answer.json()["type"] == "error"
            assert answer.json()["request_id"] == answer.headers["x-request-id"]
            return error["type"], error["message"]
        case _:
            assert error["code"] == answer.status_code
            return error["status"], error["message"]


DEEP = (
    b'{"messages":'
    + b"[" * 100_00
    + b"]" * 100_00
    + b',"model":"claude/x","contents":[],"input":"x","max_tokens":1}'
)
BAD_BODIES = {
    "empty": b"",
    "not json": b"hello",
    "truncated": b'{"model": "claude/x", "mess',
    "not an object": b'["model"]',
    "deep nesting": DEEP,
    "lone surrogate": b'{"model":"claude/x","x":"\\ud800","messages":[],"contents":[],"input":"a"}',
    "invalid utf-8 in a name": b'{"model":"claude/\xff","messages":[],"contents":[{"role":"\xff"}],"input":"a"}',
    "NaN": b'{"model":"claude/x","temperature":NaN,"messages":[],"contents":[],"input":"a"}',
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_malformed_bodies_are_a_400(stack: Stack, protocol: str, body: bytes) -> None:
    answer = send(stack, protocol, body)

    assert answer.status_code == 400, answer.text
    assert told(protocol, answer)[0] in ("invalid_request_error", "INVALID_ARGUMENT")
    assert answer.headers["x-should-retry"] == "false"


WRONG = {
    "openai_chat": [{"messages": "hi"}, {"messages": [{"role": "user"}, 5]}, {"messages": [{"role": "wizard", "content": "x"}]}, {"model": 5}, {"model": ""}, {"stream": "yes"}, {"tools": [{"type": "function"}]}],
    "openai_responses": [{"input": 5}, {"model": None}, {"tools": "x"}, {"input": [5]}],
    "anthropic": [{"messages": "hi"}, {"model": {}}, {"messages": [{"role": "user", "content": 5}]}, {"stream": 1}, {"tools": {}}],
    "gemini": [{"contents": "x"}, {"contents": [5]}, {"generationConfig": 7}, {"tools": "x"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("protocol", "change"), [(p, c) for p in PROTOCOLS for c in WRONG[p]], ids=lambda x: json.dumps(x)[:60]
)
def test_wrong_types_and_missing_members_are_a_400_that_names_the_place(
    stack: Stack, protocol: str, change: dict[str, Any]
) -> None:
    answer = send(stack, protocol, json.dumps({**GOOD[protocol], **change}).encode())

    assert answer.status_code == 400, answer.text
    name = next(iter(change))
    assert name in told(protocol, answer)[1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_huge_numbers_do_not_break_anything(stack: Stack, protocol: str) -> None:
    body = json.dumps({**GOOD[protocol], "metadata_number": 1}).replace(
        '"metadata_number": 1', '"surprise": ' + "9" * 400
    )

    assert send(stack, protocol, body.encode()).status_code in (200, 400)


@pytest.mark.parametrize("protocol", ["openai_chat", "openai_responses", "anthropic"])
def test_an_unknown_model_is_a_404_that_says_what_was_tried(stack: Stack, protocol: str) -> None:
    answer = send(stack, protocol, json.dumps({**GOOD[protocol], "model": "nobody-knows-this"}).encode())

    assert answer.status_code == 404
    assert "nobody-knows-this" in told(protocol, answer)[1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("key", ["", "wrong", KEY[:-1], KEY + "x", KEY.upper()])
def test_an_unknown_key_is_a_401(stack: Stack, protocol: str, key: str) -> None:
    answer = send(stack, protocol, json.dumps(GOOD[protocol]).encode(), key=key)

    assert answer.status_code == 401
    assert key not in answer.text or not key


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_body_over_the_limit_is_a_413_before_it_is_read(stack: Stack, protocol: str) -> None:
    assert send(stack, protocol, b"x" * 70_000).status_code == 413


def test_a_chunked_body_over_the_limit_is_a_413(stack: Stack) -> None:
    pieces = (b"x" * 1000 for _ in range(70))
    answer = httpx.post(f"{stack.url}/v1/messages", content=pieces, headers={"x-api-key": KEY})

    assert answer.status_code == 413


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_wrong_method_is_a_405(stack: Stack, protocol: str) -> None:
    assert send(stack, protocol, b"", method="PUT").status_code == 405


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/nope", "/admin/api", "/../etc/passwd", "/v1/messages/../x", "/nopool/v1/messages"],
)
def test_an_unknown_path_is_a_404_with_a_key_and_a_401_without(stack: Stack, path: str) -> None:
    assert httpx.post(stack.url + path, headers={"x-api-key": KEY}).status_code == 404
    assert httpx.post(stack.url + path).status_code == 401


def test_a_model_name_cannot_lead_elsewhere_on_the_upstream(stack: Stack) -> None:
    for name in ("gemini/../../v1/files", "gemini/..%2f..%2fx", "gemini/x%3Fkey=1", "gemini/x%23y"):
        path = f"/v1beta/models/{name}:generateContent"
        answer = httpx.post(stack.url + path, json=GOOD["gemini"], headers={"x-api-key": KEY})
        assert answer.status_code in (200, 400, 404), answer.text
        if answer.status_code == 200:
            assert answer.json()["modelVersion"].startswith("simulator/x")


def test_nothing_was_held_against_an_account(stack: Stack) -> None:
    for pool in stack.runtime.pools.values():
        for account in pool.accounts:
            assert account.state.status.value == "healthy"
            assert account.state.strikes == 0
            assert account.inflight == 0


@pytest.mark.parametrize("protocol", ["openai_chat", "openai_responses", "anthropic"])
def test_the_name_of_a_model_has_a_bound(stack: Stack, protocol: str) -> None:
    pool = GOOD[protocol]["model"].partition("/")[0]
    longest = f"{pool}/{'x' * (511 - len(pool))}"

    fine = send(stack, protocol, json.dumps({**GOOD[protocol], "model": longest}).encode())
    answer = send(stack, protocol, json.dumps({**GOOD[protocol], "model": longest + "x"}).encode())

    assert fine.status_code == 200, fine.text
    assert answer.status_code == 400
    assert told(protocol, answer)[1] == "the model's name is longer than 512 characters"
