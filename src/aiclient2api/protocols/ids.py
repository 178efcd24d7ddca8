"""Ids that we make ourselves: derived from content and position, never random, so that a longer conversation
encodes to an extension of the shorter one."""

from __future__ import annotations

import hashlib
import re
from typing import Final

SYNTHETIC = "call_gw_"
"""Begins the id of a tool call whose upstream sent none; it is legal in every protocol."""
_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz234567" + bytes(224)


def _lower(half: int) -> int:
    """The bits of all the lower halves, where halves of so many bits are to be drawn apart."""
    return sum(((1 << half) - 1) << place for place in range(0, 256, half * 16 // 5))


_80, _40, _20, _10, _5 = map(_lower, (80, 40, 20, 10, 5))


def digest(*material: str, length: int = 26) -> str:
    """A lower-case base32 digest of the material (length 26 holds 130 bits)."""
    state = hashlib.blake2b(digest_size=20)
    for item in material:
        encoded = item.encode("utf-8", "surrogatepass")
        state.update(len(encoded).to_bytes(4, "big") + encoded)
    return _base32(state.digest())[:length]


def _base32(data: bytes) -> str:
    """Lower-case base32 of 20 bytes; half of the time `base64.b32encode` takes.

    All 160 bits are spread in one number, halves apart, then quarters, until each five have a byte of their own.
    """
    bits = int.from_bytes(data)
    bits = (bits & ~_80) << 48 | bits & _80
    bits = (bits & ~_40) << 24 | bits & _40
    bits = (bits & ~_20) << 12 | bits & _20
    bits = (bits & ~_10) << 6 | bits & _10
    bits = (bits & ~_5) << 3 | bits & _5
    return bits.to_bytes(32).translate(_LETTERS).decode()


def minted(prefix: str, *material: str) -> str:
    """An id of ours: prefix and digest."""
    return prefix + digest(*material)


def synthetic_call_id(*material: str) -> str:
    """The id of a tool call that came without one."""
    return minted(SYNTHETIC, *material)


def is_synthetic(call_id: str) -> bool:
    """Whether we made this id up, so that an upstream without ids must not see it."""
    return call_id.startswith(SYNTHETIC)


def legal(call_id: str, allowed: re.Pattern[str]) -> str:
    """`call_id` where the target accepts it, else a digest of it (the same for the call and its result)."""
    return call_id if allowed.fullmatch(call_id) else minted("h_", call_id)
