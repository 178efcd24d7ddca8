"""The store's few verbs. Values are bytes; `ttl` in seconds, None keeps a value until it is deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Protocol


class Store(Protocol):
    """Shared state: one process's memory, or Redis. Nothing on the request path waits for it."""

    async def get(self, key: str) -> bytes | None:
        """The value, None when absent or expired."""
        ...

    async def put(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Set a value."""
        ...

    async def delete(self, key: str) -> bool:
        """Remove a value; whether there was one."""
        ...

    async def increment(self, key: str, by: int = 1, ttl: float | None = None) -> int:
        """Add to a counter that begins at 0; the new value. `ttl` is set when the counter is created."""
        ...

    async def update(self, key: str, change: Callable[[bytes | None], bytes | None]) -> bytes | None:
        """Replace a value by `change(old)`, atomically; None deletes. `change` may be called several times."""
        ...

    async def claim(self, key: str, owner: bytes, ttl: float) -> bool:
        """Set a value only if there is none: one owner among all nodes."""
        ...

    def scan(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        """Every key that begins with `prefix`, in no order."""
        ...

    async def close(self) -> None:
        """Release what the store holds."""
        ...
