"""Who asks from this machine itself, and for nobody else."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from aiclient2api.providers.base_url import is_loopback_host
from aiclient2api.wire.http import WireRequest

LOOPBACK: Final = ("127.", "::1", "::ffff:127.")
FOR_OTHERS: Final = frozenset(
    ("forwarded", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip", "via", "origin")
)
"""Beside `x-forwarded-…`: by these a proxy tells that somebody else is asking, or a browser that a page is."""


def is_local(peer: str, head: WireRequest) -> bool:
    """Whether a request of this peer was made on this machine, as far as can be seen.

    A proxy here that adds no header still passes on the name that its client used; so does a browser when a page has
    had its own name lead to this machine.
    """
    if not peer.startswith(LOOPBACK):
        return False
    names = [name for name, _ in head.headers]
    if any(name in FOR_OTHERS or name.startswith("x-forwarded-") for name in names):
        return False
    host = head.header("host")
    return host is None or _is_near(host)


def _is_near(host: str) -> bool:
    """A name with a dot may be anybody's, and an address other than loopback is not how we were reached."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback_host(name) or not ("." in name or ":" in name)
