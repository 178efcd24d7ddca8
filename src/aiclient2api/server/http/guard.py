"""A verdict on request line and headers. What two parsers could read in two ways is refused (RFC 9112 11.2).

The parser (llhttp, strict) has already refused: bare LF and CR, folded lines, white space before a colon, control
bytes, two or malformed Content-Length, Content-Length together with Transfer-Encoding. This is the rest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from aiclient2api.errors import BadRequest, MethodNotAllowed, TooLarge
from aiclient2api.server.http.settings import MAX_FIELDS, MAX_HEAD, MAX_LINE

RawHeaders = Sequence[tuple[bytes, bytes]]
"""Lower-case names."""

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_TARGET: Final = re.compile(rb"/[!\"$-~]*")
"""Origin form: printable, no fragment."""
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_METHODS: Final = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_WATCHED: Final = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"))


class Verdict(Struct, frozen=True, kw_only=True):
    """What the head says about its message."""

    keep_alive: bool
    expects_continue: bool = False


_STAYS: Final = (None, b"keep-alive", b"Keep-Alive")
PLAIN: Final = Verdict(keep_alive=True)
"""Most requests: nothing but to be answered."""
_LAST: Final = Verdict(keep_alive=False)


class Head(Struct, frozen=True):
    """Request line and headers as the parser found them. `version` is `1.1` or another.

    `size`: so many bytes arrived for it at most; it is measured when it may be too large.
    """

    method: str
    target: bytes
    version: str
    headers: RawHeaders
    size: int = MAX_HEAD + 1


def judge(head: Head) -> Verdict:
    """How to go on with a request. Raises ClientError for one that is refused."""
    if head.version not in ("1.1", "1.0"):
        raise BadRequest("this HTTP version is not spoken here")
    if head.method not in _METHODS:
        raise MethodNotAllowed("this method is not allowed here")
    if len(head.headers) > MAX_FIELDS:
        raise TooLarge(f"more than {MAX_FIELDS} header fields")
    if head.size > MAX_LINE:
        _check_size(head)
    if _TARGET.fullmatch(head.target) is None:
        raise BadRequest("the request target must be an absolute path")
    found = _watched(head.headers)
    if _HOST.fullmatch(found.get(b"host", b"")) is None and (b"host" in found or head.version == "1.1"):
        raise BadRequest("the Host header must be one host and port")
    return _framing(head.version, found)


def _check_size(head: Head) -> None:
    size = len(head.target)
    if size > MAX_LINE:
        raise TooLarge("the request line is too long")
    for name, value in head.headers:
        length = len(name) + len(value)
        if length > MAX_LINE:
            raise TooLarge("a header line is too long")
        size += length + 4
    if size > MAX_HEAD:
        raise TooLarge(f"the request head is larger than {MAX_HEAD} bytes")


def _watched(headers: RawHeaders) -> dict[bytes, bytes]:
    """The headers, those that decide how a message is read at most once."""
    found = dict(headers)
    if len(found) != len(headers):
        names = [name for name, _ in headers if name in _WATCHED]
        if len(set(names)) != len(names):
            raise BadRequest("a header that decides how a message is read stands there twice")
    return found


def _framing(version: str, found: dict[bytes, bytes]) -> Verdict:
    length, encoding = found.get(b"content-length"), found.get(b"transfer-encoding")
    if length is not None and (encoding is not None or _LENGTH.fullmatch(length) is None):
        raise BadRequest("Content-Length must be one number, and alone")
    if encoding is not None and (encoding != b"chunked" or version == "1.0"):
        raise BadRequest("Transfer-Encoding must be chunked")
    connection, expectation = found.get(b"connection"), found.get(b"expect")
    if connection in _STAYS and expectation is None:
        return PLAIN if version == "1.1" else _LAST
    options = [option.strip() for option in (connection or b"").lower().split(b",")]
    if expectation is not None and expectation.lower() != b"100-continue":
        raise BadRequest("this expectation cannot be met")
    return Verdict(
        keep_alive=version == "1.1" and b"close" not in options,
        expects_continue=expectation is not None and version == "1.1",
    )
