"""Durations (`250ms`, `30s`, `5m`, `1h`), sizes (`256KiB`, `32MiB`), and the URL of the store."""

from __future__ import annotations

import re
from typing import Final

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_AMOUNT: Final = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*([A-Za-z]+)", re.ASCII)
"""Longer numbers would be infinite sooner or later, and nobody means them."""


class Duration(float):
    """A time span in seconds."""

    @classmethod
    def parse(cls, text: object) -> Duration:
        """`text` must be a number with a unit; ValueError otherwise."""
        return cls(_parse(text, _SECONDS, "a duration like 250ms, 30s or 5m"))


class Size(int):
    """A number of bytes."""

    @classmethod
    def parse(cls, text: object) -> Size:
        """`text` must be a number with a unit; ValueError otherwise."""
        return cls(_parse(text, _BYTES, "a size like 256KiB or 32MiB"))


class StoreUrl(str):
    """Where shared state lives; its `repr` shows neither user nor password."""

    __slots__ = ()

    def __repr__(self) -> str:
        login, at, _ = self.partition("@")
        return repr(str(self) if not at else f"{login.partition(':')[0]}://***@{self.rpartition('@')[2]}")


def _parse(text: object, units: dict[str, float] | dict[str, int], expected: str) -> float:
    match = _AMOUNT.fullmatch(text.strip()) if isinstance(text, str) else None
    unit = units.get(match[2]) if match is not None else None
    if match is None or unit is None:
        raise ValueError(f"must be {expected}, not {text!r}")
    return float(match[1]) * unit
