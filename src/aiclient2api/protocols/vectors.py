"""The two spellings of a vector: a JSON array, and base64 of little-endian 32-bit floats."""

from __future__ import annotations

import base64
import binascii
import struct

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.wire import json


def as_array(vector: Raw | str, path: str) -> Raw:
    """The vector as a JSON array; a Raw one is that already and stays as it is."""
    if isinstance(vector, Raw):
        return vector
    try:
        data = base64.b64decode(vector, validate=True)
        return json.raw(struct.unpack(f"<{len(data) // 4}f", data))
    except (binascii.Error, ValueError, struct.error):
        raise MalformedMessage("must be base64 of 32-bit floats", path) from None


def as_base64(vector: Raw | str, path: str) -> str:
    """The vector as base64; a string is that already."""
    if isinstance(vector, str):
        return vector
    numbers = json.decode(vector, list[float], path)
    try:
        return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    except (OverflowError, struct.error):
        raise MalformedMessage("must be 32-bit floats", path) from None
