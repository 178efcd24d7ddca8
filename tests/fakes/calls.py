"""Requests of the transport's tests."""

from __future__ import annotations

import socket

from aiclient2api.net.transport import Call, Timeouts, Transport
from aiclient2api.wire.http import Headers

PATIENCE = 5.0
"""Seconds until a test that waits for something fails."""


def call(
    url: str,
    timeouts: Timeouts | None = None,
    headers: Headers = (),
    body: bytes = b'{"model":"m"}',
    ca: str | None = None,
    proxy: str | None = None,
) -> Call:
    """A request to an upstream."""
    return Call(
        url=url,
        method="POST",
        headers=headers,
        body=body,
        pool="openai",
        timeouts=timeouts or Timeouts(connect=1.0, headers=PATIENCE, idle=PATIENCE),
        ca=ca,
        proxy=proxy,
    )


async def answered(transport: Transport, url: str, limit: int = 1_000_000) -> bytes:
    """The body of one request whose connection is given back."""
    stream = await transport.send(call(url))
    try:
        body = await stream.read(limit)
    except BaseException:
        stream.abort()
        raise
    await stream.release(1.0)
    return body


def closed_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
