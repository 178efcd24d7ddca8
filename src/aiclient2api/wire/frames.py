"""What a stream is made of before anybody interprets it."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from aiclient2api.errors import MalformedMessage


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One event of a stream.

    `raw` is the event exactly as it was received, with its delimiter, so that a relay can pass it on untouched.
    `data` is the payload (the joined `data:` lines), empty for a comment or a keep-alive.
    """

    raw: bytes
    data: bytes
    event: str | None = None


class FrameDecoder(Protocol):
    """Cuts a byte stream into frames. Feed it any chunks; the cuts do not matter."""

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that are complete after this chunk. Raises MalformedMessage over the size limit."""
        ...

    def close(self) -> bytes:
        """What is left of an unfinished frame at the end of the stream; empty after a clean end."""
        ...


UNREADABLE: Final = b"\xff"
"""Stands for the payload of what breaks a stream where whole events came before it in one read: these must not get
lost, and whoever reads on finds no JSON."""


def check_text(data: bytes) -> None:
    """Raise MalformedMessage when this is no UTF-8; a look at each network read, whatever is relayed unread."""
    if data.isascii():
        return
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise MalformedMessage(f"not valid UTF-8: {error.reason}") from None
