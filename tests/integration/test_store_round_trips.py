"""The normal path of a request waits for no store."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.harness import KEY, Sections, Stack, four_pools, simulated

VERBS = (
    "get", "get_many", "fields", "ranked", "put", "delete", "increment", "update", "claim", "apply", "scan", "time",
)  # fmt: skip


def counted(stack: Stack) -> list[str]:
    """The verbs that requests use from now on; nothing else runs in this gateway's background."""
    used: list[str] = []
    store: Any = stack.runtime.store
    for verb in VERBS:
        plain = getattr(store, verb)

        def call(*arguments: Any, verb: str = verb, plain: Any = plain) -> Any:
            used.append(verb)
            return plain(*arguments)

        setattr(store, verb, call)
    return used


def post(stack: Stack, path: str, body: dict[str, Any]) -> bytes:
    request = urllib.request.Request(
        stack.url + path,
        json.dumps(body).encode(),
        {"authorization": f"Bearer {KEY}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return answer.read()


TURN = [{"role": "user", "content": "hi"}]
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": "claude/m", "messages": TURN}),
    "chat, streamed": ("/v1/chat/completions", {"model": "chat/m", "messages": TURN, "stream": True}),
    "messages": ("/v1/messages", {"model": "gemini/m", "max_tokens": 100, "messages": TURN, "stream": True}),
    "responses": ("/v1/responses", {"model": "responses/m", "input": "hi"}),
    "gemini": (
        "/v1beta/models/chat/m:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    ),
}


def limited(url: str) -> Sections:
    key = {"name": "tests", "key": KEY, "rpm": 1000, "tpm": 1_000_000, "concurrency": 100}
    return {**four_pools(url), "keys": [key]}


@pytest.mark.parametrize("sections", [four_pools, limited])
@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_uses_no_verb_of_the_store(name: str, sections: Callable[[str], Sections]) -> None:
    path, body = REQUESTS[name]
    with simulated(sections) as (stack, _):
        used = counted(stack)
        for _ in range(3):
            assert post(stack, path, body)

        assert used == []


def test_a_conversation_that_this_node_began_is_continued_without_the_store() -> None:
    with simulated(four_pools) as (stack, _):
        used = counted(stack)
        first = json.loads(
            post(stack, "/v1/responses", {"model": "responses/m", "input": "hi", "store": True})
        )
        with contextlib.suppress(urllib.error.HTTPError):  # the simulator keeps no responses and says so
            post(
                stack,
                "/v1/responses",
                {"model": "responses/m", "input": "on", "previous_response_id": first["id"]},
            )

        assert used == []


def test_a_response_that_nobody_here_knows_is_asked_for_once() -> None:
    with simulated(four_pools) as (stack, _):
        used = counted(stack)
        with pytest.raises(urllib.error.HTTPError):
            post(
                stack,
                "/v1/responses",
                {"model": "responses/m", "input": "on", "previous_response_id": "resp_x"},
            )

        assert used == ["get"]
