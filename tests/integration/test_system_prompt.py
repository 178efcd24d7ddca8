"""The operator's own system text reaches the upstream, whoever asks and whoever answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from aiclient2api.simulator.app import Simulator
from tests.harness import KEY, Sections, Stack, four_pools, simulated

OURS = "Operator text"
THEIRS = "Client text"
POOLS = {"openai_chat": "chat", "openai_responses": "responses", "anthropic": "claude", "gemini": "gemini"}
CLIENTS = list(POOLS)
PAIRS = [
    pytest.param(client, upstream, id=f"{client}-{upstream}") for client in CLIENTS for upstream in POOLS
]


@pytest.fixture(scope="module")
def stacks() -> Iterator[dict[str, tuple[Stack, Simulator]]]:
    """A gateway for each mode."""

    def sections(mode: str) -> Any:
        def made(url: str) -> Sections:
            return {**four_pools(url), "system_prompt": {"mode": mode, "text": OURS}}

        return made

    with ExitStack() as stack:
        yield {mode: stack.enter_context(simulated(sections(mode))) for mode in ("append", "replace", "off")}


def request(client: str, model: str, system: str | None) -> tuple[str, dict[str, Any]]:
    """Path and body, with or without the client's own system text."""
    match client:
        case "openai_chat":
            before = [{"role": "system", "content": system}] if system else []
            return "/v1/chat/completions", {
                "model": model,
                "messages": [*before, {"role": "user", "content": "Hello"}],
            }
        case "openai_responses":
            instructions = {"instructions": system} if system else {}
            return "/v1/responses", {"model": model, "input": "Hello", **instructions}
        case "anthropic":
            own = {"system": system} if system else {}
            messages = [{"role": "user", "content": "Hello"}]
            return "/v1/messages", {"model": model, "max_tokens": 99, "messages": messages, **own}
        case _:
            own = {"systemInstruction": {"parts": [{"text": system}]}} if system else {}
            contents = [{"role": "user", "parts": [{"text": "Hello"}]}]
            return f"/v1beta/models/{model}:generateContent", {"contents": contents, **own}


def ask(stack: Stack, client: str, upstream: str, system: str | None) -> httpx.Response:
    path, body = request(client, f"{POOLS[upstream]}/x", system)
    answer = httpx.post(stack.url + path, json=body, headers={"x-api-key": KEY})
    assert answer.status_code == 200, answer.text
    return answer


def said(client: str, answer: httpx.Response) -> str:
    body = answer.json()
    match client:
        case "openai_chat":
            return body["choices"][0]["message"]["content"]
        case "openai_responses":
            return body["output"][0]["content"][0]["text"]
        case "anthropic":
            return body["content"][0]["text"]
        case _:
            return body["candidates"][0]["content"]["parts"][0]["text"]


def label(client: str, upstream: str, same: str) -> str:
    return same if client == upstream else f"{client}>{upstream}"


def system_seen(text: str) -> list[str]:
    """The system text that the simulated model says it got, piece by piece."""
    assert text.startswith("You said: Hello")
    _, _, marked = text.partition("[system: ")
    return marked.removesuffix("]").split()


def words(*texts: str) -> list[str]:
    return " ".join(texts).split()


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_append_puts_it_behind_the_clients(
    stacks: dict[str, tuple[Stack, Simulator]], client: str, upstream: str
) -> None:
    stack, _ = stacks["append"]

    answer = ask(stack, client, upstream, THEIRS)

    assert system_seen(said(client, answer)) == words(THEIRS, OURS)
    assert answer.headers["x-a2-conversion"].split(";")[0] == label(client, upstream, "patch")


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_append_stands_alone_without_one(
    stacks: dict[str, tuple[Stack, Simulator]], client: str, upstream: str
) -> None:
    stack, _ = stacks["append"]

    answer = ask(stack, client, upstream, None)

    assert system_seen(said(client, answer)) == words(OURS)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_replace_takes_the_place_of_the_clients(
    stacks: dict[str, tuple[Stack, Simulator]], client: str, upstream: str
) -> None:
    stack, simulator = stacks["replace"]

    answer = ask(stack, client, upstream, THEIRS)

    assert system_seen(said(client, answer)) == words(OURS)
    assert THEIRS.encode() not in simulator.requests[-1].body
    assert answer.headers["x-a2-conversion"].split(";")[0] == label(client, upstream, "patch")


@pytest.mark.parametrize("client", CLIENTS)
def test_off_leaves_the_request_alone(stacks: dict[str, tuple[Stack, Simulator]], client: str) -> None:
    stack, _ = stacks["off"]

    answer = ask(stack, client, client, THEIRS)

    assert system_seen(said(client, answer)) == words(THEIRS)
    assert answer.headers["x-a2-conversion"] == "relay"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_relay_changes_nothing_else(stacks: dict[str, tuple[Stack, Simulator]], client: str) -> None:
    stack, simulator = stacks["append"]

    ask(stack, client, client, THEIRS)

    _, asked = request(client, "x", THEIRS)
    sent = json.loads(simulator.requests[-1].body)
    changed = {name for name in {*asked, *sent} if asked.get(name) != sent.get(name)}
    assert changed == {
        {"openai_chat": "messages", "openai_responses": "instructions", "anthropic": "system"}.get(
            client, "systemInstruction"
        )
    }
    if client == "openai_chat":
        assert sent["messages"] == [
            asked["messages"][0],
            {"role": "system", "content": OURS},
            asked["messages"][1],
        ]


@pytest.mark.parametrize("client", CLIENTS)
def test_the_same_conversation_gets_it_at_the_same_place(
    stacks: dict[str, tuple[Stack, Simulator]], client: str
) -> None:
    """Byte for byte, so that the upstream's prompt cache keeps hitting."""
    stack, simulator = stacks["append"]
    for _ in range(2):
        ask(stack, client, "anthropic", THEIRS)

    assert simulator.requests[-1].body == simulator.requests[-2].body
