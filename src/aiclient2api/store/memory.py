"""The store of one process: plain dictionaries, atomic because the event loop is."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence

from msgspec import Struct

from aiclient2api.store import keys
from aiclient2api.store.base import (
    Add,
    AddFields,
    Delete,
    DropFields,
    Guards,
    Put,
    PutFields,
    Rank,
    Stored,
    Unrank,
    Write,
)

Value = bytes | dict[str, bytes] | dict[str, float]


class _Entry(Struct):
    value: bytes | dict[str, bytes] | dict[str, float]
    expires: float | None


class MemoryStore:
    """For tests, demos, and platforms without a Valkey or Redis. `now` in seconds, any origin; `wall` Unix time."""

    def __init__(
        self, now: Callable[[], float], sweep_every: int = 4096, wall: Callable[[], float] = time.time
    ) -> None:
        self._now = now
        self._wall = wall
        self._entries: dict[str, _Entry] = {}
        self._sweep_every = sweep_every
        self._writes = 0
        self._on_return: list[Callable[[], None]] = []

    @property
    def is_available(self) -> bool:
        """See Store."""
        return True

    @property
    def on_return(self) -> list[Callable[[], None]]:
        """See Store."""
        return self._on_return

    async def check(self) -> None:
        """See Store."""

    async def time(self) -> float:
        """See Store."""
        return self._wall()

    def _live(self, key: str) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is not None and entry.expires is not None and entry.expires <= self._now():
            del self._entries[key]
            return None
        return entry

    def _bytes(self, key: str) -> bytes | None:
        """The value of a plain key; one of another type is moved aside."""
        entry = self._live(key)
        if entry is None:
            return None
        if isinstance(entry.value, bytes):
            return entry.value
        self._aside(key)
        return None

    def _hash(self, key: str) -> dict[str, bytes]:
        entry = self._live(key)
        if entry is None:
            return {}
        if isinstance(entry.value, dict) and all(isinstance(value, bytes) for value in entry.value.values()):
            return entry.value  # pyright: ignore[reportReturnType]  # just looked
        self._aside(key)
        return {}

    def _ranks(self, key: str) -> dict[str, float]:
        entry = self._live(key)
        if entry is None:
            return {}
        if isinstance(entry.value, dict) and all(isinstance(value, float) for value in entry.value.values()):
            return entry.value  # pyright: ignore[reportReturnType]  # just looked
        self._aside(key)
        return {}

    def _aside(self, key: str) -> None:
        self._entries[keys.aside(key, f"{self._wall() * 1000:.0f}")] = self._entries.pop(key)

    def _set(self, key: str, value: Value, ttl: float | None) -> None:
        self._entries[key] = _Entry(value, None if ttl is None else self._now() + ttl)
        self._writes += 1
        if self._writes % self._sweep_every == 0:
            self._sweep()

    def _sweep(self) -> None:
        """Expired values that nobody asks for must not stay."""
        now = self._now()
        gone = [
            key for key, entry in self._entries.items() if entry.expires is not None and entry.expires <= now
        ]
        for key in gone:
            del self._entries[key]

    def _keep(self, key: str, value: Value, ttl: float | None) -> None:
        """Set a value; without a `ttl` an existing one keeps its end."""
        entry = self._live(key)
        if entry is not None and ttl is None:
            entry.value = value
        else:
            self._set(key, value, ttl)

    async def get(self, key: str) -> bytes | None:
        """See Store."""
        return self._bytes(key)

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See Store."""
        return [self._bytes(key) for key in keys]

    async def fields(self, key: str) -> dict[str, bytes]:
        """See Store."""
        return dict(self._hash(key))

    async def ranked(self, key: str, least: float) -> list[tuple[str, float]]:
        """See Store."""
        found = [(member, score) for member, score in self._ranks(key).items() if score >= least]
        return sorted(found, key=lambda pair: (pair[1], pair[0]))

    async def put(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """See Store."""
        self._set(key, value, ttl)

    async def delete(self, key: str) -> bool:
        """See Store."""
        found = self._live(key) is not None
        self._entries.pop(key, None)
        return found

    async def increment(self, key: str, by: int = 1, ttl: float | None = None) -> int:
        """See Store."""
        if self._live(key) is not None:
            ttl = None
        return self._add(key, by, ttl)

    def _add(self, key: str, by: int, ttl: float | None) -> int:
        old = self._number(key)
        self._keep(key, str(old + by).encode(), ttl)
        return old + by

    def _number(self, key: str) -> int:
        value = self._bytes(key)
        try:
            return int(value or 0)
        except ValueError:
            self._aside(key)
            return 0

    async def update(
        self, key: str, change: Callable[[bytes | None], bytes | None], ttl: float | None = None
    ) -> bytes | None:
        """See Store."""
        value = change(self._bytes(key))
        if value is None:
            self._entries.pop(key, None)
        else:
            self._keep(key, value, ttl)
        return value

    async def claim(self, key: str, owner: bytes, ttl: float) -> bool:
        """See Store."""
        if self._live(key) is not None:
            return False
        self._set(key, owner, ttl)
        return True

    async def apply(self, writes: Sequence[Write], when: Guards | None = None) -> bool:
        """See Store."""
        if any(self._bytes(key) != value for key, value in (when or {}).items()):
            return False
        for write in writes:
            self._write(write)
        return True

    def _write(self, write: Write) -> None:
        match write:
            case Put(key, value, ttl):
                self._set(key, value, ttl)
            case Delete(key):
                self._entries.pop(key, None)
            case Add(key, by, ttl):
                self._add(key, by, ttl)
            case AddFields(key, amounts, ttl):
                old = self._hash(key)
                sums = {name: str(int(old.get(name, 0)) + by).encode() for name, by in amounts.items()}
                self._keep(key, {**old, **sums}, ttl)
            case PutFields(key, values, ttl):
                self._keep(key, {**self._hash(key), **values}, ttl)
            case DropFields(key, names):
                left = {name: value for name, value in self._hash(key).items() if name not in names}
                self._put_or_drop(key, left)
            case Rank(key, member, score, least):
                ranks = {**self._ranks(key), member: float(score)}
                kept = {name: at for name, at in ranks.items() if least is None or at >= least}
                self._put_or_drop(key, kept)
            case Unrank(key, members):
                ranks = {name: at for name, at in self._ranks(key).items() if name not in members}
                self._put_or_drop(key, ranks)

    def _put_or_drop(self, key: str, value: dict[str, bytes] | dict[str, float]) -> None:
        """As in Redis, a hash or a set without members does not exist."""
        if value:
            self._keep(key, value, None)
        else:
            self._entries.pop(key, None)

    async def scan(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        """See Store."""
        for key in [key for key in self._entries if key.startswith(prefix)]:
            entry = self._live(key)
            if entry is not None and isinstance(entry.value, bytes):
                yield key, entry.value

    async def entries(self, prefix: str) -> AsyncIterator[Stored]:
        """See Store."""
        for key in [key for key in self._entries if key.startswith(prefix)]:
            entry = self._live(key)
            if entry is None:
                continue
            ttl = None if entry.expires is None else entry.expires - self._now()
            value = entry.value
            if isinstance(value, bytes):
                yield Stored(key, value, ttl)
            elif fields := {name: item for name, item in value.items() if isinstance(item, bytes)}:
                yield Stored(key, fields, ttl)

    async def close(self) -> None:
        """See Store."""
        self._entries.clear()
