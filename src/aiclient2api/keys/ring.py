"""The keys we know, as keyed hashes, whether they are configured or come from the store."""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Final, Protocol

from msgspec import Struct

from aiclient2api.errors import ClientError, ErrorInfo, Unauthenticated

KEPT: Final = 8192
"""Keys whose hashes are remembered."""


class KeyLimits(Struct, frozen=True, kw_only=True):
    """How much a client key may use, on all nodes together; None is no limit."""

    requests: int | None = None
    """A minute."""
    tokens: int | None = None
    """A minute, input and output together."""
    concurrency: int | None = None
    """Requests under way."""


def limits_of(requests: int | None, tokens: int | None, concurrency: int | None) -> KeyLimits | None:
    """The limits; None when there is none."""
    if requests is None and tokens is None and concurrency is None:
        return None
    return KeyLimits(requests=requests, tokens=tokens, concurrency=concurrency)


class ClientKey(Struct, frozen=True, kw_only=True):
    """What a client key may do. `name` is the tenant; `hash` never leaves the process."""

    name: str
    hash: bytes
    models: tuple[str, ...] = ()
    strict: bool = False
    expires: float | None = None
    """Unix time in seconds."""
    disabled: bool = False
    limits: KeyLimits | None = None

    def allows(self, model: str) -> bool:
        """Whether this key may use a model name."""
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)


class StoredKeys(Protocol):
    """The keys that all nodes share, as this node has heard of them."""

    @property
    def by_hash(self) -> Mapping[bytes, ClientKey]:
        """All of them, by their keyed hash."""
        ...

    @property
    def is_current(self) -> bool:
        """Whether a key that was made a second ago would be known."""
        ...


class ClientKeys:
    """Finds the key a client presents; nothing here waits for the store.

    `peppers` make stolen hashes useless: the current one first, then those of earlier secrets. A configured key hides
    stored ones of its name. `wall` is Unix time in seconds.
    """

    def __init__(
        self,
        peppers: Sequence[bytes],
        keys: Iterable[ClientKey],
        stored: StoredKeys | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._peppers = tuple(peppers)
        self._wall = wall
        self._by_hash = {key.hash: key for key in keys}
        self._names = {key.name for key in self._by_hash.values()}
        self._stored = stored
        self._digests: dict[bytes, tuple[bytes, ...]] = {}
        """Of keys that were found: the hashes by a quicker one, which has a key of this process alone."""
        self._quick = os.urandom(blake2b.MAX_KEY_SIZE)

    def identify(self, presented: str) -> ClientKey:
        """The key's record. Raises Unauthenticated, or ClientError while a key may exist that we have not heard of."""
        known = self._find(presented)
        if known is None:
            if self._stored is not None and not self._stored.is_current:
                raise ClientError(info=_UNHEARD)
            raise Unauthenticated("the client key is not valid")
        if known.disabled:
            raise Unauthenticated("the client key is disabled")
        if known.expires is not None and self._wall() >= known.expires:
            raise Unauthenticated("the client key has expired")
        return known

    def _find(self, presented: str) -> ClientKey | None:
        text = presented.encode("utf-8", "surrogatepass")
        quick = blake2b(text, digest_size=32, key=self._quick).digest()
        digests = self._digests.get(quick)
        if digests is not None:
            return self._with_hash(digests)
        digests = tuple([key_hash(pepper, presented) for pepper in self._peppers])
        known = self._with_hash(digests)
        if known is not None:
            if len(self._digests) >= KEPT:
                self._digests.clear()
            self._digests[quick] = digests
        return known

    def _with_hash(self, digests: tuple[bytes, ...]) -> ClientKey | None:
        for digest in digests:
            known = self._by_hash.get(digest)
            if known is None and self._stored is not None:
                known = self._stored.by_hash.get(digest)
                if known is not None and known.name in self._names:
                    known = None
            if known is not None and hmac.compare_digest(known.hash, digest):
                return known
        return None


_UNHEARD = ErrorInfo(
    kind="unavailable",
    code="keys_unavailable",
    message="the client key is not known here, and new keys cannot be looked up at the moment",
    retry_after=2.0,
)


def key_hash(pepper: bytes, key: str) -> bytes:
    """HMAC-SHA-256 of a key."""
    return hmac.digest(pepper, key.encode("utf-8", "surrogatepass"), "sha256")
