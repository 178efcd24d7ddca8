"""Encryption at rest: AES-256-GCM with keys derived from the gateway's secret, each with a name (`kid`).

What is written is sealed with the current key; what a previous one sealed still opens.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE: Final = 12
"""Bytes. Random ones are good for 2^32 messages of one key (NIST SP 800-38D section 8.3); we seal some per hour."""


class UnknownKey(Exception):
    """Sealed with a key that is not ours; `str()` is its name."""


class Broken(Exception):
    """The key is right, the bytes are not what was sealed."""


class Sealer:
    """Seals with the current key, opens what any of the given ones sealed. Keys have 32 bytes."""

    def __init__(self, current: bytes, previous: Iterable[bytes] = ()) -> None:
        self._keys: dict[str, AESGCM] = {}
        self.kid = ""
        self.use(current, previous)

    def use(self, current: bytes, previous: Iterable[bytes] = ()) -> None:
        """Go on with these; what was known before still opens."""
        for key in (*previous, current):
            self.kid = hashlib.blake2b(key, digest_size=4, person=b"a2-key-id").hexdigest()
            self._keys[self.kid] = AESGCM(key)

    def __repr__(self) -> str:
        return f"Sealer(kid={self.kid})"

    @property
    def kids(self) -> frozenset[str]:
        """The names of all keys."""
        return frozenset(self._keys)

    def seal(self, text: bytes, about: str) -> bytes:
        """Encrypt, bound to `about`: under another heading it does not open."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._keys[self.kid].encrypt(nonce, text, about.encode())

    def open(self, sealed: bytes, kid: str, about: str) -> bytes:
        """The text. Raises UnknownKey, Broken."""
        key = self._keys.get(kid)
        if key is None:
            raise UnknownKey(kid)
        try:
            return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], about.encode())
        except (InvalidTag, ValueError):
            raise Broken from None
