"""HTTP that is not as it should be is told so in the protocol that its path names, and the connection is closed."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.harness import KEY, Stack, four_pools, simulated

PATHS = {
    "/v1/chat/completions": ("error", "type", "invalid_request_error"),
    "/v1/responses": ("error", "type", "invalid_request_error"),
    "/v1/messages": ("error", "type", "invalid_request_error"),
    "/v1beta/models/claude/x:generateContent": ("error", "status", "INVALID_ARGUMENT"),
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with simulated(four_pools) as (running, _):
        yield running


def connect(stack: Stack) -> socket.socket:
    host, port = stack.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def everything(client: socket.socket) -> bytes:
    told = b""
    while part := client.recv(65536):
        told += part
    return told


def raw(stack: Stack, data: bytes) -> bytes:
    with connect(stack) as client:
        client.sendall(data)
        return everything(client)


@pytest.mark.parametrize("path", PATHS)
def test_a_refusal_speaks_the_paths_protocol(stack: Stack, path: str) -> None:
    told = raw(stack, f"POST {path} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".encode())
    head, _, body = told.partition(b"\r\n\r\n")
    section, member, value = PATHS[path]

    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in head
    assert b"x-request-id: req_" in head
    assert json.loads(body)[section][member] == value


def test_a_refusal_is_counted(stack: Stack) -> None:
    def refused() -> float:
        text = httpx.get(f"{stack.url}/metrics").text
        lines = [
            line for line in text.splitlines() if 'outcome="client_error"' in line and 'status="400"' in line
        ]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    before = refused()
    raw(stack, b"POST /v1/messages HTTP/1.1\r\n\r\n")

    assert refused() == before + 1


@pytest.mark.parametrize(
    "head",
    [
        b"GET http://other/v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT other:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"TRACE /v1/models HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: a/admin?x=\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 131072 + b"\r\n\r\n",
        b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"nonsense\r\n\r\n",
    ],
    ids=[
        "absolute",
        "connect",
        "trace",
        "host",
        "large head",
        "long line",
        "fields",
        "TLS",
        "nonsense",
    ],
)
def test_what_is_not_for_us_is_refused_and_closed(stack: Stack, head: bytes) -> None:
    assert raw(stack, head).split(b" ", 2)[1] in (b"400", b"405", b"413")


UPGRADES = {
    "h2c": "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
    "websocket": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: QQ==",
}


@pytest.mark.parametrize("upgrade", UPGRADES.values(), ids=UPGRADES.keys())
def test_a_request_that_asks_for_another_protocol_is_answered_in_this_one(stack: Stack, upgrade: str) -> None:
    """Java's client asks for HTTP/2 with every request that it sends in the clear."""
    body = b'{"model":"claude/x","max_tokens":9,"messages":[{"role":"user","content":"one two"}]}'
    head = f"HTTP/1.1\r\nHost: a\r\nx-api-key: {KEY}\r\n{upgrade}\r\n"
    post = f"POST /v1/messages {head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    get = f"GET /v1/models {head}\r\n".encode()
    last = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

    told = raw(stack, get + post + post + get + last)

    assert [part[:3] for part in told.split(b"HTTP/1.1 ")[1:]] == [b"200"] * 5
    assert told.count(b"You said: one two") == 2


def test_junk_in_a_body_is_a_400_in_the_protocol(stack: Stack) -> None:
    head = f"POST /v1/messages HTTP/1.1\r\nHost: a\r\nx-api-key: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"
    told = raw(stack, head.encode() + b"5\r\n{...}JUNK\r\n0\r\n\r\n")

    assert told.startswith(b"HTTP/1.1 400 ")
    assert json.loads(told.partition(b"\r\n\r\n")[2])["type"] == "error"


def test_pipelined_requests_are_answered_in_order(stack: Stack) -> None:
    one = f"GET /v1/models HTTP/1.1\r\nHost: a\r\nx-api-key: {KEY}\r\n\r\n".encode()
    last = b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    told = raw(stack, one + b"HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n" + one + last)

    assert [part[:3] for part in told.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"200", b"401"]


def test_more_than_sixteen_pipelined_requests_are_not_kept(stack: Stack) -> None:
    told = raw(stack, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 30)

    statuses = [part[:3] for part in told.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200"] * 17 + [b"400"]


def test_http_1_0_gets_one_answer(stack: Stack) -> None:
    told = raw(
        stack, f"GET /v1/models HTTP/1.0\r\nx-api-key: {KEY}\r\nConnection: keep-alive\r\n\r\n".encode()
    )

    assert told.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in told


def test_an_http_1_0_stream_ends_with_the_connection(stack: Stack) -> None:
    body = b'{"model":"claude/x","max_tokens":99,"stream":true,"messages":[{"role":"user","content":"Hi"}]}'
    head = f"POST /v1/messages HTTP/1.0\r\nx-api-key: {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
    told = raw(stack, head.encode() + body)

    assert b"transfer-encoding" not in told
    assert told.endswith(b'data: {"type":"message_stop"}\n\n')


def test_a_body_is_asked_for_when_the_client_waits(stack: Stack) -> None:
    body = b'{"model":"claude/x","max_tokens":99,"messages":[{"role":"user","content":"Hi"}]}'
    head = f"POST /v1/messages HTTP/1.1\r\nHost: a\r\nx-api-key: %s\r\nExpect: 100-continue\r\ncontent-length: {len(body)}\r\nConnection: close\r\n\r\n"
    with connect(stack) as client:
        client.sendall((head % KEY).encode())
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert everything(client).startswith(b"HTTP/1.1 200 ")
    with connect(stack) as client:
        client.sendall((head % "wrong").encode())
        assert everything(client).startswith(b"HTTP/1.1 401 "), "a refusal asks for no body"


def test_a_refused_upload_still_gets_its_answer(stack: Stack) -> None:
    size = 40 * 1024**2
    head = f"POST /v1/messages HTTP/1.1\r\nHost: a\r\nx-api-key: {KEY}\r\ncontent-length: {size}\r\n\r\n"
    with connect(stack) as client:
        client.sendall(head.encode())
        for _ in range(64):
            client.sendall(b"x" * 65536)
        told = everything(client)

    assert told.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in told


def test_health_may_be_asked_with_head(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url) as client:
        for _ in range(2):
            answer = client.head("/healthz")
            assert (answer.status_code, answer.content) == (200, b"")
            assert answer.headers["content-length"] == "15"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_addresses_of_both_kinds_are_listened_on(host: str) -> None:
    def sections(url: str) -> dict[str, Any]:
        return {**four_pools(url), "server": {"host": host}}

    with simulated(sections) as (stack, _):
        name = f"[{host}]" if ":" in host else host
        assert httpx.get(f"http://{name}:{stack.gateway.listener.port}/healthz").status_code == 200
