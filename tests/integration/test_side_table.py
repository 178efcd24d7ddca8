"""Clients that rebuild their messages from text and calls: what they leave out comes from the side table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiclient2api.simulator.app import Simulator
from tests.harness import KEY, Sections, Stack, four_pools, simulated
from tests.program import serving_program, simulating
from tests.store.servers import running, until

OTHER_KEY = "key-of-somebody-else"
MODES = pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
ASKED = {"role": "user", "content": "Please use get_weather"}

Items = list[dict[str, Any]]


def sections(url: str) -> Sections:
    keys = [{"name": "tests", "key": KEY}, {"name": "other", "key": OTHER_KEY}]
    return {**four_pools(url), "keys": keys}


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Stack, Simulator]]:
    with simulated(sections) as (stack, simulator):
        yield stack, simulator


def ask(url: str, model: str, messages: Items, *, stream: bool = False, key: str = KEY) -> httpx.Response:
    """A Chat request with thinking and a tool."""
    function = {"name": "get_weather", "parameters": PARAMETERS}
    body = {
        "model": model,
        "messages": messages,
        "reasoning_effort": "high",
        "max_tokens": 8000,
        "tools": [{"type": "function", "function": function}],
        "stream": stream,
    }
    answer = httpx.post(
        f"{url}/v1/chat/completions",
        json=body,
        headers={"authorization": f"Bearer {key}"},
        timeout=60,
        verify=False,
    )
    assert answer.status_code == 200, answer.text
    return answer


def rebuilt(answer: httpx.Response, *, stream: bool) -> dict[str, Any]:
    """The assistant's message as many clients keep it: text and calls, nothing else."""
    if not stream:
        message = answer.json()["choices"][0]["message"]
        calls = message["tool_calls"]
        text = message["content"]
    else:
        lines = [line for line in answer.text.splitlines() if line.startswith("data: {")]
        deltas = [
            choice["delta"] for line in lines for choice in json.loads(line.removeprefix("data: "))["choices"]
        ]
        text = "".join(delta.get("content") or "" for delta in deltas) or None
        made: dict[int, dict[str, Any]] = {}
        for piece in (piece for delta in deltas for piece in delta.get("tool_calls") or ()):
            call = made.setdefault(piece["index"], {"id": "", "name": "", "arguments": ""})
            call["id"] += piece.get("id") or ""
            call["name"] += piece["function"].get("name") or ""
            call["arguments"] += piece["function"].get("arguments") or ""
        calls = [
            {"id": call["id"], "function": {"name": call["name"], "arguments": call["arguments"]}}
            for call in made.values()
        ]
    assert calls
    kept = [
        {"id": call["id"], "type": "function", "function": {name: call["function"][name] for name in ("name", "arguments")}}
        for call in calls
    ]  # fmt: skip
    return {"role": "assistant", "content": text, "tool_calls": kept}


def going_on(message: dict[str, Any]) -> Items:
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "rain"} for call in message["tool_calls"]
    ]
    return [ASKED, message, *results]


def signatures(body: bytes) -> list[str]:
    """The signatures in the assistant's turns of what an upstream got."""
    tree = json.loads(body)
    if "contents" in tree:
        parts = [part for turn in tree["contents"] for part in turn["parts"]]
        return [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]
    blocks = [
        block for turn in tree["messages"] if isinstance(turn["content"], list) for block in turn["content"]
    ]
    return [block["signature"] for block in blocks if block["type"] == "thinking"]


def original(stack: Stack, simulator: Simulator) -> list[str]:
    """The signatures in what the upstream answers to the last request it got, without a gateway."""
    received = simulator.requests[-1]
    tree = json.loads(received.body)
    if "contents" in tree:
        url = f"{stack.upstream_url}/v1beta/models/{received.route.model}:generateContent"
        whole = httpx.post(url, json=tree, headers={"x-goog-api-key": "k"}).json()
        return signatures(json.dumps({"contents": [whole["candidates"][0]["content"]]}).encode())
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    whole = httpx.post(
        f"{stack.upstream_url}/v1/messages", json={**tree, "stream": False}, headers=headers
    ).json()
    return signatures(json.dumps({"messages": [{"content": whole["content"]}]}).encode())


@MODES
@pytest.mark.parametrize("model", ["claude/claude-opus-4-5", "gemini/gemini-3-pro-preview"])
def test_a_rebuilt_turn_gets_its_thoughts_and_signatures_back(
    pair: tuple[Stack, Simulator], model: str, stream: bool
) -> None:
    stack, simulator = pair
    first = ask(stack.url, model, [ASKED], stream=stream)
    signed = original(stack, simulator)
    assert signed

    second = ask(stack.url, model, going_on(rebuilt(first, stream=stream)), stream=stream)

    assert signatures(simulator.requests[-1].body) == signed
    assert "side_table=reasoning.opaque" in second.headers["x-a2-conversion"].split("; ")
    metrics = httpx.get(f"{stack.url}/metrics").text
    assert 'aiclient2api_conversion_loss_total{act="side_table",feature="reasoning.opaque"' in metrics


def test_another_client_key_gets_nothing_of_it(pair: tuple[Stack, Simulator]) -> None:
    stack, simulator = pair
    first = ask(stack.url, "claude/claude-opus-4-5", [ASKED])
    bare = going_on(rebuilt(first, stream=False))

    second = ask(stack.url, "claude/claude-opus-4-5", bare, key=OTHER_KEY)

    assert signatures(simulator.requests[-1].body) == []
    assert "side_table" not in second.headers["x-a2-conversion"]


def test_a_client_that_sends_everything_back_needs_no_side_table(pair: tuple[Stack, Simulator]) -> None:
    stack, simulator = pair
    first = ask(stack.url, "claude/claude-opus-4-5", [ASKED])
    whole = first.json()["choices"][0]["message"]

    second = ask(stack.url, "claude/claude-opus-4-5", going_on(whole))

    assert len(signatures(simulator.requests[-1].body)) == 1
    assert "side_table" not in second.headers["x-a2-conversion"]


def test_another_upstream_of_the_conversation_gets_none_of_it(pair: tuple[Stack, Simulator]) -> None:
    stack, simulator = pair
    first = ask(stack.url, "claude/claude-opus-4-5", [ASKED])

    second = ask(stack.url, "gemini/gemini-2.5-flash", going_on(rebuilt(first, stream=False)))

    assert signatures(simulator.requests[-1].body) == []
    assert "side_table" not in second.headers["x-a2-conversion"]


def test_a_second_node_on_the_same_store_has_it_too(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(running())
        simulator, url = stack.enter_context(simulating())
        shared = {"secrets": {"key": "a secret that both nodes have"}, "store": {"url": server.url}}
        nodes: list[str] = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            program = serving_program(tmp_path / name, {**sections(url), **shared})
            nodes.append(stack.enter_context(program).url)
        first = ask(nodes[0], "claude/claude-opus-4-5", [ASKED])
        with server.admin() as client:
            until(lambda: bool(client.keys("a2:v1:carry:*")))

        second = ask(nodes[1], "claude/claude-opus-4-5", going_on(rebuilt(first, stream=False)))

        assert len(signatures(simulator.requests[-1].body)) == 1
        assert "side_table=reasoning.opaque" in second.headers["x-a2-conversion"].split("; ")
