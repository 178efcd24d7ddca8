"""Thoughts go out in envelopes and come back to their upstream as it wrote them, and to nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from aiclient2api.simulator.app import Simulator
from tests.harness import KEY, Sections, Stack, four_pools, simulated

OTHER_KEY = "key-of-somebody-else"
MAGIC = "Z3ctY2Fycnkx"
CLIENTS = ("openai_chat", "openai_responses", "gemini")
MODES = pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])

Items = list[dict[str, Any]]


def sections(url: str) -> Sections:
    keys = [{"name": "tests", "key": KEY}, {"name": "other", "key": OTHER_KEY}]
    return {**four_pools(url), "keys": keys}


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Stack, Simulator]]:
    with simulated(sections) as (stack, simulator):
        yield stack, simulator


def said(client: str, text: str) -> dict[str, Any]:
    """A user's turn."""
    return (
        {"role": "user", "parts": [{"text": text}]}
        if client == "gemini"
        else {"role": "user", "content": text}
    )


def ask(
    stack: Stack, client: str, pool: str, items: Items, *, stream: bool, key: str = KEY, alt: str = "?alt=sse"
) -> httpx.Response:
    """A conversation with thinking switched on."""
    model = f"{pool}/x"
    body: dict[str, Any]
    match client:
        case "openai_chat":
            path, body = (
                "/v1/chat/completions",
                {"model": model, "messages": items, "reasoning_effort": "high", "max_tokens": 4000},
            )
        case "openai_responses":
            path, body = (
                "/v1/responses",
                {
                    "model": model,
                    "input": items,
                    "reasoning": {"effort": "high", "summary": "auto"},
                    "include": ["reasoning.encrypted_content"],
                    "store": False,
                },
            )
        case "anthropic":
            path, body = (
                "/v1/messages",
                {
                    "model": model,
                    "messages": items,
                    "max_tokens": 4000,
                    "thinking": {"type": "enabled", "budget_tokens": 2000},
                },
            )
        case _:
            path = f"/v1beta/models/{model}:" + (
                f"streamGenerateContent{alt}" if stream else "generateContent"
            )
            body = {
                "contents": items,
                "generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "high"}},
            }
    if stream and client != "gemini":
        body["stream"] = True
    answer = httpx.post(stack.url + path, json=body, headers={"x-api-key": key})
    assert answer.status_code == 200, answer.text
    return answer


def events(answer: httpx.Response) -> Items:
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def answered(client: str, answer: httpx.Response, *, stream: bool) -> Items:
    """The model's turn as this client keeps it and sends it back."""
    match client, stream:
        case "openai_chat", False:
            return [answer.json()["choices"][0]["message"]]
        case "openai_chat", True:
            return [_joined_chat(events(answer))]
        case "openai_responses", False:
            return answer.json()["output"]
        case "openai_responses", True:
            return events(answer)[-1]["response"]["output"]
        case "anthropic", _:
            return [{"role": "assistant", "content": answer.json()["content"]}]
        case _, False:
            return [answer.json()["candidates"][0]["content"]]
        case _:
            contents = [chunk["candidates"][0].get("content", {}) for chunk in events(answer)]
            return [
                {
                    "role": "model",
                    "parts": [part for content in contents for part in content.get("parts", [])],
                }
            ]


def _joined_chat(chunks: Items) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": ""}
    details: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            message["content"] += choice["delta"].get("content") or ""
            for detail in choice["delta"].get("reasoning_details", []):
                kept = details.setdefault(detail["index"], {})
                kept.update({**detail, "text": kept.get("text", "") + detail.get("text", "")})
    return {**message, "reasoning_details": list(details.values())}


def text_of(client: str, answer: httpx.Response) -> str:
    """The streamed text without the events around it."""
    [turn] = answered(client, answer, stream=True)[-1:]
    parts = turn["content"] if client != "gemini" else turn["parts"]
    return parts if isinstance(parts, str) else "".join(part.get("text", "") for part in parts)


def thoughts(body: bytes) -> Items:
    """The thinking blocks in a request to a Claude upstream."""
    turns = json.loads(body)["messages"]
    blocks = [block for turn in turns if isinstance(turn["content"], list) for block in turn["content"]]
    return [block for block in blocks if block["type"] in ("thinking", "redacted_thinking")]


def original_thought(stack: Stack, body: bytes) -> dict[str, Any]:
    """What the upstream answers to this very request, without a gateway."""
    asked = {**json.loads(body), "stream": False}
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    return httpx.post(f"{stack.upstream_url}/v1/messages", json=asked, headers=headers).json()["content"][0]


@MODES
@pytest.mark.parametrize("client", CLIENTS)
def test_a_thought_comes_back_byte_for_byte(pair: tuple[Stack, Simulator], client: str, stream: bool) -> None:
    stack, simulator = pair
    asked = said(client, "Hello there")
    first = ask(stack, client, "claude", [asked], stream=stream)
    original = original_thought(stack, simulator.requests[-1].body)
    assert original["signature"] not in first.text, "only in an envelope"
    assert MAGIC in first.text

    history = [asked, *answered(client, first, stream=stream), said(client, "Go on")]
    second = ask(stack, client, "claude", history, stream=stream)

    assert thoughts(simulator.requests[-1].body) == [original]
    assert MAGIC.encode() not in simulator.requests[-1].body
    assert "dropped=reasoning.opaque" not in second.headers["x-a2-conversion"]
    assert "[kept 1 thought]" in (second.text if not stream else text_of(client, second))


@pytest.mark.parametrize("client", CLIENTS)
def test_under_another_client_key_it_is_dropped_and_reported(
    pair: tuple[Stack, Simulator], client: str
) -> None:
    stack, simulator = pair
    asked = said(client, "Hello there")
    first = ask(stack, client, "claude", [asked], stream=False)
    history = [asked, *answered(client, first, stream=False), said(client, "Go on")]

    second = ask(stack, client, "claude", history, stream=False, key=OTHER_KEY)

    sent = simulator.requests[-1].body
    assert not [block for block in thoughts(sent) if "signature" in block]
    assert MAGIC.encode() not in sent
    dropped = next(
        entry for entry in second.headers["x-a2-conversion"].split("; ") if entry.startswith("dropped=")
    )
    assert "reasoning.opaque" in dropped.removeprefix("dropped=").split(",")
    assert "kept" not in second.text


@pytest.mark.parametrize("client", CLIENTS)
def test_a_damaged_one_is_dropped_too(pair: tuple[Stack, Simulator], client: str) -> None:
    stack, simulator = pair
    asked = said(client, "Hello there")
    first = ask(stack, client, "claude", [asked], stream=False)
    text = json.dumps([asked, *answered(client, first, stream=False), said(client, "Go on")])
    at = text.index(MAGIC) + 40
    damaged = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]

    ask(stack, client, "claude", json.loads(damaged), stream=False)

    assert MAGIC.encode() not in simulator.requests[-1].body
    assert not [block for block in thoughts(simulator.requests[-1].body) if "signature" in block]


def test_a_claude_client_carries_another_upstreams_thought(pair: tuple[Stack, Simulator]) -> None:
    """Gemini's signature stands at the text that follows the thought."""
    stack, simulator = pair
    asked = said("anthropic", "Hello there")
    first = ask(stack, "anthropic", "gemini", [asked], stream=False)
    history = [asked, *answered("anthropic", first, stream=False), said("anthropic", "Go on")]
    assert MAGIC in first.text

    second = ask(stack, "anthropic", "gemini", history, stream=False)

    sent = simulator.requests[-1].body
    signatures = [
        part["thoughtSignature"]
        for turn in json.loads(sent)["contents"]
        for part in turn["parts"]
        if "thoughtSignature" in part
    ]
    assert signatures
    assert MAGIC.encode() not in sent
    assert "[kept 1 thought]" in second.text


HOME = {"openai_chat": "chat", "openai_responses": "responses", "anthropic": "claude", "gemini": "gemini"}


@MODES
@pytest.mark.parametrize("client", HOME)
def test_in_a_relay_an_envelope_takes_the_patch_path(
    pair: tuple[Stack, Simulator], client: str, stream: bool
) -> None:
    stack, simulator = pair
    elsewhere = "gemini" if client == "anthropic" else "claude"
    asked = said(client, "Hello there")
    first = ask(stack, client, elsewhere, [asked], stream=False)
    assert MAGIC in first.text
    history = [asked, *answered(client, first, stream=False), said(client, "Go on")]

    second = ask(stack, client, HOME[client], history, stream=stream)

    sent = simulator.requests[-1]
    assert second.headers["x-a2-conversion"].split(";")[0] == "patch"
    assert sent.route.protocol == client
    assert MAGIC.encode() not in sent.body
    assert b"Hello there" in sent.body
    assert b"Go on" in sent.body
    assert ("data: " in second.text) is stream


def test_a_patched_array_stream_is_still_an_array(pair: tuple[Stack, Simulator]) -> None:
    stack, simulator = pair
    asked = said("gemini", "Hello there")
    first = ask(stack, "gemini", "claude", [asked], stream=False)
    history = [asked, *answered("gemini", first, stream=False), said("gemini", "Go on")]

    second = ask(stack, "gemini", "gemini", history, stream=True, alt="")

    assert second.headers["x-a2-conversion"].split(";")[0] == "patch"
    assert second.headers["content-type"] == "application/json"
    assert "alt=sse" not in simulator.requests[-1].query
    assert {chunk["modelVersion"] for chunk in second.json()} == {"simulator/x"}


def test_without_an_envelope_the_same_history_is_relayed(pair: tuple[Stack, Simulator]) -> None:
    stack, _ = pair
    asked = said("anthropic", "Hello there")
    first = ask(stack, "anthropic", "claude", [asked], stream=False)
    assert first.headers["x-a2-conversion"] == "relay"
    assert MAGIC not in first.text

    history = [asked, *answered("anthropic", first, stream=False), said("anthropic", "Go on")]
    second = ask(stack, "anthropic", "claude", history, stream=False)

    assert second.headers["x-a2-conversion"] == "relay"
    assert "[kept 1 thought]" in second.text


def test_an_upstreams_complaint_about_a_signature_is_counted() -> None:
    """A thought of one conversation stands in another one: the client broke what the signature is bound to."""
    with simulated(sections) as (stack, _):
        first = ask(stack, "openai_chat", "claude", [said("openai_chat", "Hello there")], stream=False)
        thought = answered("openai_chat", first, stream=False)
        body = {
            "model": "claude/x",
            "messages": [said("openai_chat", "Another beginning"), *thought, said("openai_chat", "Go on")],
            "reasoning_effort": "high",
            "max_tokens": 4000,
        }
        refused = httpx.post(f"{stack.url}/v1/chat/completions", json=body, headers={"x-api-key": KEY})
        metrics = httpx.get(f"{stack.url}/metrics").text
    assert refused.status_code == 400
    assert "signature" in refused.json()["error"]["message"]
    assert 'aiclient2api_state_refusals_total{from="openai_chat",to="anthropic"} 1.0' in metrics
