"""The store's verbs. Values are bytes; `ttl` in seconds, None keeps a value until it is deleted.

Every verb is one round trip but `update` and a guarded `apply`, which are two. Any of them may raise
StoreUnavailable, at once while the breaker is open; only misconfiguration raises anything else. A value of a
foreign type under one of our keys is moved aside (`keys.aside`), so that it is neither lost nor in the way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct


class StoreUnavailable(Exception):
    """The store does not answer now. What was to be written may be written later; what was asked is not known."""


class StoreUnusable(Exception):
    """The store cannot be used as it is configured; `str()` is one sentence for the operator."""


class SchemaOutdated(StoreUnusable):
    """Its keys are of an earlier version: `aiclient2api state migrate` brings them to this one's."""


class Put(Struct, frozen=True):
    """Set a value."""

    key: str
    value: bytes
    ttl: float | None = None


class Delete(Struct, frozen=True):
    """Remove a value of any type."""

    key: str


class Add(Struct, frozen=True):
    """Add to a counter; `ttl` counts anew from each write."""

    key: str
    by: int
    ttl: float | None = None


class AddFields(Struct, frozen=True):
    """Add to the counters in a hash; `ttl` counts anew from each write."""

    key: str
    by: Mapping[str, int]
    ttl: float | None = None


class PutFields(Struct, frozen=True):
    """Set fields of a hash; `ttl` counts anew from each write."""

    key: str
    values: Mapping[str, bytes]
    ttl: float | None = None


class DropFields(Struct, frozen=True):
    """Remove fields of a hash."""

    key: str
    names: tuple[str, ...]


class Rank(Struct, frozen=True):
    """Put a member into a sorted set, and drop those with scores below `drop_below`."""

    key: str
    member: str
    score: float
    drop_below: float | None = None


class Unrank(Struct, frozen=True):
    """Take members out of a sorted set."""

    key: str
    members: tuple[str, ...]


Write = Put | Delete | Add | AddFields | PutFields | DropFields | Rank | Unrank
Guards = Mapping[str, bytes | None]
"""Key to the value it must have, None for absent."""


class Stored(Struct, frozen=True):
    """A key as it is found: text or a hash, and the seconds it has left."""

    key: str
    value: bytes | dict[str, bytes]
    ttl: float | None


class Store(Protocol):
    """Shared state: one process's memory, or Redis. Nothing on the normal request path waits for it."""

    @property
    def is_available(self) -> bool:
        """Whether the next call will be tried at all."""
        ...

    @property
    def on_return(self) -> list[Callable[[], None]]:
        """Called when the store answers again after an outage; must not block and must not fail."""
        ...

    async def check(self) -> None:
        """Look whether the store may be used. Raises StoreUnusable, StoreUnavailable."""
        ...

    async def time(self) -> float:
        """The store's clock: Unix time in seconds, the same for all nodes."""
        ...

    async def get(self, key: str) -> bytes | None:
        """The value, None when absent or expired."""
        ...

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """The values in the order of their keys, in one round trip."""
        ...

    async def fields(self, key: str) -> dict[str, bytes]:
        """A whole hash, empty when absent."""
        ...

    async def ranked(self, key: str, least: float) -> list[tuple[str, float]]:
        """The members of a sorted set with a score of `least` or more, lowest first."""
        ...

    async def put(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Set a value."""
        ...

    async def delete(self, key: str) -> bool:
        """Remove a value of any type; whether there was one."""
        ...

    async def increment(self, key: str, by: int = 1, ttl: float | None = None) -> int:
        """Add to a counter that begins at 0; the new value. `ttl` is set when the counter is created."""
        ...

    async def update(
        self, key: str, change: Callable[[bytes | None], bytes | None], ttl: float | None = None
    ) -> bytes | None:
        """Replace a value by `change(old)`, atomically; None deletes. `change` may be called several times.

        `ttl` None keeps what the value has left. Compare-and-swap is a `change` that returns `old`.
        """
        ...

    async def claim(self, key: str, owner: bytes, ttl: float) -> bool:
        """Set a value only if there is none: one owner among all nodes."""
        ...

    async def apply(self, writes: Sequence[Write], when: Guards | None = None) -> bool:
        """Write a batch. With guards it is all or nothing: False when one does not hold and nothing was written.

        With guards in a cluster all keys must be in one slot: give them the same `{tag}`.
        """
        ...

    def scan(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        """Every plain value whose key begins with `prefix`, in no order."""
        ...

    def entries(self, prefix: str) -> AsyncIterator[Stored]:
        """Every text and hash whose key begins with `prefix`, in no order; several round trips for each key."""
        ...

    async def close(self) -> None:
        """Release what the store holds."""
        ...
