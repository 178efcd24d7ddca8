"""The bounds of the client side as one value."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

MAX_FIELDS: Final = 100
MAX_HEAD: Final = 32 * 1024
"""Bytes of request line and headers together."""
MAX_LINE: Final = 16 * 1024
MAX_PIPELINED: Final = 16
"""Requests that may wait behind the one that is being answered."""
RESERVED: Final = 16
"""Connections beyond the limit that are accepted, for health and metrics alone."""


class ClientTimeouts(Struct, frozen=True, kw_only=True):
    """How long a client may take, in seconds."""

    header: float = 10.0
    """From the first byte (or the accept) to the end of the head."""
    body_idle: float = 10.0
    """Between two reads of a body."""
    body: float = 120.0
    """The whole body."""
    write: float = 30.0
    """Until a client that reads nothing is left."""
    keep_alive: float = 75.0


class HttpSettings(Struct, frozen=True, kw_only=True):
    """What one listener allows. `notice` in seconds: how long it still accepts after the signal to stop."""

    timeouts: ClientTimeouts = ClientTimeouts()
    connections: int = 2048
    notice: float = 0.0
