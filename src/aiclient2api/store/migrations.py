"""From one schema version to the next, for databases (`state migrate`) and for dumps of any earlier version.

A step is pure: it takes everything of its version and gives everything of the next. It may meet a database in which an
earlier run was broken off, so what is of the next version already it leaves as it is. Steps are never removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from aiclient2api.store import keys
from aiclient2api.store.base import Delete, Put, PutFields, Store, Stored, Write

Step = Callable[[Sequence[Stored]], list[Stored]]

STEPS: Final[Mapping[int, Step]] = {}
"""By the version that a step begins with. Version 1 is the first there is, so nothing stands here yet."""


class Moved(Struct, kw_only=True):
    """What a migration did, or would do: the keys."""

    written: list[str] = []
    removed: list[str] = []


def migrated(
    found: Sequence[Stored],
    version: int,
    target: int,
    steps: Mapping[int, Step] = STEPS,
) -> list[Stored]:
    """Everything of `version` as everything of `target`."""
    entries = list(found)
    for number in range(version, target):
        entries = steps[number](entries)
    return entries


async def migrate(
    store: Store, version: int, target: int, mark: bytes, steps: Mapping[int, Step] = STEPS, *, dry_run: bool
) -> Moved:
    """Bring a database to `target`; `mark` says so afterwards. May be run again. Raises StoreUnavailable.

    Nodes of the old version must be stopped: they know nothing of the new keys.
    """
    before = {found.key: found async for found in store.entries(keys.PREFIX) if found.key != keys.META}
    after = {entry.key: entry for entry in migrated(list(before.values()), version, target, steps)}
    moved = Moved(removed=sorted(before.keys() - after.keys()))
    for key, entry in sorted(after.items()):
        if before.get(key) != entry:
            moved.written.append(key)
            if not dry_run:
                await store.apply(_writes(entry, before.get(key)))
    if not dry_run:
        for key in moved.removed:
            await store.delete(key)
        await store.put(keys.META, mark)
    return moved


def _writes(entry: Stored, old: Stored | None) -> list[Write]:
    """A key as it is to be, whatever it was."""
    if isinstance(entry.value, bytes):
        return [Put(entry.key, entry.value, entry.ttl)]
    first: list[Write] = [] if old is None else [Delete(entry.key)]
    return [*first, PutFields(entry.key, entry.value, entry.ttl)]
