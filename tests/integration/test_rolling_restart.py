"""A restart behind a balancer: whoever was let in is answered. Our own HTTP server only; uvicorn has no such grace."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest

from tests.harness import four_pools, simulated


def test_who_had_connected_before_the_listener_closed_may_still_ask() -> None:
    """A balancer's connection attempt is no failed request: a rolling restart would lose it."""

    def with_a_notice(url: str) -> dict[str, Any]:
        return {**four_pools(url), "server": {"port": 0, "drain": "20s", "drain_notice": "100ms"}}

    with simulated(with_a_notice) as (stack, _):
        host, port = stack.url.removeprefix("http://").split(":")
        with (
            socket.create_connection((host, int(port)), timeout=10) as early,
            httpx.Client(base_url=stack.url) as kept,
        ):
            kept.get("/healthz")
            stack.stop()
            with pytest.raises(httpx.ConnectError):
                while True:
                    httpx.get(f"{stack.url}/healthz")
            early.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            told = b"".join(iter(lambda: early.recv(65536), b""))
            with pytest.raises(httpx.HTTPError):
                kept.get("/healthz")

    assert told.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" in told
