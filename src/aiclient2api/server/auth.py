"""Who is asking: one extractor for every place a client key can stand, keyed hashes, constant-time compare."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from urllib.parse import parse_qsl

from msgspec import Struct

from aiclient2api.errors import BadRequest, Unauthenticated
from aiclient2api.wire.http import WireRequest

MAX_KEY = 512


class ClientKey(Struct, frozen=True, kw_only=True):
    """What a client key may do. `name` is the tenant; `hash` never leaves the process."""

    name: str
    hash: bytes
    models: tuple[str, ...] = ()
    strict: bool = False
    expires: float | None = None
    """Unix time in seconds."""

    def allows(self, model: str) -> bool:
        """Whether this key may use a model name."""
        return not self.models or any(fnmatchcase(model, pattern) for pattern in self.models)


class ClientKeys:
    """The keys we know, as keyed hashes. `pepper` makes a stolen hash useless; `wall` is Unix time in seconds."""

    def __init__(
        self, pepper: bytes, keys: Iterable[ClientKey], wall: Callable[[], float] = time.time
    ) -> None:
        self._pepper = pepper
        self._wall = wall
        self._by_hash = {key.hash: key for key in keys}

    def identify(self, presented: str) -> ClientKey:
        """The key's record. Raises Unauthenticated."""
        digest = key_hash(self._pepper, presented)
        known = self._by_hash.get(digest)
        if known is None or not hmac.compare_digest(known.hash, digest):
            raise Unauthenticated("the client key is not valid")
        if known.expires is not None and self._wall() >= known.expires:
            raise Unauthenticated("the client key has expired")
        return known


def key_hash(pepper: bytes, key: str) -> bytes:
    """HMAC-SHA-256 of a key."""
    return hmac.digest(pepper, key.encode("utf-8", "surrogatepass"), "sha256")


def extract_key(request: WireRequest) -> str:
    """The one key of a request, from `Authorization: Bearer`, `x-api-key`, `x-goog-api-key`, `api-key` or `?key=`.

    Raises Unauthenticated when there is none, BadRequest when two differ.
    """
    found: set[str] = set()
    for name, value in request.headers:
        if name == "authorization":
            scheme, _, token = value.partition(" ")
            if scheme.lower() != "bearer":
                raise Unauthenticated("the authorization scheme must be Bearer")
            found.add(token.strip())
        elif name in ("x-api-key", "x-goog-api-key", "api-key"):
            found.add(value.strip())
    if "key=" in request.query:
        found.update(value for name, value in parse_qsl(request.query) if name == "key")
    found.discard("")
    if not found:
        raise Unauthenticated("a client key is required")
    if len(found) > 1:
        raise BadRequest("two different client keys in one request")
    key = found.pop()
    if len(key) > MAX_KEY:
        raise Unauthenticated("the client key is not valid")
    return key
