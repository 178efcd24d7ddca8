"""The socket between supervisor and worker: whole messages, each behind its length."""

from __future__ import annotations

import asyncio
import socket
from typing import Final, Generic, TypeVar

import msgspec

LENGTH: Final = 4
"""Bytes of the length, most significant first."""
LONGEST: Final = 64 * 1024 * 1024
"""Bytes; a configuration with thousands of accounts is a hundredth of it."""

M = TypeVar("M")


class Channel(Generic[M]):
    """One end. `M` is what comes in."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, decoder: msgspec.msgpack.Decoder[M]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._decode = decoder.decode
        self._encode = msgspec.msgpack.Encoder().encode

    def send(self, message: object) -> None:
        """Say something; what the other side can no longer hear is dropped."""
        body = self._encode(message)
        self._writer.write(len(body).to_bytes(LENGTH) + body)

    async def receive(self) -> M | None:
        """The next message; None when the other side is gone."""
        try:
            size = int.from_bytes(await self._reader.readexactly(LENGTH))
            if size > LONGEST:
                return None
            return self._decode(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, OSError, msgspec.MsgspecError):
            return None

    def close(self) -> None:
        """Hang up when all is said."""
        self._writer.close()


async def opened(end: socket.socket, decoder: msgspec.msgpack.Decoder[M]) -> Channel[M]:
    """A channel over one end of a socket pair."""
    end.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=end)
    return Channel(reader, writer, decoder)
