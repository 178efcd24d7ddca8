"""What a request's head says to the edge, found out once for each head: a client sends the same one again and again."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from aiclient2api.server.auth import extract_key
from aiclient2api.wire.http import Headers, WireRequest


class Asked:
    """One head. It holds a client key, so it lives no longer than the connection that it came over."""

    __slots__ = ("_key", "head", "is_encoded", "is_explained", "is_repeatable", "is_strict")

    def __init__(self, head: WireRequest) -> None:
        self.head = head
        """The request without its body."""
        self._key = ""
        self.is_explained = is_wished(head, "x-a2-explain")
        self.is_strict = is_wished(head, "x-a2-strict")
        self.is_repeatable = bool(head.header("idempotency-key"))
        """The same request may come again while this one is under way."""
        self.is_encoded = (head.header("content-encoding") or "identity") != "identity"
        """The body is compressed."""

    def key(self) -> str:
        """The client key. Raises Unauthenticated, BadRequest."""
        if not self._key:
            self._key = extract_key(self.head)
        return self._key


def head_of(method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> WireRequest:
    """A head as ours: the path is percent-decoded, the query is not."""
    path, _, query = target.decode("latin-1").partition("?")
    return WireRequest(
        method=method,
        path=unquote(path) if "%" in path else path,
        query=query,
        headers=text_headers(headers),
    )


def text_headers(headers: Sequence[tuple[bytes, bytes]]) -> Headers:
    """Header lines as text; without a loop where, as always, no name or value holds a line end."""
    text = b"\n".join(map(b"\n".join, headers)).decode("latin-1").split("\n")
    if len(text) == 2 * len(headers):
        return tuple(zip(text[::2], text[1::2], strict=True))
    return tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers])


def is_wished(wire: WireRequest, name: str) -> bool:
    """Whether a header of ours is switched on: anything but a no, for a wish must not be overlooked."""
    value = wire.header(name)
    return value is not None and value.strip().lower() not in ("", "0", "false", "no", "off")
