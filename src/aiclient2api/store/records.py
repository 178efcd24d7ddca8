"""Records that all nodes share, as this process has heard of them: a hash by name, a number that counts its changes.

What is known stays known while the store is away. A store that was emptied gets back what we know; of two records the
one with the greater revision counts, so no late write undoes a change. No request waits for any of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Generic, Protocol, TypeVar

from msgspec import Struct

from aiclient2api.store.base import Add, PutFields, Store

READ_ALL: Final = 60.0
"""Seconds after which all is read whatever the version says."""


class Revised(Protocol):
    """A record. `removed` is what is left of one that is gone, so that no node writes it again."""

    @property
    def name(self) -> str:
        """Its name in the hash."""
        ...

    @property
    def rev(self) -> int:
        """Of two records of a name the greater one counts."""
        ...

    @property
    def removed(self) -> bool:
        """Whether it is gone."""
        ...


R = TypeVar("R", bound=Revised)


class Kind(Struct, Generic[R], frozen=True):
    """What records are about. `read` gives None for one that cannot be read."""

    noun: str
    """In names of the log, with an `s` for several: `client_key`."""
    field: str
    """What its name is called in the log."""
    hash: str
    version: str
    read: Callable[[bytes], R | None]


class CopyUnreadable(Exception):
    """The file is not what we wrote, or we lack the key; `str()` says what became of it."""


class Copy(Protocol):
    """The records on this node's own disk."""

    is_current: bool
    """Whether what was read is sealed with the current key."""

    def read(self) -> dict[str, bytes]:
        """By name. Blocks. Raises CopyUnreadable."""
        ...

    def write(self, records: Mapping[str, bytes]) -> None:
        """Replace them. Blocks. Raises OSError."""
        ...


class SharedRecords(Generic[R]):
    """`now` in seconds, any origin; `told` gets level, event and fields of a log line."""

    def __init__(
        self,
        kind: Kind[R],
        store: Store,
        now: Callable[[], float],
        copy: Copy | None,
        told: Callable[..., None],
    ) -> None:
        self.changed: Callable[[Mapping[str, R]], None] = lambda _: None
        """Called with every record that is new or another one."""
        self.heard_at = float("-inf")
        self._kind = kind
        self._store = store
        self._now = now
        self._copy = copy
        self._told = told
        self._raw: dict[str, bytes] = {}
        """What was read last of each record, good or bad."""
        self._records: dict[str, tuple[R, bytes]] = {}
        self._version: bytes | None = None
        self._read_at = float("-inf")
        self._is_saved = True
        self._unsaved = ""
        """Why the disk takes nothing, as it was told last."""

    def __len__(self) -> int:
        return sum(not record.removed for record, _ in self._records.values())

    def recall(self) -> None:
        """Take what the disk remembers. Blocks."""
        if self._copy is None:
            return
        try:
            found = self._copy.read()
        except CopyUnreadable as error:
            self._told("error", f"{self._kind.noun}s_unreadable", problem=str(error))
            return
        self._take(found)
        self._is_saved = self._copy.is_current

    async def hear(self) -> None:
        """Read what is new, and write what the store has forgotten. Raises StoreUnavailable."""
        version = await self._store.get(self._kind.version)
        now = self._now()
        if version != self._version or now - self._read_at >= READ_ALL or self._read_at > now:
            found = await self._store.fields(self._kind.hash)
            self._take(found)
            if await self._restored(found, version):
                self._version, self._read_at = version, now
        self.heard_at = now
        await self._save()

    def _take(self, found: Mapping[str, bytes]) -> None:
        changed: dict[str, R] = {}
        for name, raw in found.items():
            if self._raw.get(name) == raw:
                continue
            self._raw[name] = raw
            record = self._kind.read(raw)
            if record is None or record.name != name:
                self._told("error", f"{self._kind.noun}_unreadable", **{self._kind.field: name})
                continue
            known = self._records.get(name)
            if known is None or known[0].rev <= record.rev:
                self._records[name] = (record, raw)
                changed[name] = record
        if changed:
            self._is_saved = False
            self.changed(changed)

    async def _restored(self, found: Mapping[str, bytes], version: bytes | None) -> bool:
        """Whether the store has all that we know; if not, it is written, and read again the next time."""
        missing = {
            name: raw
            for name, (record, raw) in self._records.items()
            if (there := found.get(name)) != raw and (there is None or self._is_behind(there, record))
        }
        if not missing:
            return True
        writes = [PutFields(self._kind.hash, missing), Add(self._kind.version, 1)]
        if await self._store.apply(writes, {self._kind.version: version}):
            noun = f"{self._kind.noun}s"
            self._told("warning", f"{noun}_restored", **{f"{self._kind.field}s": len(missing)})
        return False

    def _is_behind(self, there: bytes, record: R) -> bool:
        """Whether what the store has is older than what we know; what cannot be read is left as it is."""
        found = self._kind.read(there)
        return found is not None and found.rev < record.rev

    async def _save(self) -> None:
        if self._is_saved or self._copy is None:
            return
        self._is_saved = True
        records = {name: raw for name, (_, raw) in self._records.items()}
        try:
            await asyncio.to_thread(self._copy.write, records)
            self._unsaved = ""
        except OSError as error:  # tried again with the next hearing
            self._is_saved = False
            problem = error.strerror or type(error).__name__
            if problem != self._unsaved:
                self._unsaved = problem
                self._told("error", f"{self._kind.noun}s_unsaved", problem=problem)
