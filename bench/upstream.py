"""A Chat Completions upstream that costs next to nothing: ready-made answers over a raw protocol.

The first message says what to answer, so that it does not matter how a gateway names the model: `bench:unary`,
`bench:burst-N` (N deltas at once) or `bench:paced-N-MS` (N deltas, one every MS, the first at once). A GET gets the
unary one.
Each delta of a paced stream carries the monotonic time in microseconds at which it was written.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from typing import cast

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_WANTED = re.compile(rb"bench:(unary|burst-\d+|paced-\d+-\d+)")
_STREAMED = re.compile(rb'"stream": ?true')
_HEAD = b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
_SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_UNARY = (
    b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"Hello from the bench."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,'
    b'"completion_tokens":5,"total_tokens":14}}'
)
_FIRST = b"data: " + _HEAD + b'{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
_LAST = (
    b"data: " + _HEAD + b'{},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":'
    b'{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}}\n\ndata: [DONE]\n\n'
)


def _delta(text: bytes) -> bytes:
    return b"data: " + _HEAD + b'{"content":"' + text + b'"},"finish_reason":null}]}\n\n'


def sse(words: int) -> bytes:
    """A whole streamed answer."""
    return _FIRST + _delta(b" word") * words + _LAST


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class Upstream(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted = 0
        """Bytes of the request that is arriving, 0 while its head is."""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop has its own classes

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer += data
        while self._buffer:
            if not self._wanted:
                head = self._buffer.find(b"\r\n\r\n")
                if head < 0:
                    return
                match = _LENGTH.search(self._buffer, 0, head)
                self._wanted = head + 4 + (int(match[1]) if match else 0)
            if len(self._buffer) < self._wanted:
                return
            request = bytes(self._buffer[: self._wanted])
            del self._buffer[: self._wanted]
            self._wanted = 0
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        found = _WANTED.search(request)
        kind, *numbers = (found[1].decode() if found else "unary").split("-")
        if _STREAMED.search(request) is None:
            self._write_unary()
        elif kind == "paced":
            self._pace(int(numbers[0]), int(numbers[1]) / 1000)
        else:
            words = int(numbers[0]) if numbers else 4
            self._transport.write(_SSE + _chunk(sse(words)) + b"0\r\n\r\n")

    def _write_unary(self) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(
            _UNARY
        )
        self._transport.write(head + _UNARY)

    def _pace(self, count: int, interval: float) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        self._transport.write(_SSE + _chunk(_FIRST))

        def step(number: int) -> None:
            if self._transport.is_closing():
                return
            if number == count:
                self._transport.write(_chunk(_LAST) + b"0\r\n\r\n")
                return
            self._transport.write(_chunk(_delta(b"%d " % (time.monotonic_ns() // 1000))))
            loop.call_at(start + interval * (number + 1), step, number + 1)

        step(0)


async def _main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)  # the parent reads the port
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main(int(sys.argv[1])))
