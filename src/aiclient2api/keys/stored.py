"""The client keys that all nodes share, as this node has heard of them; no request waits for it.

What is known stays known while the store is away. A store that was emptied gets back what we know; of two records the
one with the greater revision counts, so no late write undoes a change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from aiclient2api.keys.journal import JournalUnreadable, KeyJournal
from aiclient2api.keys.record import KeyRecord, client_keys, decode
from aiclient2api.keys.ring import ClientKey
from aiclient2api.store import keys
from aiclient2api.store.base import Add, PutFields, Store
from aiclient2api.store.memory import MemoryStore

READ_ALL: Final = 60.0
"""Seconds after which all is read whatever the version says."""
CURRENT: Final = 2.0
"""Seconds since the last hearing for which an unknown key is a wrong one."""


class SharedClientKeys:
    """See StoredKeys. `now` in seconds, any origin; `told` gets level, event and fields of a log line."""

    def __init__(
        self, store: Store, now: Callable[[], float], journal: KeyJournal | None, told: Callable[..., None]
    ) -> None:
        self._store = store
        self._now = now
        self._journal = journal
        self._told = told
        self.by_hash: Mapping[bytes, ClientKey] = {}
        self.has_limits = False
        self._raw: dict[str, bytes] = {}
        """What was read last of each record, good or bad."""
        self._records: dict[str, tuple[KeyRecord, bytes]] = {}
        self._version: bytes | None = None
        self._read_at = float("-inf")
        self._heard_at = float("-inf")
        self._is_saved = True

    @property
    def is_current(self) -> bool:
        """See StoredKeys."""
        return isinstance(self._store, MemoryStore) or self._now() - self._heard_at < CURRENT

    def __len__(self) -> int:
        return sum(not record.removed for record, _ in self._records.values())

    def recall(self) -> None:
        """Take what the disk remembers. Blocks."""
        if self._journal is None:
            return
        try:
            found = self._journal.read()
        except JournalUnreadable as error:
            self._told("error", "client_keys_unreadable", problem=str(error))
            return
        self._take(found)
        self._is_saved = self._journal.is_current

    async def hear(self) -> None:
        """Read what is new, and write what the store has forgotten. Raises StoreUnavailable."""
        version = await self._store.get(keys.client_keys_version())
        now = self._now()
        if version != self._version or now - self._read_at >= READ_ALL or self._read_at > now:
            found = await self._store.fields(keys.client_keys())
            self._take(found)
            if await self._restored(found, version):
                self._version, self._read_at = version, now
        self._heard_at = now
        await self._save()

    def _take(self, found: Mapping[str, bytes]) -> None:
        changed: dict[str, KeyRecord] = {}
        for name, raw in found.items():
            if self._raw.get(name) == raw:
                continue
            self._raw[name] = raw
            record = decode(raw)
            if record is None or record.name != name:
                self._told("error", "client_key_unreadable", key=name)
                continue
            known = self._records.get(name)
            if known is None or known[0].rev <= record.rev:
                self._records[name] = (record, raw)
                changed[name] = record
        if changed:
            self._is_saved = False
            self._use(changed)

    async def _restored(self, found: Mapping[str, bytes], version: bytes | None) -> bool:
        """Whether the store has all that we know; if not, it is written, and read again the next time."""
        missing = {
            name: raw
            for name, (record, raw) in self._records.items()
            if (there := found.get(name)) != raw and (there is None or _is_behind(there, record))
        }
        if not missing:
            return True
        writes = [PutFields(keys.client_keys(), missing), Add(keys.client_keys_version(), 1)]
        if await self._store.apply(writes, {keys.client_keys_version(): version}):
            self._told("warning", "client_keys_restored", keys=len(missing))
        return False

    def _use(self, changed: Mapping[str, KeyRecord]) -> None:
        """Let the keys of these records be found, and no others of their names."""
        by_hash = {key: value for key, value in self.by_hash.items() if value.name not in changed}
        for record in changed.values():
            by_hash.update((key.hash, key) for key in client_keys(record))
        self.by_hash = by_hash
        self.has_limits = any(key.limits is not None for key in by_hash.values())

    async def _save(self) -> None:
        if self._is_saved or self._journal is None:
            return
        self._is_saved = True
        records = {name: raw for name, (_, raw) in self._records.items()}
        try:
            await asyncio.to_thread(self._journal.write, records)
        except OSError as error:
            self._told("error", "client_keys_unsaved", problem=error.strerror or type(error).__name__)


def _is_behind(there: bytes, record: KeyRecord) -> bool:
    """Whether what the store has is older than what we know; what cannot be read is left as it is."""
    found = decode(there)
    return found is not None and found.rev < record.rev
