"""More than this worker can bear: told in the client's protocol, health answered, nothing that runs is cut."""

from __future__ import annotations

import json
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiclient2api.server.http.settings import RESERVED
from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.settings import SimulatorSettings
from tests.harness import KEY, Stack, four_pools, simulated
from tests.integration.test_limits import OVERLOADED, PATHS
from tests.program import DEADLINE, serving_program, simulating, until

BODY: dict[str, Any] = {
    "model": "claude/x",
    "max_tokens": 99,
    "messages": [{"role": "user", "content": "Hi"}],
}


@pytest.fixture(scope="module")
def pair(server_name: str) -> Iterator[tuple[Stack, Simulator]]:
    with simulated(lambda url: {**four_pools(url), "server": {"http": server_name}}) as (stack, simulator):
        yield stack, simulator


@pytest.fixture
def stack(pair: tuple[Stack, Simulator]) -> Iterator[Stack]:
    stack = pair[0]
    pressure = stack.gateway.app.pressure
    stack.call(pressure.stop)
    yield stack
    stack.call(lambda: setattr(pressure, "level", 0.0))


def post(stack: Stack, path: str = "/v1/messages", **more: Any) -> httpx.Response:
    return httpx.post(
        f"{stack.url}{path}", json={**BODY, **more}, headers={"x-api-key": KEY}, timeout=DEADLINE
    )


def press(stack: Stack, level: float) -> None:
    stack.call(lambda: setattr(stack.gateway.app.pressure, "level", level))


@pytest.mark.parametrize("protocol", OVERLOADED)
def test_a_full_worker_refuses_in_each_protocols_form(stack: Stack, protocol: str) -> None:
    press(stack, 1.0)
    answer = post(stack, PATHS[protocol])
    status, members = OVERLOADED[protocol]

    assert answer.status_code == status
    assert members.items() <= answer.json()["error"].items()
    assert 1 <= int(answer.headers["retry-after"]) <= 3


def test_a_full_worker_does_not_wait_for_the_body(stack: Stack) -> None:
    press(stack, 1.0)
    host, port = stack.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE) as client:
        client.sendall(
            f"POST /v1/messages HTTP/1.1\r\nHost: a\r\nx-api-key: {KEY}\r\ncontent-length: 9999\r\n\r\n".encode()
        )
        assert client.recv(100).startswith(b"HTTP/1.1 529 ")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_health_and_metrics_are_always_answered(stack: Stack, path: str) -> None:
    press(stack, 5.0)

    assert httpx.get(f"{stack.url}{path}").status_code == 200


def test_it_is_over_when_it_is_over(stack: Stack) -> None:
    press(stack, 1.0)
    assert post(stack).status_code == 529
    press(stack, 0.99)
    assert post(stack).status_code == 200


def test_all_bodies_together_are_bounded(stack: Stack) -> None:
    bodies = stack.gateway.app.bodies
    stack.call(lambda: bodies.take(bodies.limit - 10))
    try:
        assert post(stack).status_code == 529
    finally:
        stack.call(lambda: bodies.give(bodies.limit - 10))

    assert post(stack).status_code == 200
    until(lambda: bodies.used == 0)


def test_connections_close_behind_their_answer_when_it_gets_tight() -> None:
    with simulated(four_pools) as (stack, _):
        stack.call(stack.gateway.app.pressure.stop)
        assert "connection" not in post(stack).headers
        press(stack, 0.9)
        assert post(stack).headers["connection"] == "close"


def test_streams_under_way_go_on_and_new_ones_are_refused() -> None:
    with simulated(four_pools, SimulatorSettings(events=60, interval=0.01)) as (stack, simulator):
        stack.call(stack.gateway.app.pressure.stop)
        told: list[str] = []
        runner = threading.Thread(target=lambda: told.append(post(stack, stream=True).text))
        runner.start()
        until(lambda: simulator.open_streams)
        press(stack, 1.0)
        assert post(stack).status_code == 529
        runner.join(DEADLINE)

    assert told[0].rstrip().endswith('data: {"type":"message_stop"}')


def test_only_the_largest_stream_is_given_up_when_memory_ends() -> None:
    with simulated(four_pools, SimulatorSettings(events=3000, interval=0.005)) as (stack, simulator):
        stack.call(stack.gateway.app.pressure.stop)
        told: list[str] = []
        begun: list[int] = []

        def read() -> None:
            body = {**BODY, "stream": True, "max_tokens": 9999}
            text = ""
            try:
                with httpx.stream(
                    "POST",
                    f"{stack.url}/v1/messages",
                    json=body,
                    headers={"x-api-key": KEY},
                    timeout=DEADLINE,
                ) as answer:
                    begun.append(answer.status_code)
                    for part in answer.iter_text():
                        text += part
            except httpx.RemoteProtocolError:
                told.append(text)

        runners = [threading.Thread(target=read) for _ in range(3)]
        for runner in runners:
            runner.start()
        until(lambda: begun == [200, 200, 200])
        assert stack.gateway.app.pressure.shed is not None
        stack.call(stack.gateway.app.pressure.shed)
        until(lambda: len(told) == 1)
        until(lambda: simulator.open_streams == 2)
        assert '"type":"overloaded_error"' in told[0]

        stack.stop()
        for runner in runners:
            runner.join(DEADLINE)
    assert all("event: error" in text for text in told)


def test_connections_beyond_the_limit_are_for_health_alone() -> None:
    def few(url: str) -> dict[str, Any]:
        return {**four_pools(url), "limits": {"connections": 3}}

    with simulated(few) as (stack, _), ExitStack() as clients:
        host, port = stack.url.removeprefix("http://").split(":")
        edge = stack.gateway.listener.edge  # pyright: ignore
        for _ in range(3):
            client = clients.enter_context(socket.create_connection((host, int(port))))
            client.sendall(b"POST /v1/messages HTTP/1.1\r\n")
        until(lambda: stack.call(lambda: len(edge.connections)) == 3)

        assert post(stack).status_code == 529
        health = httpx.get(f"{stack.url}/healthz")
        assert (health.status_code, health.headers["connection"]) == (200, "close")

        waiting = [
            clients.enter_context(socket.create_connection((host, int(port)))) for _ in range(RESERVED + 5)
        ]
        until(lambda: stack.call(lambda: len(edge.connections)) == 3 + RESERVED)
        for client in waiting[:RESERVED]:
            client.close()
        assert httpx.get(f"{stack.url}/healthz", timeout=DEADLINE).status_code == 200


def test_descriptors_that_run_out_stop_nothing_for_good(tmp_path: Path) -> None:
    accounts = {"a": {"provider": "anthropic_compatible", "api_key": "up", "pool": "claude"}}
    with simulating() as (_, url):
        sections = {
            "accounts": {"a": {**accounts["a"], "base_url": url}},
            "keys": [{"name": "t", "key": KEY}],
        }
        with serving_program(tmp_path, sections) as program, ExitStack() as clients:
            host, port = program.url.removeprefix("http://").split(":")
            open_now = len(list(Path(f"/proc/{program.process.pid}/fd").iterdir()))
            resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE, (open_now + 4, 4096))
            for _ in range(12):
                client = clients.enter_context(socket.create_connection((host, int(port))))
                client.sendall(b"POST /v1/messages HTTP/1.1\r\n")
            until(lambda: program.events("accept_failed"))
            resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE, (4096, 4096))
            answer = httpx.post(
                f"{program.url}/v1/messages", json=BODY, headers={"x-api-key": KEY}, timeout=DEADLINE
            )

            assert answer.status_code == 200
            assert len(program.events("accept_failed")) == 1
            assert program.stop() == 0


def test_fewer_descriptors_mean_fewer_connections(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with simulating() as (_, url):
            account = {"provider": "anthropic_compatible", "api_key": "up", "base_url": url}
            with serving_program(tmp_path, {"accounts": {"a": account}}) as program:
                until(lambda: program.events("connections_limited"))
                event = program.events("connections_limited")[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert (event["wanted"], event["allowed"], event["descriptors"]) == (2048, 112, 256)
    assert json.dumps(event)
