"""A stream of JSON values in one array, cut at its elements.

Google streams so when nobody asks for server-sent events. The decoder never parses an element: it only
follows strings and brackets, so that the network's cuts do not matter and the bytes can be relayed as they are.
"""

from __future__ import annotations

import re

from aiclient2api.errors import MalformedMessage
from aiclient2api.wire.frames import UNREADABLE, Frame, check_text
from aiclient2api.wire.sse import MAX_EVENT_BYTES

_TOKEN = re.compile(rb'"[^"\\]*+"|["{}\[\]]')
"""A string without escapes in one step, or the character that needs a decision."""
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_GAP = re.compile(rb"[\s,]*+")
_QUOTE, _BACKSLASH = 0x22, 0x5C
_OPENING = b"{["
_UTF8_BOM = b"\xef\xbb\xbf"


class JsonArrayDecoder:
    """Bytes to frames; each frame's `raw` is an element with the separators before it.

    A single object instead of an array (an error answer) is one frame as well.
    """

    def __init__(self, limit: int = MAX_EVENT_BYTES) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._position: int = 0
        self._depth = 0
        self._in_string = False
        self._in_array = False
        self._ended = False
        self._element = -1

    def feed(self, chunk: bytes) -> list[Frame]:
        """The elements completed by this chunk, in order."""
        self._buffer += chunk
        frames: list[Frame] = []
        try:
            while (frame := self._next()) is not None:
                frames.append(frame)
        except MalformedMessage:
            if not frames:
                raise
            frames.append(Frame(bytes(self._buffer), UNREADABLE))
            self._buffer.clear()
        if len(self._buffer) > self._limit:
            raise MalformedMessage(f"an element of the stream is larger than {self._limit} bytes")
        return frames

    def close(self) -> bytes:
        """What is left; white space after the end of the array is not worth a mention."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return b"" if self._ended and not rest.strip() else rest

    def _next(self) -> Frame | None:
        if self._ended:
            return self._after_end()
        if self._element < 0 and not self._find_element():
            return self._cut(b"") if self._ended else None
        if not self._find_end():
            return None
        data = bytes(memoryview(self._buffer)[self._element : self._position])
        self._ended = not self._in_array
        return self._cut(data)

    def _after_end(self) -> Frame | None:
        """Trailing white space belongs to the stream, anything else breaks it."""
        if not self._buffer:
            return None
        if self._buffer.strip():
            raise MalformedMessage("the stream goes on after the end of its array")
        self._position = len(self._buffer)
        return self._cut(b"")

    def _cut(self, data: bytes) -> Frame:
        raw = bytes(memoryview(self._buffer)[: self._position])
        check_text(data)
        del self._buffer[: self._position]
        self._position = 0
        self._element = -1
        return Frame(raw, data)

    def _find_element(self) -> bool:
        """Move to the next element's first byte. Enters and leaves the array on the way."""
        while True:
            if not self._skip_gap():
                return False
            first = self._buffer[self._position]
            if first == 0x5B and not self._in_array:
                self._in_array = True
                self._position += 1
            elif first == 0x5D and self._in_array:
                self._ended = True
                self._position += 1
                return False
            elif first == 0x7B:
                self._element = self._position
                return True
            else:
                raise MalformedMessage("a stream of JSON objects was expected")

    def _skip_gap(self) -> bool:
        """Skip white space and commas; false at the end of the buffer."""
        if self._position == 0 and self._buffer.startswith(_UTF8_BOM):
            self._position = len(_UTF8_BOM)
        match = _GAP.match(self._buffer, self._position)
        assert match is not None
        self._position = match.end()
        return self._position < len(self._buffer)

    def _find_end(self) -> bool:
        """Follow the element to the bracket that closes it; false when more bytes are needed."""
        if self._in_string and not self._leave_string():
            return False
        while True:
            token = _token(self._buffer, self._position)
            if token is None:
                self._position = len(self._buffer)
                return False
            start, self._position = token
            first = self._buffer[start]
            if first == _QUOTE:
                if self._position - start == 1 and not self._enter_string():
                    return False
            elif first in _OPENING:
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == 0:
                    return True

    def _enter_string(self) -> bool:
        self._in_string = True
        return self._leave_string()

    def _leave_string(self) -> bool:
        """Move behind the string's closing quote; false when it has not arrived."""
        match = _IN_STRING.match(self._buffer, self._position)
        assert match is not None
        self._position = match.end()
        if self._position == len(self._buffer) or self._buffer[self._position] == _BACKSLASH:
            return False  # half an escape waits for its second byte
        self._position += 1
        self._in_string = False
        return True


def _token(buffer: bytearray, position: int) -> tuple[int, int] | None:
    """The next token's span; no match object survives, it would lock the buffer."""
    match = _TOKEN.search(buffer, position)
    return match.span() if match is not None else None
