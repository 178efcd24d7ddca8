"""A segment with all that stands in it."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from aiclient2api.ledger import segment


class Content(Struct, frozen=True):
    """What `segment.read` says, and what it gave away."""

    identity: str
    payloads: list[bytes]
    end: int
    is_damaged: bool


def read(path: Path, begin: int = 0, end: int | None = None) -> Content | None:
    """None when it is none."""
    payloads: list[bytes] = []
    extent = segment.read(path, payloads.append, begin, end)
    return extent and Content(extent.identity, payloads, extent.end, extent.is_damaged)
