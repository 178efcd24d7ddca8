"""The head of a response as bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from aiclient2api.wire.http import Headers

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus} | {529: "Overloaded"}
_STARTS: Final = {status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}" for status in range(200, 600)}
_LINES: Final = {status: f"{start}\r\n".encode("ascii") for status, start in _STARTS.items()}
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED: Final = b"transfer-encoding: chunked\r\n"
CLOSE: Final = b"connection: close\r\n"
_CLOSING: Final = CLOSE + b"\r\n"
BODILESS: Final = frozenset((204, 304))


class Clock:
    """The `date` line, made at most twice per second. `now` is any clock in seconds that is cheap to read."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._until = -math.inf
        self._line = b""

    def line(self) -> bytes:
        """`date: …` with its line end."""
        now = self._now()
        if now >= self._until:
            self._until = now + 0.5
            self._line = f"date: {formatdate(usegmt=True)}\r\n".encode("ascii")
        return self._line


def encode_head(status: int, headers: Sequence[tuple[bytes, bytes]], more: Iterable[bytes]) -> bytes:
    """Status line, headers, whole further lines, and the empty line."""
    if not headers:
        return b"".join((_LINES[status], *more, b"\r\n"))
    lines = b"\r\n".join(map(b": ".join, headers))
    if lines.count(b"\r") + lines.count(b"\n") > 2 * (len(headers) - 1):
        raise ValueError("a response header with a line end in it")
    return b"".join((_LINES[status], lines, b"\r\n", *more, b"\r\n"))


def encode_whole(status: int, headers: Headers, length: int, date: bytes, *, is_last: bool) -> bytes:
    """The same of text, for an answer of this length; in values, what is not Latin-1 is told as `?`."""
    lines = "\r\n".join((_STARTS[status], *map(": ".join, headers), f"content-length: {length}\r\n"))
    ends = len(headers) + 2
    if lines.count("\r") != ends or lines.count("\n") != ends:
        raise ValueError("a response header with a line end in it")
    return b"".join((lines.encode("latin-1", "replace"), date, _CLOSING if is_last else b"\r\n"))
