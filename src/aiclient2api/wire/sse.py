"""Server-sent events, as the WHATWG HTML standard defines them, cut at blank lines.

The decoder keeps at most one unfinished event. Line ends may be LF, CRLF or CR.
"""

from __future__ import annotations

import itertools
import re

from aiclient2api.errors import MalformedMessage
from aiclient2api.wire import json
from aiclient2api.wire.frames import UNREADABLE, Frame, check_text

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""Inline images make an event this large (README of the design, "Limits")."""

_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
"""Two line ends. A CR ends a line without waiting for its LF, which then opens the next event and means nothing."""
_ONE_LINE = re.compile(rb"data: (.*)\n\n").fullmatch
"""One event of one `data` line, as are nearly all reads of a stream that comes slowly."""
_ONE_CRLF = re.compile(rb"data: (.*)\r\n\r\n").fullmatch
"""The same as Google writes it."""
_NAMED = re.compile(rb"event: (.*)\ndata: (.+)\n\n")
"""One event that says its name before one `data` line."""
_ALL_NAMED = re.compile(rb"(?:event: .*\ndata: .+\n\n)+").fullmatch
_SEAM = 3
"""All but one byte of the longest blank line: what may stand before the cut of a chunk."""
_UTF8_BOM = b"\xef\xbb\xbf"


class SseDecoder:
    """Bytes to frames."""

    __slots__ = (
        "_limit",
        "_pieces",
        "_seam",
        "_size",
        "_started",
    )

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._limit = limit
        self._pieces: list[bytes] = []
        self._size = 0
        self._seam = b""
        self._started = False

    def feed(self, chunk: bytes) -> list[Frame]:
        """The events completed by this chunk, in order."""
        if not self._started:
            chunk = self._without_mark(chunk)
        if not self._seam:
            one = _ONE_LINE(chunk)
            if one is not None and b"\r" not in chunk:
                if not chunk.isascii():
                    check_text(chunk)
                return [Frame(chunk, one[1])]
            whole = _whole(chunk)
            if whole is not None:
                return whole if chunk.isascii() else _sound(chunk, whole)
        frames: list[Frame] = []
        rest, seam = chunk, self._seam + chunk
        if _has_blank_line(seam):
            buffer = b"".join((*self._pieces, chunk)) if self._pieces else chunk
            end = _split(buffer, frames)
            if not buffer.isascii():
                frames = _sound(buffer[:end], frames)
            rest = seam = buffer[end:]
            self._pieces.clear()
            self._size = 0
        self._seam = seam[-_SEAM:]
        if rest:
            # large events wait in pieces: joining them at every chunk would cost the square of their size
            self._pieces.append(rest)
            self._size += len(rest)
            if self._size > self._limit:
                raise MalformedMessage(f"a stream event is larger than {self._limit} bytes")
        return frames

    def close(self) -> bytes:
        """The unfinished rest."""
        rest = b"".join(self._pieces)
        self._pieces.clear()
        return rest

    def _without_mark(self, chunk: bytes) -> bytes:
        """The beginning of the stream without a byte order mark; empty while it may still be one."""
        chunk = self.close() + chunk
        if len(chunk) < len(_UTF8_BOM) and _UTF8_BOM.startswith(chunk):
            self._pieces.append(chunk)
            return b""
        self._started = True
        return chunk.removeprefix(_UTF8_BOM)


def last_event(rest: bytes) -> bytes:
    """What a body that has ended leaves behind its last blank line, as the whole event that it is, or nothing.

    Servers forget the last blank line, and SDKs do not need it. Half of an event has no data, or broken JSON.
    """
    event = rest.rstrip(b"\r\n") + b"\n\n"
    try:
        check_text(event)
        data = _frame(event).data
        if data:
            json.check_event(data)
    except MalformedMessage:
        return b""
    return event if data.endswith(b"}") else b""


def _whole(chunk: bytes) -> list[Frame] | None:
    """The events of a read that holds nothing but whole ones, where that shows at a glance."""
    if b"\r" in chunk:
        one = _ONE_CRLF(chunk)
        return [Frame(chunk, one[1])] if one is not None and b"\r" not in one[1] else None
    named = _NAMED.fullmatch(chunk)
    if named is not None:
        return [_named(named)]
    frames: list[Frame] = []
    return frames if chunk.endswith(b"\n\n") and _split_lf(chunk, frames) == len(chunk) else None


def _sound(data: bytes, frames: list[Frame]) -> list[Frame]:
    """The frames of `data` up to one that is no UTF-8. Raises MalformedMessage when that is the first."""
    try:
        check_text(data)
    except MalformedMessage:
        check_text(frames[0].raw)
        good = list(itertools.takewhile(_is_text, frames))
        return [*good, Frame(frames[len(good)].raw, UNREADABLE)]
    return frames


def _is_text(frame: Frame) -> bool:
    try:
        check_text(frame.raw)
    except MalformedMessage:
        return False
    return True


def _has_blank_line(data: bytes) -> bool:
    return b"\n\n" in data or (b"\r" in data and _BLANK_LINE.search(data) is not None)


def _split(buffer: bytes, frames: list[Frame]) -> int:
    """Append the complete events and return where the unfinished one begins."""
    return _split_any(buffer, frames) if b"\r" in buffer else _split_lf(buffer, frames)


def _split_lf(buffer: bytes, frames: list[Frame]) -> int:
    """The usual case: only line feeds."""
    events = buffer.split(b"\n\n")
    end = len(buffer) - len(events.pop())
    if _are_lines(buffer[:end], len(events), b"\n\n"):
        frames += [Frame(event + b"\n\n", event[6:]) for event in events]
    elif _ALL_NAMED(buffer, 0, end) is not None:
        frames += map(_named, _NAMED.finditer(buffer, 0, end))
    else:
        frames += [_frame(event + b"\n\n") for event in events]
    return end


def _named(found: re.Match[bytes]) -> Frame:
    return Frame(found[0], found[2], found[1].decode("utf-8", "replace"))


def _are_lines(whole: bytes, events: int, mark: bytes) -> bool:
    """Whether each of so many events that end with `mark` is one `data` line."""
    return (
        whole.count(b"\n") == 2 * events
        and whole.startswith(b"data: ")
        and whole.count(mark + b"data: ") == events - 1
    )


def _split_any(buffer: bytes, frames: list[Frame]) -> int:
    """Any mixture of CR, LF and CRLF; mostly it is none."""
    events = buffer.split(b"\r\n\r\n")
    rest = events.pop()
    whole, count = buffer[: len(buffer) - len(rest)], len(events)
    if (
        whole.count(b"\r") == 2 * count
        and _are_lines(whole, count, b"\r\n\r\n")
        and not _has_blank_line(rest)
    ):
        frames += [Frame(event + b"\r\n\r\n", event[6:]) for event in events]
        return len(whole)
    start = 0
    for match in _BLANK_LINE.finditer(buffer):
        frames.append(_frame(buffer[start : match.end()]))
        start = match.end()
    return start


def _frame(raw: bytes) -> Frame:
    """Interpret one event block."""
    if raw.startswith(b"event: ") and b"\r" not in raw:
        name, _, value = raw[7:-2].partition(b"\ndata: ")
        if value and b"\n" not in value and b"\n" not in name:
            return Frame(raw, value, name.decode("utf-8", "replace"))
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
            event = value.decode("utf-8", "replace")  # the caller refuses what is no UTF-8
    return Frame(raw, b"\n".join(data), event)


def encode_event(data: bytes, event: str | None = None) -> bytes:
    """One event with a payload that has no line break (JSON never has a bare one)."""
    if event is None:
        return b"data: " + data + b"\n\n"
    return b"event: " + event.encode() + b"\ndata: " + data + b"\n\n"
