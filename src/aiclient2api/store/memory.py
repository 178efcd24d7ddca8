"""The store of one process: plain dictionaries, atomic because the event loop is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from msgspec import Struct


class _Entry(Struct):
    value: bytes
    expires: float | None


class MemoryStore:
    """For tests, demos, and platforms without a Valkey or Redis. `now` in seconds, any origin."""

    def __init__(self, now: Callable[[], float], sweep_every: int = 4096) -> None:
        self._now = now
        self._entries: dict[str, _Entry] = {}
        self._sweep_every = sweep_every
        self._writes = 0

    def _live(self, key: str) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is not None and entry.expires is not None and entry.expires <= self._now():
            del self._entries[key]
            return None
        return entry

    def _set(self, key: str, value: bytes, ttl: float | None) -> None:
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

    async def get(self, key: str) -> bytes | None:
        """See Store."""
        entry = self._live(key)
        return entry.value if entry else None

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
        entry = self._live(key)
        if entry is None:
            self._set(key, str(by).encode(), ttl)
            return by
        value = int(entry.value) + by
        entry.value = str(value).encode()
        return value

    async def update(self, key: str, change: Callable[[bytes | None], bytes | None]) -> bytes | None:
        """See Store."""
        entry = self._live(key)
        value = change(entry.value if entry else None)
        if value is None:
            self._entries.pop(key, None)
        elif entry is not None:
            entry.value = value
        else:
            self._set(key, value, None)
        return value

    async def claim(self, key: str, owner: bytes, ttl: float) -> bool:
        """See Store."""
        if self._live(key) is not None:
            return False
        self._set(key, owner, ttl)
        return True

    async def scan(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        """See Store."""
        for key in [key for key in self._entries if key.startswith(prefix)]:
            entry = self._live(key)
            if entry is not None:
                yield key, entry.value

    async def close(self) -> None:
        """See Store."""
        self._entries.clear()
