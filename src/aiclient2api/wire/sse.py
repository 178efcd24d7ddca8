"""Server-sent events, as the WHATWG HTML standard defines them, cut at blank lines.

The decoder keeps at most one unfinished event. Line ends may be LF, CRLF or CR.
"""

from __future__ import annotations

import re

from aiclient2api.errors import MalformedMessage
from aiclient2api.wire.frames import Frame

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""Inline images make an event this large (README of the design, "Limits")."""

_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n|\r\n\r(?!\n)|\n\r(?!\n)|\r\r\n")
_UTF8_BOM = b"\xef\xbb\xbf"


class SseDecoder:
    """Bytes to frames."""

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._limit = limit
        self._tail = b""
        self._searched = 0
        self._started = False

    def feed(self, chunk: bytes) -> list[Frame]:
        """The events completed by this chunk, in order."""
        buffer = self._tail + chunk if self._tail else chunk
        if not self._started and buffer:
            if _UTF8_BOM.startswith(buffer[:3]) and len(buffer) < 3:
                self._tail = buffer
                return []
            self._started = True
            buffer = buffer.removeprefix(_UTF8_BOM)
        frames: list[Frame] = []
        start = 0
        if b"\r" not in buffer:
            start = _split_lf(buffer, self._searched, frames)
        else:
            start = _split_any(buffer, self._searched, frames)
        self._tail = buffer[start:] if start else buffer
        # a delimiter may straddle the next chunk: look again at the last three bytes only
        self._searched = max(0, len(self._tail) - 3)
        if len(self._tail) > self._limit:
            raise MalformedMessage(f"a stream event is larger than {self._limit} bytes")
        return frames

    def close(self) -> bytes:
        """The unfinished rest."""
        tail, self._tail = self._tail, b""
        return tail


def _split_lf(buffer: bytes, searched: int, frames: list[Frame]) -> int:
    """The usual case: only line feeds."""
    start = 0
    end = buffer.find(b"\n\n", searched)
    while end >= 0:
        raw = buffer[start : end + 2]
        frames.append(_frame(raw))
        start = end + 2
        end = buffer.find(b"\n\n", start)
    return start


def _split_any(buffer: bytes, searched: int, frames: list[Frame]) -> int:
    """Any mixture of CR, LF and CRLF. A final CR may be half a CRLF, so it waits for the next chunk."""
    start = 0
    for match in _BLANK_LINE.finditer(buffer, searched):
        end = match.end()
        if end == len(buffer) and buffer.endswith(b"\r"):
            break
        frames.append(_frame(buffer[start:end]))
        start = end
    return start


def _frame(raw: bytes) -> Frame:
    """Interpret one event block."""
    if raw.startswith(b"data: ") and raw.find(b"\n", 6) >= len(raw) - 2 and b"\r" not in raw:
        return Frame(raw, raw[6:-2])
    event: str | None = None
    data: list[bytes] = []
    for line in raw.splitlines():
        name, colon, value = line.partition(b":")
        if not colon and not line:
            continue
        value = value.removeprefix(b" ")
        if name == b"data":
            data.append(value)
        elif name == b"event":
            event = value.decode("utf-8", "replace")
    return Frame(raw, b"\n".join(data), event)


def encode_event(data: bytes, event: str | None = None) -> bytes:
    """One event with a payload that has no line break (JSON never has a bare one)."""
    if event is None:
        return b"data: " + data + b"\n\n"
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"
