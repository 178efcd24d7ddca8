"""Requests with the head of the one before: a client says the same on its connection again and again.

Such a head needs no second reading. It is the same byte for byte but for the number of its `content-length`, so what
the parser and the guard have found in the first one holds for it; anything else is parsed.
"""

from __future__ import annotations

import re
from typing import Final

MAX_KEPT: Final = 8 * 1024
"""Bytes of a head that is kept."""
MISSES: Final = 4
"""Heads in a row, none like the other, after which a connection keeps none: it is a proxy's, for many clients."""
_DIGITS: Final = 9
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]{1,9})(?=\r\n)", re.IGNORECASE)


class Repeats:
    """The last head of one connection, around the number of its length."""

    __slots__ = ("_after", "_before", "_reach", "_skip", "_start", "_tries", "length")

    def __init__(self) -> None:
        self._before = b""
        self._after = b""
        self._start = self._skip = self._reach = 0
        self._tries = MISSES
        self.length = 0

    def match(self, data: bytes) -> int:
        """Where the body begins in a read that begins with the head that is kept; 0 for all others.

        `length` is then what this head says of the body, of which the read holds no more than that.
        """
        before = self._before
        if not before or not data.startswith(before):
            return 0
        start = self._start
        end = data.find(self._after, start, self._reach)
        number = data[start:end]
        if end < 0 or not number.isdigit():
            return 0
        self.length = length = int(number)
        end += self._skip
        if len(data) - end > length:
            return 0
        self._tries = MISSES
        return end

    def forget(self) -> None:
        """Another head has come."""
        self._before = b""

    def keep(self, data: bytes, size: int) -> None:
        """A read that was the head of a request, which was accepted, and so many bytes of its body."""
        if not self._tries:
            return
        self._tries -= 1
        end = data.find(b"\r\n\r\n", 0, MAX_KEPT) + 4
        length = _LENGTH.search(data, 0, end - 2)
        if end > 3 and length is not None and int(length[1]) >= size == len(data) - end:
            self._start = length.start(1)
            self._before, self._after = data[: self._start], data[length.end(1) : end]
            self._skip = len(self._after)
            self._reach = self._start + _DIGITS + self._skip
