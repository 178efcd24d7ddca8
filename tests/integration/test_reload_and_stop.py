"""Signals: SIGHUP swaps a good configuration and keeps the old one otherwise, SIGTERM ends with status 0; and TLS."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiclient2api.simulator.scenario import Fault, Match, Rule
from aiclient2api.simulator.settings import SimulatorSettings
from tests.certificates import self_signed
from tests.program import DEADLINE, Program, serving_program, simulating, until, write_config

OLD_KEY, NEW_KEY = "the-first-client-key", "the-second-client-key"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


def sections(url: str, key: str = OLD_KEY, **more: Any) -> dict[str, Any]:
    account = {"provider": "anthropic_compatible", "base_url": url, "pool": "claude"}
    accounts = {name: {**account, "api_key": f"upstream-{name}"} for name in ("a", "b")}
    return {"keys": [{"name": "me", "key": key}], "accounts": accounts, **more}


def post(program: Program, key: str = OLD_KEY, model: str = "claude/x", **more: Any) -> httpx.Response:
    body = {"model": model, "max_tokens": 500, "messages": HELLO, **more}
    return httpx.post(f"{program.url}/v1/messages", json=body, headers={"x-api-key": key}, timeout=DEADLINE)


def reload(program: Program, data: dict[str, Any], told: str) -> dict[str, Any]:
    """Write the file, send SIGHUP, and wait for what is logged about it."""
    before = len(program.events(told))
    write_config(program.config.parent, data)
    program.process.send_signal(signal.SIGHUP)
    until(lambda: len(program.events(told)) > before)
    return program.events(told)[-1]


def test_a_valid_file_is_swapped_in(tmp_path: Path) -> None:
    with simulating() as (simulator, url), serving_program(tmp_path, sections(url)) as program:
        assert (post(program).status_code, post(program, model="best").status_code) == (200, 404)
        assert program.printed_key is None

        models = {"best": {"targets": ["claude/claude-x"]}}
        event = reload(program, sections(url, NEW_KEY, models=models), "reloaded")

        assert event["needs_restart"] == []
        assert post(program).status_code == 401
        assert post(program, NEW_KEY, model="best").headers["x-a2-target"] == "claude/claude-x"
        assert len(simulator.requests) == 2
        assert program.stop() == 0
        assert all(json.loads(line) for line in program.stderr.splitlines())


def test_an_invalid_file_keeps_the_old_and_says_so(tmp_path: Path) -> None:
    with simulating() as (_, url), serving_program(tmp_path, sections(url)) as program:
        broken = sections(url, NEW_KEY, models={"m": {"targets": ["nowhere/x"]}}, surprise=1)
        event = reload(program, broken, "reload_refused")

        assert event["level"] == "error"
        assert [problem.split(":")[0] for problem in event["problems"]] == ["surprise", "models.m.targets[0]"]
        assert (post(program).status_code, post(program, NEW_KEY).status_code) == (200, 401)

        program.config.write_text("{no yaml at all")
        program.process.send_signal(signal.SIGHUP)
        until(lambda: len(program.events("reload_refused")) == 2)
        assert post(program).status_code == 200

        reload(program, sections(url, NEW_KEY), "reloaded")
        assert post(program, NEW_KEY).status_code == 200


def test_what_only_a_restart_changes_is_told(tmp_path: Path) -> None:
    with simulating() as (_, url), serving_program(tmp_path, sections(url)) as program:
        data = sections(url, server={"port": 1, "drain": "5s"}, policy={"affinity": "conversation"})
        event = reload(program, data, "reloaded")

        assert event["needs_restart"] == ["server.port", "server.drain"]
        assert event["warnings"] == []
        assert post(program).status_code == 200


@pytest.mark.parametrize(
    ("changed", "serving"),
    [
        ({}, {"upstream-b"}),
        ({"weight": 2, "concurrency": 7, "timeouts": {"idle": "9s"}}, {"upstream-b"}),
        ({"api_key": "another"}, {"another", "upstream-b"}),
    ],
)
def test_a_reload_heals_only_who_may_have_been_mended_by_it(
    tmp_path: Path, changed: dict[str, Any], serving: set[str]
) -> None:
    with simulating() as (simulator, url), serving_program(tmp_path, sections(url)) as program:
        simulator.scenario.add(Rule(fault=Fault(status=429, retry_after=600), match=Match(key="upstream-a")))
        for _ in range(2):
            assert post(program).status_code == 200
        data = sections(url)
        data["accounts"]["a"].update(changed)
        reload(program, data, "reloaded")
        before = len(simulator.requests)
        for _ in range(4):
            assert post(program).status_code == 200

        assert {request.key for request in list(simulator.requests)[before:]} == serving


def test_a_reload_forgets_no_number(tmp_path: Path) -> None:
    with simulating() as (simulator, url), serving_program(tmp_path, sections(url)) as program:
        simulator.scenario.add(Rule(fault=Fault(status=429, retry_after=600), match=Match(key="upstream-a")))
        for _ in range(2):
            assert post(program).status_code == 200
        reload(program, sections(url, NEW_KEY), "reloaded")
        for _ in range(4):
            assert post(program, NEW_KEY).status_code == 200

        counted = httpx.get(f"{program.url}/metrics").text
        assert (
            'aiclient2api_requests_total{operation="generate",outcome="ok",protocol="anthropic",status="200"} 6.0'
            in counted
        )
        outages = [
            line for line in counted.splitlines() if line.startswith("aiclient2api_account_out_seconds{")
        ]
        assert len(outages) == 1
        assert 'account="a"' in outages[0]


def test_a_stream_outlives_the_reload_and_the_signal_to_stop(tmp_path: Path) -> None:
    answers: list[str] = []
    paced = SimulatorSettings(events=40, interval=0.02)
    with simulating(paced) as (simulator, url), serving_program(tmp_path, sections(url)) as program:
        runner = threading.Thread(target=lambda: answers.append(post(program, stream=True).text))
        runner.start()
        until(lambda: simulator.open_streams)
        reload(program, sections(url, NEW_KEY), "reloaded")
        assert simulator.open_streams == 1

        assert program.stop() == 0
        runner.join(DEADLINE)

    assert answers[0].count("content_block_delta") == 2 * 40
    assert answers[0].rstrip().endswith('data: {"type":"message_stop"}')
    assert all(json.loads(line) for line in program.stderr.splitlines())


def test_tls_with_a_certificate_of_ones_own(tmp_path: Path, each_server: str) -> None:
    cert, key = self_signed(tmp_path)
    tls = {"server": {"drain": "1s", "tls": {"cert": str(cert), "key": str(key)}}}
    with simulating() as (_, url), serving_program(tmp_path, {**sections(url), **tls}) as program:
        assert program.url.startswith("https://127.0.0.1:")
        host, port = program.url.removeprefix("https://").split(":")
        with httpx.Client(verify=ssl.create_default_context(cafile=cert)) as client:
            body = {"model": "claude/x", "max_tokens": 9, "messages": HELLO}
            answer = client.post(f"{program.url}/v1/messages", json=body, headers={"x-api-key": OLD_KEY})
        with socket.create_connection((host, int(port))) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nx-api-key: the-first-client-key\r\n\r\n")
            plain.recv(1000)
        assert answer.status_code == 200
        assert program.stop() == 0

    assert all(json.loads(line) for line in program.stderr.splitlines())
    assert OLD_KEY not in program.stderr


def test_a_file_that_changes_is_read_without_a_signal(tmp_path: Path) -> None:
    with simulating() as (_, url), serving_program(tmp_path, sections(url)) as program:
        assert post(program).status_code == 200
        write_config(tmp_path, sections(url, NEW_KEY))
        until(lambda: program.events("reloaded"))

        assert (post(program).status_code, post(program, NEW_KEY).status_code) == (401, 200)

        program.config.write_text("accounts: {}")
        until(lambda: program.events("reload_refused"))
        assert post(program, NEW_KEY).status_code == 200
        assert len(program.events("reloaded")) == 1


def test_a_second_signal_leaves_a_second(tmp_path: Path) -> None:
    answers: list[str] = []
    patient: dict[str, Any] = {"server": {"drain": "60s"}}
    paced = SimulatorSettings(events=4000, interval=0.02)
    with (
        simulating(paced) as (simulator, url),
        serving_program(tmp_path, sections(url, **patient)) as program,
    ):
        runner = threading.Thread(target=lambda: answers.append(told(program)))
        runner.start()
        until(lambda: simulator.open_streams)
        program.process.send_signal(signal.SIGTERM)
        until(lambda: refuses(program))
        assert simulator.open_streams == 1, "the first signal cuts nothing"

        assert program.stop() == 0
        runner.join(DEADLINE)

    assert "shutting down" in answers[0]


def told(program: Program) -> str:
    """A stream as far as it comes."""
    body = {"model": "claude/x", "max_tokens": 9999, "messages": HELLO, "stream": True}
    text = ""
    try:
        with httpx.stream(
            "POST", f"{program.url}/v1/messages", json=body, headers={"x-api-key": OLD_KEY}, timeout=DEADLINE
        ) as answer:
            for part in answer.iter_text():
                text += part
    except httpx.RemoteProtocolError:
        return text
    return f"a normal end: {text}"


def refuses(program: Program) -> bool:
    try:
        httpx.get(f"{program.url}/healthz")
    except httpx.ConnectError:
        return True
    return False


def test_the_notice_keeps_the_listener_open(tmp_path: Path) -> None:
    noticed: dict[str, Any] = {"server": {"drain": "20s", "drain_notice": "15s"}}
    with simulating() as (_, url), serving_program(tmp_path, sections(url, **noticed)) as program:
        assert httpx.get(f"{program.url}/readyz").status_code == 200
        program.process.send_signal(signal.SIGTERM)
        until(lambda: httpx.get(f"{program.url}/readyz").status_code == 503)
        answer = post(program)
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")

        assert program.stop() == 0
