"""Bytes to requests: llhttp parses, the guard judges, and what neither bounds is bounded here."""

from __future__ import annotations

import re
from typing import Final, Protocol

import httptools

from aiclient2api.errors import BadRequest, GatewayError, TooLarge
from aiclient2api.server.http.guard import PLAIN, Head, RawHeaders, Verdict, judge
from aiclient2api.server.http.repeats import Repeats
from aiclient2api.server.http.settings import MAX_HEAD

OVERHEAD: Final = 8
"""Bytes on the wire per byte of a chunked body, beyond what a head may have."""

_LINE: Final = re.compile(rb"(?:\r\n)?[A-Z]+ [^ ]+ HTTP/1\.[01]\r\n")
"""llhttp also takes RTSP and ICE for a protocol, several spaces for one, and a bare LF before a request."""


class Reads(Protocol):
    """Who is told what was read."""

    def begin(self, head: Head, verdict: Verdict) -> None:
        """A request's head is whole and accepted."""
        ...

    def add(self, data: bytes) -> None:
        """A part of the newest request's body."""
        ...

    def end(self) -> None:
        """The newest request is whole."""
        ...

    def stop(self, error: GatewayError) -> None:
        """What follows cannot be understood; nothing more is read."""
        ...


class RequestReader:
    """One for a connection. `target` and `headers` are those of the head that is being read."""

    __slots__ = (
        "_body_bytes",
        "_first_read",
        "_framing",
        "_in_body",
        "_is_echo",
        "_is_odd",
        "_is_plain",
        "_left",
        "_line",
        "_owner",
        "_parser",
        "_reading",
        "_repeats",
        "_wire_bytes",
        "headers",
        "in_head",
        "is_deaf",
        "length",
        "target",
    )

    def __init__(self, owner: Reads) -> None:
        self._owner = owner
        self._parser = httptools.HttpRequestParser(self)
        self._reading = 0
        self._first_read = 0
        """Bytes of the read in which the request began."""
        self._wire_bytes = 0
        """Bytes of the reads behind that one."""
        self._body_bytes = 0
        self._in_body = False
        self._line: bytes | None = b""
        """What was read of a request line; None once it was looked at."""
        self._is_odd = False
        self._framing = b""
        """How the body is framed of a request that asks for another protocol, as a head; empty for others."""
        self._is_echo = False
        """The parser reads such a head."""
        self._is_plain = False
        """The head that was read last asks for nothing but to be answered."""
        self._repeats = Repeats()
        self._left = 0
        """Bytes that are still to come of a body whose head was not parsed."""
        self.length = 0
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.in_head = False
        self.is_deaf = False
        """Nothing that still arrives is looked at."""

    def repeated(self, data: bytes) -> bytes | None:
        """What a read holds of the body of a request that is like the one before but for its length.

        `length` is that length, and the rest of the body is read without the parser. None: feed it.
        """
        if self.is_deaf or self.in_head or self._in_body or self._left:
            return None
        repeats = self._repeats
        start = repeats.match(data)
        if not start:
            return None
        body = data[start:]
        self.length = length = repeats.length
        self._left = length - len(body)
        return body

    def _body_of_repeated(self, data: bytes) -> bytes:
        """Take what still belongs to that body; the rest is for the parser."""
        left = self._left
        part = data[:left]
        self._left = left - len(part)
        self._owner.add(part)
        if not self._left:
            self._owner.end()
        return data[left:]

    def feed(self, data: bytes) -> None:
        """Read what arrived."""
        if self._left:
            data = self._body_of_repeated(data)
            if not data:
                return
            self._line = None  # no read begins here
        self._is_plain = False
        begins = self._line == b""
        if self._line is not None:
            self._look_at_line(data)
        self._reading = len(data)
        self._wire_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay(data, upgrade)
        except httptools.HttpParserError as error:
            self._stop(_invalid(error))
        if self._line:
            self._repeats.forget()  # what came belongs to the line that follows
        elif not self.in_head and not self._in_body:
            self._line = b""
        if begins and self._is_plain:
            self._repeats.keep(data, self._body_bytes)
        if self._wire_bytes <= MAX_HEAD:
            return
        if self.in_head:
            self._stop(TooLarge(f"the request head is larger than {MAX_HEAD} bytes"))
        elif self._in_body and self._wire_bytes > MAX_HEAD + OVERHEAD * self._body_bytes:
            self._stop(BadRequest("too much around the chunks of the body"))

    def forget(self) -> None:
        """The connection is gone: break the cycles with it and with the parser, so that nobody has to look for them."""
        self.is_deaf = True
        del self._owner, self._parser

    def _stay(self, data: bytes, upgrade: httptools.HttpParserUpgrade) -> None:
        """Read on as HTTP/1.1, as a server may that is asked for another protocol (RFC 9110 7.8).

        llhttp takes what follows such a head for the other protocol, a body too: another parser reads it, behind a
        head that says of the framing what this one said.
        """
        try:
            while not self.is_deaf:
                data = data[upgrade.args[0] :]
                framing, self._framing = self._framing, b""
                self._parser, self._is_echo = httptools.HttpRequestParser(self), True
                self._parser.feed_data(framing)
                try:
                    self._parser.feed_data(data)
                    return
                except httptools.HttpParserUpgrade as another:
                    upgrade = another
        except httptools.HttpParserError as error:
            self._stop(_invalid(error))

    def _look_at_line(self, data: bytes) -> None:
        """A request that begins a read (all but pipelined ones) must begin in one way."""
        line = self._line + data if self._line else data
        if _LINE.match(line) is not None:
            self._line = None
        elif b"\n" in line[2:] or len(line) > MAX_HEAD:
            self._line = None
            self._is_odd = True
        else:
            self._line = line

    def _stop(self, error: GatewayError) -> None:
        if not self.is_deaf:
            self.is_deaf = True
            self._owner.stop(error)

    # ---- httptools

    def on_message_begin(self) -> None:
        """The first byte of a request line."""
        if self._is_echo:
            return
        self.in_head = True
        self.target = b""
        self.headers = []
        self._wire_bytes = self._body_bytes = 0
        self._first_read = self._reading

    def on_url(self, url: bytes) -> None:
        """A part of the request target."""
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; those behind a body go into a list that nobody reads."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self.in_head = False
        self._repeats.forget()
        if self._is_echo:  # all of it was read before
            self._is_echo = False
            self.target, self.headers = b"", []
            return
        if self.is_deaf:
            return
        parser = self._parser
        size = self._first_read + self._wire_bytes
        head = Head(
            parser.get_method().decode("ascii"), self.target, parser.get_http_version(), self.headers, size
        )
        try:
            if self._is_odd:
                raise BadRequest("not a valid request line")
            verdict = judge(head)
        except GatewayError as error:
            self._stop(error)
            return
        self._framing = _framing(self.headers) if parser.should_upgrade() else b""
        self._is_plain = verdict is PLAIN and not self._framing
        self.target = b""
        self.headers = []
        self._in_body = True
        self._owner.begin(head, verdict)

    def on_body(self, data: bytes) -> None:
        """A part of a body."""
        self._body_bytes += len(data)
        if not self.is_deaf:
            self._owner.add(data)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._framing:
            return  # llhttp says so of every head that asks for another protocol
        self._in_body = False
        if not self.is_deaf:
            self._owner.end()


def _framing(headers: RawHeaders) -> bytes:
    lines = [b"%b: %b\r\n" % pair for pair in headers if pair[0] in (b"content-length", b"transfer-encoding")]
    return b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(lines)


def _invalid(error: httptools.HttpParserError) -> BadRequest:
    return BadRequest(f"not a valid HTTP request: {error}"[:200])
