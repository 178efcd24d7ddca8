"""Undoes a content encoding that we did not ask for, in bounded memory.

We ask for `identity`; proxies in front of upstreams compress all the same.
"""

from __future__ import annotations

import zlib

from aiclient2api.errors import Malformed, Truncated
from aiclient2api.wire.http import Headers, find_header

MAX_RATIO = 100
"""Decoded bytes per encoded one; JSON and SSE stay far below."""
MAX_DECODED = 256 * 1024 * 1024
"""Bytes of one answer."""
FREE = 1024 * 1024
"""Decoded bytes for which the ratio does not count, and the most that one step gives."""


_KIND_BYTES = 2
"""How many bytes tell raw deflate from the other two."""


class Inflater:
    """One compressed body. `pending` says that more can be decoded without more input."""

    def __init__(self, coding: str) -> None:
        self.pending = False
        self._coding = coding
        self._rest = b""
        self._taken = 0
        self._given = 0
        self._begun = False
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, by its first bytes

    def decode(self, data: bytes) -> bytes:
        """At most FREE bytes more. Raises Malformed for what is not the encoding, and for a bomb."""
        self._taken += len(data)
        data = self._rest + data if self._rest else data
        try:
            out = self._step(data)
        except zlib.error as error:
            raise Malformed("the upstream's compressed answer cannot be decoded") from error
        self._given += len(out)
        if self._given > MAX_DECODED or self._given > FREE + MAX_RATIO * self._taken:
            raise Malformed("the upstream's compressed answer grows beyond all bounds")
        return out

    def _step(self, data: bytes) -> bytes:
        if not data and not self.pending:
            return b""
        if not self._begun and len(data) < _KIND_BYTES:
            self._rest = data
            return b""
        decoder = self._decoder
        try:
            out = decoder.decompress(data, FREE)
        except zlib.error:
            if self._begun or self._coding != "deflate":
                raise
            decoder = self._decoder = zlib.decompressobj(-zlib.MAX_WBITS)  # what some servers call deflate
            out = decoder.decompress(data, FREE)
        self._begun = True
        self._rest = decoder.unconsumed_tail
        if decoder.eof and decoder.unused_data:  # gzip may have several members
            self._rest = decoder.unused_data
            self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self.pending = bool(self._rest) or len(out) == FREE
        return out

    def close(self) -> None:
        """The body has ended. Raises Truncated when the encoding has not."""
        if self._rest:
            raise Truncated("the upstream's compressed answer was cut")
        if self._begun and not self._decoder.eof:
            raise Truncated("the upstream's compressed answer was cut")


def inflater(headers: Headers) -> Inflater | None:
    """What a response's body needs. Raises Malformed for an encoding that we do not know."""
    value = find_header(headers, "content-encoding")
    if value is None:
        return None
    coding = value.strip().lower()
    if coding in ("", "identity"):
        return None
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise Malformed("the upstream's answer has an encoding that we did not ask for")
    return Inflater(coding)
