"""A call as HTTP/1.1 bytes: where it goes, and its head. No I/O.

Whatever could change the meaning of the bytes behind it (line ends, NUL, framing headers) is refused before
anything is sent (RFC 9112, 11.2: request smuggling).
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from aiclient2api.errors import Rejected, Unreachable
from aiclient2api.net.transport import Call
from aiclient2api.wire.http import Headers

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VISIBLE = re.compile(r"[!-~]+")
_OURS = frozenset(
    ("connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade")
)
_KNOWN_LIMIT = 1024
_PORTS = {"http": 80, "https": 443}


class Proxy(NamedTuple):
    """An HTTP proxy. `authorization` is the header's value."""

    host: str
    port: int
    tls: bool
    authorization: str | None


class Route(NamedTuple):
    """Where a connection leads. Calls of the same route can share it."""

    host: str
    port: int
    tls: bool
    proxy: Proxy | None
    ca: str | None

    @property
    def authority(self) -> str:
        """Host and port as they stand in a CONNECT."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


class Target(NamedTuple):
    """One URL, taken apart. `start` is everything of the head that does not change."""

    route: Route
    start: str
    ends: int
    """How many lines `start` has."""


def target(call: Call) -> Target:
    """Take a call's URL apart. Raises Unreachable when it is not one that can be asked."""
    parts = _split(call.url)
    if _TOKEN.fullmatch(call.method) is None:
        raise Rejected("the request's method is not valid", sent=False)
    proxy = _proxy(call.proxy) if call.proxy else None
    tls = parts.scheme == "https"
    route = Route(parts.hostname or "", parts.port or _PORTS[parts.scheme], tls, proxy, call.ca)
    path = parts.path or "/"
    if parts.query:
        path = f"{path}?{parts.query}"
    host = route.authority if route.port != _PORTS[parts.scheme] else route.authority.rpartition(":")[0]
    start = f"host: {host}\r\naccept-encoding: identity\r\n"
    if proxy and not tls:
        path = f"http://{host}{path}"
        if proxy.authorization:
            start = f"{start}proxy-authorization: {proxy.authorization}\r\n"
    start = f"{call.method} {path} HTTP/1.1\r\n{start}"
    return Target(route, start, start.count("\r\n"))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise Unreachable("the upstream's address is not a URL") from None
    if parts.scheme not in _PORTS or not parts.hostname or _VISIBLE.fullmatch(url) is None or "\\" in url:
        raise Unreachable("the upstream's address is not a URL")
    if parts.username is not None or parts.password is not None:
        raise Unreachable("the upstream's address holds credentials")
    return parts


def _proxy(url: str) -> Proxy:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Unreachable("the proxy's address is not a URL") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Unreachable("the proxy's address is not a URL")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(pair.encode()).decode()}"
    return Proxy(parts.hostname, port or _PORTS[parts.scheme], parts.scheme == "https", authorization)


class HeadWriter:
    """Writes heads. It remembers which header names are fine, and the latest heads up to the number of the length.

    One account's are mostly the same. They hold its key, as its settings do.
    """

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._written: dict[tuple[str, Headers], bytes] = {}

    def head(self, target: Target, call: Call) -> bytes:
        """The request's head. Raises Rejected for a name or value that HTTP does not allow."""
        headers, size = call.headers, len(call.body)
        key = (target.start, headers)
        if size:
            written = self._written.get(key)
            if written is not None:
                return b"%b%d\r\n\r\n" % (written, size)
        names = dict(headers)
        if not self._known.issuperset(names):
            for name in names:
                self._check(name)
        lines = "\r\n".join((*map(": ".join, headers), ""))
        text = f"{target.start}{lines}"
        # each line has exactly the one end that was put there: counting is cheaper than looking at every value
        ends = target.ends + len(headers)
        if text.count("\r") != ends or text.count("\n") != ends or "\0" in text:
            raise Rejected("the request holds a header that is not valid", sent=False)
        try:
            head = text.encode("latin-1")
        except UnicodeEncodeError:
            raise Rejected("the request holds a header that is not valid", sent=False) from None
        if not size and call.method in ("GET", "HEAD"):
            return head + b"\r\n"
        written = head + b"content-length: "
        if size:
            if len(self._written) >= _KNOWN_LIMIT:
                self._written.clear()
            self._written[key] = written
        return b"%b%d\r\n\r\n" % (written, size)

    def _check(self, name: str) -> None:
        if name in self._known:
            return
        if _TOKEN.fullmatch(name) is None or name.lower() in _OURS:
            raise Rejected("the request holds a header that is not valid", sent=False)
        if len(self._known) < _KNOWN_LIMIT:
            self._known.add(name)
