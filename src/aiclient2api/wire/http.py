"""HTTP messages as values."""

from __future__ import annotations

import msgspec

Headers = tuple[tuple[str, str], ...]
"""Lower-case names in wire order."""


class WireRequest(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A request as it arrived from a client, or as it leaves for an upstream.

    `path` is percent-decoded and starts with `/`. For an upstream it is relative to the account's `base_url`.
    """

    path: str
    body: bytes = b""
    method: str = "POST"
    query: str = ""
    headers: Headers = ()

    def header(self, name: str) -> str | None:
        """The first value of a header, by its lower-case name."""
        found = vars(self)
        if not found:  # asked several times per request: one dictionary instead of as many searches
            found["first"] = dict(reversed(self.headers))
        return found["first"].get(name)


class WireResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A complete response."""

    status: int
    body: bytes = b""
    headers: Headers = ()

    def header(self, name: str) -> str | None:
        """The first value of a header, by its lower-case name."""
        return find_header(self.headers, name)


def find_header(headers: Headers, name: str) -> str | None:
    """The first value of `name` (lower case), None when absent."""
    for key, value in headers:
        if key == name:
            return value
    return None


JSON_HEADERS: Headers = (("content-type", "application/json"),)
