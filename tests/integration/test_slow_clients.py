"""Clients that send or read too slowly are closed within the limit, and nobody else notices."""

from __future__ import annotations

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.settings import SimulatorSettings
from tests.harness import KEY, Stack, four_pools, simulated
from tests.program import until

LIMITS = {"header": "1s", "body_idle": "1s", "body": "3s", "write": "1s", "keep_alive": "1s"}
BODY = '{"model":"claude/x","max_tokens":99,"messages":[{"role":"user","content":"Hi"}]}'
HEAD = f"POST /v1/messages HTTP/1.1\r\nHost: a\r\nx-api-key: {KEY}\r\ncontent-length: {len(BODY)}\r\n\r\n"
GENEROUS = 30.0
"""Seconds: everything here is due after one; a busy machine may take longer."""


def quick(url: str) -> dict[str, Any]:
    return {**four_pools(url), "server": {"timeouts": LIMITS}}


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Stack, Simulator]]:
    with simulated(quick) as (stack, simulator):
        yield stack, simulator


@pytest.fixture
def stack(pair: tuple[Stack, Simulator]) -> Stack:
    return pair[0]


def connect(stack: Stack, receive: int | None = None) -> socket.socket:
    host, port = stack.url.removeprefix("http://").split(":")
    client = socket.socket()
    if receive is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    client.settimeout(GENEROUS)
    client.connect((host, int(port)))
    return client


def until_closed(client: socket.socket) -> bytes:
    told = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(65536):
            told += part
    return told


def connections(stack: Stack) -> int:
    return stack.call(lambda: len(stack.gateway.listener.edge.connections))  # pyright: ignore


def post(stack: Stack) -> httpx.Response:
    return httpx.post(f"{stack.url}/v1/messages", content=BODY, headers={"x-api-key": KEY}, timeout=GENEROUS)


def test_a_connection_that_says_nothing_is_closed_without_a_word(stack: Stack) -> None:
    with connect(stack) as client:
        assert until_closed(client) == b""


def test_half_a_request_line_is_closed_without_a_word(stack: Stack) -> None:
    with connect(stack) as client:
        client.sendall(b"POST ")
        assert until_closed(client) == b""


def test_a_slow_head_is_a_408_in_the_protocol_of_its_path(stack: Stack) -> None:
    with connect(stack) as client:
        client.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        told = until_closed(client)

    assert told.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b'"type":"error"' in told


def test_a_head_that_drips_is_closed_all_the_same(stack: Stack) -> None:
    with connect(stack) as client:
        client.settimeout(0.1)
        client.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nX-Slow: ")
        end = time.monotonic() + GENEROUS
        told = b""
        while not told and time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                told = client.recv(65536)
            with contextlib.suppress(OSError):
                client.sendall(b"a")

    assert told.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [0, 20])
def test_a_body_that_stops_is_a_408_in_the_protocol(stack: Stack, sent: int) -> None:
    with connect(stack) as client:
        client.sendall((HEAD + BODY[:sent]).encode())
        told = until_closed(client)

    assert told.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b'"type":"error"' in told
    assert b"connection: close" in told
    until(lambda: stack.runtime.services.admission.inflight == 0)


def test_a_body_that_drips_has_its_total(stack: Stack) -> None:
    with connect(stack) as client:
        client.settimeout(0.3)
        client.sendall(HEAD.encode())
        end = time.monotonic() + GENEROUS
        told, left = b"", iter(BODY[:-5])
        while not told and time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                told = client.recv(65536)
            with contextlib.suppress(OSError):
                client.sendall(next(left, "").encode())

    assert told.startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_is_closed_after_its_answer(stack: Stack) -> None:
    with connect(stack) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert until_closed(client).endswith(b'{"status":"ok"}')


@pytest.mark.parametrize("pool", ["claude", "chat"])
def test_a_client_that_reads_nothing_is_left_and_its_upstream_call_too(pool: str) -> None:
    settings = SimulatorSettings(events=1_000_000)
    with simulated(quick, settings) as (stack, simulator), connect(stack, receive=4096) as client:
        body = BODY[:-1].replace("claude", pool) + ',"stream":true}'
        client.sendall((HEAD.replace(str(len(BODY)), str(len(body))) + body).encode())
        until(lambda: simulator.open_streams == 1)
        until(lambda: simulator.open_streams == 0)
        until(lambda: stack.runtime.services.admission.inflight == 0)
        until(lambda: connections(stack) == 0)
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_five_hundred_slow_clients_are_closed_while_others_are_served(stack: Stack) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    kinds = (b"", b"POST /v1/messages HTTP/1.1\r\nX: ", (HEAD + BODY[:9]).encode())
    with contextlib.ExitStack() as clients:
        slow: list[socket.socket] = []
        served = 0
        for index in range(500):
            slow.append(clients.enter_context(connect(stack)))
            slow[-1].sendall(kinds[index % 3])
            if index % 50 == 0:
                served += post(stack).status_code == 200
        told = [until_closed(client)[9:12] for client in slow]

    assert served == 10
    assert set(told[0::3]) == {b""}
    assert set(told[1::3]) | set(told[2::3]) <= {b"408", b""}
    assert told.count(b"408") > 300, "a reset may swallow some on a busy machine, not most"
    assert post(stack).status_code == 200
    until(lambda: connections(stack) == 0)
