"""`data:` URLs (RFC 2397), the base64 kind that carries images and files."""

from __future__ import annotations

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Inline, Url


def parse(url: str, default_mime: str = "application/octet-stream") -> Inline | Url:
    """Inline data for a base64 `data:` URL, else the URL as it is. Never guesses a media type from a name."""
    if not url.startswith("data:"):
        return Url(url)
    head, comma, data = url[5:].partition(",")
    if not comma or not head.endswith(";base64"):
        return Url(url)
    mime = head.removesuffix(";base64").split(";")[0]
    return Inline(mime or default_mime, data)


_STRAY = bytes(
    set(range(128)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_ \r\n")
)


def checked(data: str, path: str) -> str:
    """Base64 as a client sent it, in either alphabet. Only what no decoder takes is refused: other characters."""
    if not data.isascii() or len(data.encode().translate(None, _STRAY)) != len(data):
        raise MalformedMessage("is not base64", path)
    return data


def build(source: Inline) -> str:
    """The `data:` URL of inline data."""
    return f"data:{source.mime};base64,{source.data}"
