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
_END = b"\r\n\r\n"
_BODY_HEADERS = (b"content-encoding", b"content-length", b"transfer-encoding")
_VERSIONS = ("1.1", "1.0")


class InvalidResponse(Exception):
    """The bytes are not a response that we accept."""


class ResponseReader:
    """One response after the other on one connection; `begin` before each.

    `chunks` holds what has come of the body. `done` says that its end has come, `keeps_alive` that another
    request may follow. `ends_by_close` says that only the connection's end can end it, `is_encoded` that `chunks`
    are not what was meant.
    """

    __slots__ = (
        "_head_only",
        "_head_size",
        "_interim",
        "_parser",
        "_seam",
        "chunks",
        "done",
        "ends_by_close",
        "fields",
        "has_head",
        "headers",
        "is_encoded",
        "keeps_alive",
        "on_body",
        "on_header",
        "parse",
        "status",
        "untouched",
    )

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.on_body = self.chunks.append  # no Python frame for each chunk
        self.fields: dict[bytes, bytes] = {}
        """Header lines of a head that is being read, then trailers; the first of a name counts."""
        self.on_header = self.fields.setdefault  # nor for each header
        self.status = 0
        self.headers: Headers = ()
        self.keeps_alive = False
        self.ends_by_close = False
        self.is_encoded = False
        self.begin()
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        self.parse: Callable[[bytes], None] = self._parser.feed_data
        """Takes more of a body whose head has come, without a Python frame. Raises httptools' errors: see `reject`."""

    def begin(self, *, head_only: bool = False) -> None:
        """Expect a response. `head_only`: to a HEAD request, which has no body whatever its headers say."""
        self.has_head = False
        self.done = False
        self.untouched = True
        self._head_only = head_only
        self._interim = False
        self._head_size = 0
        self._seam = b""
        if self.fields:
            self.fields.clear()
        if self.chunks:
            self.chunks.clear()

    def feed(self, data: bytes) -> None:
        """Take what was read. Raises InvalidResponse, which ends the connection; `chunks` stay good."""
        self.untouched = False
        if not self.has_head:
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                self._check_head(data)
        try:
            self.parse(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.reject(error)
        if not self.has_head:
            self._seam = data[1 - len(_END) :]
        elif self.fields:
            self.check_fields()

    def _check_head(self, data: bytes) -> None:
        """Raise InvalidResponse where the head does not end in time; `fields` alone does not tell, names may repeat."""
        start = (self._seam + data).find(_END)
        end = start + len(_END) - len(self._seam)
        if start < 0 or self._head_size - len(data) + end > MAX_HEAD:
            raise InvalidResponse("the head is too large")

    def check_fields(self) -> None:
        """Raise InvalidResponse where a head, or trailers, which nobody asked for, are too large."""
        fields = self.fields
        size = sum(map(len, fields)) + sum(map(len, fields.values()))
        if size > MAX_HEAD or len(fields) > MAX_FIELDS:
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

    def on_headers_complete(self) -> None:
        """The end of the head."""
        parser, fields = self._parser, self.fields
        assert parser is not None
        status = parser.get_status_code()
        if status < 200:
            if status == 101:
                raise InvalidResponse("the upstream switches protocols")
            self._interim = True
            fields.clear()
            return
        if parser.get_http_version() not in _VERSIONS:
            raise InvalidResponse("not HTTP/1")
        if self._head_size > MAX_HEAD or len(fields) > MAX_FIELDS:
            self.check_fields()
        self.status = status
        self.keeps_alive = parser.should_keep_alive()
        headers = _text(fields)
        if len(headers) < len(fields):
            _refuse_doubled(fields)
        self.headers = tuple(headers.items())
        fields.clear()
        self.is_encoded = "content-encoding" in headers
        coding = headers.get("transfer-encoding")
        if coding is not None and coding.lower() != "chunked":
            raise InvalidResponse("a transfer encoding that we did not ask for")
        self.ends_by_close = coding is None and "content-length" not in headers
        self.has_head = True
        if self._head_only:
            self.done = True
            self.keeps_alive = False  # the parser waits for a body

    def on_message_complete(self) -> None:
        """The end of the body, or of an interim response."""
        if self._interim:
            self._interim = False
            return
        self.done = True


def _ignore(_: bytes) -> None:
    """What comes behind the end of a connection."""


def _text(fields: dict[bytes, bytes]) -> dict[str, str]:
    """Header lines as text with lower-case names; without a loop where, as always, no line end is in them."""
    parts = b"\n".join((*fields, *fields.values())).decode("latin-1").split("\n")
    count = len(fields)
    if len(parts) != 2 * count:
        parts = [part.decode("latin-1") for part in (*fields, *fields.values())]
    return dict(zip(map(str.lower, parts), parts[count:], strict=False))


def _refuse_doubled(fields: dict[bytes, bytes]) -> None:
    """A name is there twice, in small letters and in large ones: no matter, unless it tells how a body is read."""
    names = [name.lower() for name in fields]
    if any(names.count(name) > 1 for name in _BODY_HEADERS):
        raise InvalidResponse("two headers that tell how the body is read")
