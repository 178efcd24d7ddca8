"""The fault server: one asyncio process, all four upstream protocols, raw sockets, and a script for every address.

The first segment of the path is a label, and the label decides what is played. Nothing here is a coroutine: a
connection is a state machine over its compiled script, so that a million streams are affordable.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import NamedTuple, cast

from tests.faults.compile import compile_once, compiled
from tests.faults.script import NONCE, Op, Play, chunk
from tests.faults.voices import CHAT, GEMINI, MESSAGES, RESPONSES

GATE_SECONDS = 5.0
"""How long a script waits for a client that should see content."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_FOUND_NONCE = re.compile(rb"n-[0-9a-f]{10}")
_STREAMED = re.compile(rb'"stream" ?: ?true')
_MODEL = re.compile(rb"\br-\d+")
BY_MODEL = "by-model"
"""The label under which the name of the model is the label."""
_NO_NONCE = b"n-0000000000"


class Departure(NamedTuple):
    """A connection that the other side closed while its script was not over."""

    label: str
    nonce: str
    at: float


class FaultServer:
    """What every label plays, how often it was asked, and who left when. Times are of `time.monotonic`."""

    def __init__(self, plays: Callable[[str], Play]) -> None:
        self.plays = plays
        self.hits: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        """Requests by nonce."""
        self.departures: list[Departure] = []
        self.open = 0
        self.connections = 0
        self.keeps_departures = True
        self.playing: set[Connection] = set()
        self._released: set[str] = set()
        self._gates: dict[str, list[Callable[[], None]]] = {}

    def release(self, nonce: str) -> None:
        """The client has seen content: scripts of this nonce may go on."""
        self._released.add(nonce)
        for go_on in self._gates.pop(nonce, []):
            go_on()

    def forget(self, nonce: str) -> None:
        """The request is over: nothing is kept of it (a million requests would be too many)."""
        self._released.discard(nonce)
        self._gates.pop(nonce, None)
        self.calls.pop(nonce, None)

    def forget_label(self, label: str) -> None:
        """The same for a label that is not used again."""
        self.hits.pop(label, None)

    def kill(self, label: str) -> None:
        """Reset every connection on which this label is being played."""
        for connection in [one for one in self.playing if one.label == label]:
            connection.reset()

    def await_release(self, nonce: str, go_on: Callable[[], None]) -> bool:
        """Whether the gate is open; otherwise `go_on` is called when it opens."""
        if nonce in self._released:
            return True
        self._gates.setdefault(nonce, []).append(go_on)
        return False

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        """Listen on a free port; yields the base URL."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(self), host, 0, backlog=4096, ssl=tls)
        port: int = server.sockets[0].getsockname()[1]
        try:
            yield f"{'https' if tls else 'http'}://{host}:{port}"
        finally:
            server.close()


class Connection(asyncio.Protocol):
    """One accepted connection."""

    def __init__(self, server: FaultServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._needed = 0
        self._ops: tuple[Op, ...] = ()
        self._at = 0
        self._nonce = _NO_NONCE
        self.label = ""
        self._play: Play | None = None
        self._is_playing = False
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)
        self._server.open += 1
        self._server.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._server.open -= 1
        if self._timer is not None:
            self._timer.cancel()
        if self._is_playing and self._server.keeps_departures:
            self._server.departures.append(Departure(self.label, self._nonce.decode(), time.monotonic()))
        self._over()

    def _over(self) -> None:
        self._is_playing = False
        self._server.playing.discard(self)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._buffer += data
        if not self._is_playing and len(self._buffer) >= self._needed:
            self._look()

    def _look(self) -> None:
        """Begin the script as soon as enough of a request has been read."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head, body = bytes(self._buffer[:end]), bytes(self._buffer[end + 4 :])
        path = head.split(b" ", 2)[1].decode("latin-1")
        label = path.split("/", 2)[1]
        found = _LENGTH.search(head)
        length = int(found[1]) if found else 0
        if label == BY_MODEL:
            if len(body) < length:
                self._needed = end + 4 + length
                return
            label = _model(path, body)
        play = self._server.plays(label)
        needed = {"request": length, "head": 0, "half body": length // 2, "nothing read": 0}[play.when]
        if len(body) < needed:
            self._needed = end + 4 + needed  # until then there is nothing to look at
            return
        self._needed = 0
        self._buffer = bytearray(body[length:])
        self._begin(label, play, path, body[:length])

    def _begin(self, label: str, play: Play, path: str, body: bytes) -> None:
        server = self._server
        number = server.hits[label]
        server.hits[label] += 1
        nonce = _FOUND_NONCE.search(body)
        self._nonce = nonce[0] if nonce else _NO_NONCE
        server.calls[self._nonce.decode()] += 1
        protocol, streamed = _spoken(path, body)
        scripts = play.stream if streamed else play.unary
        self.label, self._play = label, play
        translate = compiled if play.cached else compile_once
        self._ops = translate(scripts[min(number, len(scripts) - 1)], protocol)
        self._at = 0
        self._is_playing = True
        server.playing.add(self)
        if play.when == "nothing read":
            self._transport.pause_reading()
        self._go_on()

    def _go_on(self) -> None:
        self._timer = None
        transport = self._transport
        while self._at < len(self._ops):
            if transport.is_closing():
                return
            kind, value = self._ops[self._at]
            self._at += 1
            match kind:
                case "write":
                    transport.write(cast(bytes, value).replace(NONCE, self._nonce))
                case "drip":
                    said = cast(bytes, value).replace(NONCE, self._nonce)
                    for at in range(len(said)):
                        transport.write(chunk(said[at : at + 1]))
                case "gzip":
                    transport.write(chunk(_compressed(cast(bytes, value).replace(NONCE, self._nonce))))
                case "sleep":
                    self._wait(cast(float, value))
                    return
                case "gate":
                    if self._must_wait():
                        return
                case "stall":
                    return
                case "rst":
                    self.reset()
                    return
                case "fin":
                    self._over()
                    transport.close()
                    return
                case "next":
                    self._over()
                    self._look()
                    return

    def _wait(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._go_on)

    def _must_wait(self) -> bool:
        if self._play is None or not self._play.gated:
            return False
        if self._server.await_release(self._nonce.decode(), self._opened):
            return False
        self._timer = asyncio.get_running_loop().call_later(GATE_SECONDS, self._go_on)
        return True

    def _opened(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._go_on()

    def reset(self) -> None:
        """Break the connection off."""
        self._over()
        connected: socket.socket = self._transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


@lru_cache(maxsize=8)
def _compressed(data: bytes) -> bytes:
    return gzip.compress(data)


def _spoken(path: str, body: bytes) -> tuple[str, bool]:
    """The protocol, and whether a stream is asked for."""
    if "enerateContent" in path:
        return GEMINI, ":stream" in path
    streamed = _STREAMED.search(body) is not None
    if "/chat/completions" in path:
        return CHAT, streamed
    return (MESSAGES if path.split("?")[0].endswith("/messages") else RESPONSES), streamed


def _model(path: str, body: bytes) -> str:
    found = _MODEL.search(path.encode() + b" " + body)
    return found[0].decode() if found else ""
