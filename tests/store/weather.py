"""The network between a node and its store: late, lossy, cut, or with somebody at the other end who only says no."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

RETRANSMIT: Final = 0.2
"""Seconds that a lost packet costs, Linux's smallest retransmission time-out."""


class Weather:
    """A relay in front of a server on loopback. What it does may change at any time."""

    def __init__(self, port: int, seed: int = 1) -> None:
        self.delay = 0.0
        """Seconds that everything takes in each direction."""
        self.loss = 0.0
        """Share of the packets that come late, because they were lost and sent again."""
        self.is_cut = False
        """Nothing arrives, and nothing tells so."""
        self.word: bytes | None = None
        """What the server says to everything instead of doing it."""
        self.url = ""
        self._port = port
        self._chance = random.Random(seed)
        self._open: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Weather]:
        """Relay while the block runs."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for writer in self._open:
                writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._open |= {writer, back}
        relays = [
            asyncio.ensure_future(self._relay(reader, back, writer)),
            asyncio.ensure_future(self._relay(there, writer, None)),
        ]
        try:
            await asyncio.wait(relays, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for relay in relays:
                relay.cancel()
            for each in (writer, back):
                self._open.discard(each)
                each.transport.abort()

    async def _relay(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, asking: asyncio.StreamWriter | None
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                late = self.delay + (RETRANSMIT if self._chance.random() < self.loss else 0.0)
                if late:
                    await asyncio.sleep(late)
                while self.is_cut:
                    await asyncio.sleep(0.01)
                if self.word is not None and asking is not None:
                    asking.write(self.word)
                    continue
                target.write(data)
                await target.drain()
