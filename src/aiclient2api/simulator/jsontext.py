"""JSON in and out with the spelling of numbers kept: `1.50` stays `1.50`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import cast

import msgspec

Json = None | bool | int | float | Decimal | str | msgspec.Raw | Sequence["Json"] | Mapping[str, "Json"]
"""Anything that can be written as JSON."""

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")
_canonical = msgspec.json.Encoder(decimal_format="number", order="sorted")


def read(data: bytes | str) -> object:
    """The document; msgspec.DecodeError when it is none."""
    return cast(object, _decoder.decode(data))


def dump(value: object) -> bytes:
    """Compact JSON."""
    return _encoder.encode(value)


def write(value: object) -> str:
    """Compact JSON as text."""
    return _encoder.encode(value).decode()


def canonical(value: object) -> bytes:
    """The same bytes for the same document, whatever the order of its members."""
    return _canonical.encode(value)


def by_value(value: object) -> str:
    """Canonical text in which `1.50`, `1.5` and `15e-1` are the same: what survives a client's own JSON library."""
    return canonical(_normal(value)).decode()


def _normal(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) < 2**53 else float(value)
    if isinstance(value, dict):
        return {name: _normal(member) for name, member in cast("dict[str, object]", value).items()}
    if isinstance(value, list):
        return [_normal(item) for item in cast("list[object]", value)]
    return value
