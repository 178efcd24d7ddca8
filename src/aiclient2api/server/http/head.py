"""The head of a response as bytes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus} | {529: "Overloaded"}
_LINES: Final = {
    status: f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode("ascii") for status in range(200, 600)
}
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED: Final = b"transfer-encoding: chunked\r\n"
CLOSE: Final = b"connection: close\r\n"
BODILESS: Final = frozenset((204, 304))


class Clock:
    """The `date` line, made once per second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def line(self) -> bytes:
        """`date: …` with its line end."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._line = f"date: {formatdate(second, usegmt=True)}\r\n".encode("ascii")
        return self._line


def encode_head(status: int, headers: Iterable[tuple[bytes, bytes]], more: Iterable[bytes]) -> bytes:
    """Status line, headers, whole further lines, and the empty line."""
    encoded = [b"%b: %b\r\n" % header for header in headers]
    lines = b"".join(encoded)
    if lines.count(b"\n") != len(encoded) or lines.count(b"\r") != len(encoded):
        raise ValueError("a response header with a line end in it")
    return b"%b%b%b\r\n" % (_LINES[status], lines, b"".join(more))
