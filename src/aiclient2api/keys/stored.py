"""The client keys that all nodes share, as this node has heard of them; no request waits for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from aiclient2api.keys.journal import KeyJournal
from aiclient2api.keys.record import KeyRecord, client_keys, decode
from aiclient2api.keys.ring import ClientKey
from aiclient2api.store import keys
from aiclient2api.store.base import Store
from aiclient2api.store.memory import MemoryStore
from aiclient2api.store.records import Kind, SharedRecords

CURRENT: Final = 2.0
"""Seconds since the last hearing for which an unknown key is a wrong one."""
CLIENT_KEY: Final = Kind("client_key", "key", keys.client_keys(), keys.client_keys_version(), decode)


class SharedClientKeys:
    """See StoredKeys. `now` in seconds, any origin; `told` gets level, event and fields of a log line."""

    def __init__(
        self, store: Store, now: Callable[[], float], journal: KeyJournal | None, told: Callable[..., None]
    ) -> None:
        self._now = now
        self._is_sole = isinstance(store, MemoryStore)
        self._records: SharedRecords[KeyRecord] = SharedRecords(CLIENT_KEY, store, now, journal, told)
        self._records.changed = self._use
        self.by_hash: Mapping[bytes, ClientKey] = {}
        self.has_limits = False

    @property
    def is_current(self) -> bool:
        """See StoredKeys."""
        return self._is_sole or self._now() - self._records.heard_at < CURRENT

    def __len__(self) -> int:
        return len(self._records)

    def recall(self) -> None:
        """Take what the disk remembers. Blocks."""
        self._records.recall()

    async def hear(self) -> None:
        """Read what is new, and write what the store has forgotten. Raises StoreUnavailable."""
        await self._records.hear()

    def _use(self, changed: Mapping[str, KeyRecord]) -> None:
        """Let the keys of these records be found, and no others of their names."""
        by_hash = {key: value for key, value in self.by_hash.items() if value.name not in changed}
        for record in changed.values():
            by_hash.update((key.hash, key) for key in client_keys(record))
        self.by_hash = by_hash
        self.has_limits = any(key.limits is not None for key in by_hash.values())
