"""What happens where an upstream's read is taken is told to who waits for the stream, not to the connection."""

from __future__ import annotations

import asyncio

import pytest

from aiclient2api.accounts.pool import ANYTHING
from aiclient2api.gateway.upstream import Live
from aiclient2api.net.lean import LeanTransport
from aiclient2api.net.transport import Timeouts
from aiclient2api.protocols.builtin import BUILTIN
from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.sse import SseDecoder, encode_event
from tests.fakes.accounts import Clock, account, anyone, pool
from tests.fakes.calls import PATIENCE, call
from tests.fakes.raw_server import Connection, RawServer
from tests.fakes.sealing import CARRIER

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
DELTA = encode_event(
    b'{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"}}]}'
)
BODY = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"Hello"}]}'


async def test_a_write_that_fails_is_no_fault_of_the_upstreams() -> None:
    may_go_on = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(HEAD + DELTA)
        await may_go_on.wait()
        await connection.send(DELTA)
        await connection.gone()

    factory = ConverterFactory(BUILTIN, CARRIER)
    chat = factory["openai_chat"]
    inbound = Inbound(chat, WireRequest(path="/v1/chat/completions", body=BODY), tenant="t")
    answer = factory.convert(inbound, "openai_chat", Target(model="m", profile=DEFAULT_PROFILE)).stream()
    lease = pool(Clock(), account("a")).take(anyone, "m", frozenset(), ANYTHING)
    assert lease is not None
    transport = LeanTransport()
    written: list[bytes] = []

    def write(data: bytes, _is_last: bool) -> bool:
        if written:
            raise ValueError("the client's side is broken")
        written.append(data)
        may_go_on.set()
        return True

    async with RawServer(script) as server, asyncio.timeout(PATIENCE):
        stream = await transport.send(call(server.url))
        live = Live(stream, SseDecoder(), answer, lease, Timeouts())
        await live.wait_for_content(1000)
        with pytest.raises(ValueError, match="the client's side is broken"):
            await live.pour(write)
        live.abort(None)
    await transport.close()
