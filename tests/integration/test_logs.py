"""Whatever happens, every line the program logs is JSON, and none holds a prompt or a key."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.scenario import Fault, Match, Rule
from tests.program import Program, serving_program, simulating, until

CLIENT_KEY = "sk-client-JX81-never-logged"
WRONG_KEY = "sk-wrong-ZQ57-never-logged"
UPSTREAM_KEY = "sk-upstream-KW33-never-logged"
HEADER_SECRET = "header-secret-PT94-never-logged"
PROMPT = "prompt-VB62-never-logged"
SECRETS = (CLIENT_KEY, WRONG_KEY, UPSTREAM_KEY, HEADER_SECRET, PROMPT)

BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "openai_chat": (
        "/v1/chat/completions",
        {"model": "claude/x", "messages": [{"role": "user", "content": PROMPT}]},
    ),
    "openai_responses": ("/v1/responses", {"model": "claude/x", "input": PROMPT}),
    "anthropic": (
        "/v1/messages",
        {"model": "claude/x", "max_tokens": 9, "messages": [{"role": "user", "content": PROMPT}]},
    ),
    "gemini": (
        "/v1beta/models/claude/x:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]},
    ),
}


QUOTING = f"the key {UPSTREAM_KEY} may not say {PROMPT}"
FAULTS = (
    Fault(status=400, message=QUOTING, code=UPSTREAM_KEY),
    Fault(status=401, message=QUOTING),
    Fault(status=429, message=QUOTING, headers={"x-key": UPSTREAM_KEY}),
    Fault(status=500, html=True, body=f"<p>{QUOTING}</p>"),
    Fault(content_type=f"text/{UPSTREAM_KEY}"),
    Fault(malformed_after_events=1, malformed="broken_json"),
    Fault(cut_after_events=5),
    Fault(error_event_after_events=5, message=QUOTING),
)
"""Errors that quote the key and the prompt in every place an upstream may put them."""


def sections(url: str) -> dict[str, Any]:
    """A pool for everything that works, one for each fault, and one that nobody listens for."""
    account = {"provider": "anthropic_compatible", "base_url": url, "api_key": UPSTREAM_KEY}
    faulty = {f"f{index}": {**account, "pool": f"fault{index}"} for index in range(len(FAULTS))}
    return {
        "keys": [{"name": "someone", "key": CLIENT_KEY}],
        "accounts": {
            "a": {**account, "pool": "claude", "headers": {"x-extra": HEADER_SECRET}},
            "gone": {**account, "pool": "gone", "base_url": "http://127.0.0.1:1"},
            **faulty,
        },
        "log": {"level": "debug"},
        "limits": {"body": "16KiB"},
    }


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, Simulator]]:
    folder: Path = tmp_path_factory.mktemp("logs")
    with simulating() as (simulator, url), serving_program(folder, sections(url)) as program:
        yield program, simulator


def send(program: Program, protocol: str, key: str = CLIENT_KEY, **changes: Any) -> httpx.Response:
    path, body = BODIES[protocol]
    return httpx.post(program.url + path, json={**body, **changes}, headers={"x-api-key": key})


def good_requests(program: Program) -> None:
    for protocol in BODIES:
        assert send(program, protocol).status_code == 200
    assert send(program, "anthropic", stream=True).status_code == 200


def bad_requests(program: Program) -> None:
    for protocol, (path, body) in BODIES.items():
        assert send(program, protocol, key=WRONG_KEY).status_code == 401
        url, known = program.url + path, {"x-api-key": CLIENT_KEY}
        text = json.dumps(body)
        for content in (
            text[:-3],
            f'"{PROMPT}"',
            text.replace(":", "=", 1),
            text.replace('"', "'"),
            PROMPT * 1000,
        ):
            assert httpx.post(url, content=content, headers=known).status_code in (400, 413)
        assert (
            httpx.post(url, content=text, headers={**known, "x-goog-api-key": WRONG_KEY}).status_code == 400
        )
        assert httpx.post(f"{url}?key={WRONG_KEY}", content=text).status_code == 401
        assert httpx.get(url, headers=known).status_code in (404, 405)
    assert send(program, "anthropic", model="gone/x").status_code in (502, 503)
    assert httpx.post(f"{program.url}/v1/{WRONG_KEY}").status_code == 401


def failing_upstreams(program: Program, simulator: Simulator) -> None:
    for index, fault in enumerate(FAULTS):
        model = f"fault{index}-x"
        simulator.scenario.add(Rule(fault=fault, match=Match(model=model)))
        for protocol in ("anthropic", "openai_chat"):
            try:
                send(program, protocol, model=f"fault{index}/{model}", stream=True)
            except httpx.RemoteProtocolError:
                continue  # a stream that was cut


def garbage(program: Program) -> None:
    """What is no HTTP at all."""
    host, port = program.url.removeprefix("http://").split(":")
    for text in (
        f"{CLIENT_KEY} {PROMPT}\r\n\r\n",
        f"POST /v1/messages HTTP/1.1\r\nx-api-key {CLIENT_KEY}\r\n\r\n",
    ):
        with socket.create_connection((host, int(port))) as client:
            client.sendall(text.encode())
            assert b"400" in client.recv(1000)


def test_no_key_and_no_prompt_is_ever_written(running: tuple[Program, Simulator]) -> None:
    program, simulator = running
    good_requests(program)
    bad_requests(program)
    failing_upstreams(program, simulator)
    garbage(program)
    sent = len(program.events("request"))
    assert program.stop() == 0

    lines = [json.loads(line) for line in program.stderr.splitlines()]
    outcomes = {line["outcome"] for line in lines if line["event"] == "request"}
    assert sent > 40
    assert {"time", "level", "event"} <= set.intersection(*(set(line) for line in lines))
    assert outcomes == {"ok", "client_error", "upstream_error", "cut"}
    assert not [line for line in lines if line["event"] == "internal_error"]
    for secret in SECRETS:
        assert secret not in program.stderr
        assert secret not in program.stdout


def test_a_request_is_one_line_that_tells_its_way(tmp_path: Path) -> None:
    with simulating() as (_, url), serving_program(tmp_path, sections(url)) as program:
        answer = send(program, "openai_chat", seed=7)
        until(lambda: program.events("request"))
        [line] = program.events("request")

    assert line["request_id"] == answer.headers["x-request-id"]
    assert {
        name: line[name] for name in ("key", "protocol", "operation", "model", "target", "status", "outcome")
    } == {
        "key": "someone",
        "protocol": "openai_chat",
        "operation": "generate",
        "model": "claude/x",
        "target": "claude/x",
        "status": 200,
        "outcome": "ok",
    }
    assert line["conversion"] == "openai_chat>anthropic"
    assert "sampling.seed dropped" in line["losses"]
    assert line["attempts"] == ["a ok"]
    assert (line["input_tokens"], line["output_tokens"]) == (1, 3)
