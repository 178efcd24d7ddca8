"""Reads HTTP/1.1 responses out of bytes, on httptools (llhttp in its strict mode). No I/O.

Where RFC 9112 leaves a choice between guessing and refusing, this refuses: two ways to find the end of a body
are one too many.
"""

from __future__ import annotations

from collections.abc import Callable

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from aiclient2api.wire.http import Headers

MAX_HEAD = 64 * 1024
"""Bytes of a head, interim responses and trailers included."""
MAX_FIELDS = 200
_NAMES_LIMIT = 1024
_BODY_HEADERS = frozenset(("content-encoding", "content-length", "transfer-encoding"))

_names: dict[bytes, str] = {}
"""Header names as they are written by upstreams, to lower-case text: the same few over and over."""


class InvalidResponse(Exception):
    """The bytes are not a response that we accept."""


class ResponseReader:
    """One response after the other on one connection; `begin` before each.

    `chunks` holds what has come of the body. `done` says that its end has come, `keeps_alive` that another
    request may follow. `ends_by_close` says that only the connection's end can end it, `is_encoded` that `chunks`
    are not what was meant.
    """

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.on_body = self.chunks.append  # no Python frame for each chunk
        self.begin()
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self.parse: Callable[[bytes], None] = self._parser.feed_data
        """Takes more of a body whose head has come, without a Python frame. Raises httptools' errors: see `reject`."""

    def begin(self, *, head_only: bool = False) -> None:
        """Expect a response. `head_only`: to a HEAD request, which has no body whatever its headers say."""
        self.status = 0
        self.headers: Headers = ()
        self.has_head = False
        self.done = False
        self.keeps_alive = False
        self.ends_by_close = False
        self.is_encoded = False
        self.untouched = True
        self._head_only = head_only
        self._interim = False
        self._fields: list[tuple[bytes, bytes]] = []
        self._fields_size = 0
        self._head_size = 0
        self.chunks.clear()

    def feed(self, data: bytes) -> None:
        """Take what was read. Raises InvalidResponse, which ends the connection; `chunks` stay good."""
        self.untouched = False
        if self._parser is None:
            return
        try:
            self.parse(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.reject(error)
        if not self.has_head:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                raise InvalidResponse("the head is too large")

    def reject(self, error: HttpParserError | HttpParserUpgrade) -> None:
        """Raise InvalidResponse, unless the response is whole: then only its connection is of no use any more."""
        self.keeps_alive = False
        if not self.done:
            raise InvalidResponse(str(error)) from error

    def close(self) -> bool:
        """The connection has ended in an orderly way: whether the response is complete."""
        if self.has_head and self.ends_by_close:
            self.done = True
        return self.done

    def forget(self) -> None:
        """Break the reference cycle with the parser, which the garbage collector would have to find."""
        self._parser = None
        self.parse = _ignore

    def on_message_begin(self) -> None:
        """Part of httptools' interface, like all that follow."""
        if self.done:
            raise InvalidResponse("bytes behind the end of the response")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which nobody asked for."""
        self._fields_size += len(name) + len(value)
        self._fields.append((name, value))
        if self._fields_size > MAX_HEAD or len(self._fields) > MAX_FIELDS:
            raise InvalidResponse("the head is too large")

    def on_headers_complete(self) -> None:
        """The end of the head."""
        parser = self._parser
        assert parser is not None
        status = parser.get_status_code()
        if status < 200:
            if status == 101:
                raise InvalidResponse("the upstream switches protocols")
            self._interim = True
            self._fields = []
            return
        if parser.get_http_version() not in ("1.1", "1.0"):
            raise InvalidResponse("not HTTP/1")
        self.status = status
        self.headers = tuple([(_names.get(n) or _name(n), v.decode("latin-1")) for n, v in self._fields])
        self._fields = []
        self.keeps_alive = parser.should_keep_alive()
        self._check_framing()
        self.has_head = True
        if self._head_only:
            self.done = True
            self.keeps_alive = False  # the parser waits for a body

    def _check_framing(self) -> None:
        sized = False
        for name, value in self.headers:
            if name not in _BODY_HEADERS:
                continue
            if name == "content-encoding":
                self.is_encoded = True
                continue
            if name == "transfer-encoding" and value.lower() != "chunked":
                raise InvalidResponse("a transfer encoding that we did not ask for")
            sized = True
        self.ends_by_close = not sized

    def on_message_complete(self) -> None:
        """The end of the body, or of an interim response."""
        if self._interim:
            self._interim = False
            return
        self.done = True


def _ignore(_: bytes) -> None:
    """What comes behind the end of a connection."""


def _name(raw: bytes) -> str:
    name = raw.decode("latin-1").lower()
    if len(_names) < _NAMES_LIMIT:
        _names[raw] = name
    return name
