"""How client keys in the store are changed: one record and the version that all nodes look at, in one write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from aiclient2api.keys.record import KeyHash, KeyRecord, decode, encode
from aiclient2api.store import keys
from aiclient2api.store.base import Add, PutFields, Store

TRIES: Final = 16

Change = Callable[[KeyRecord | None, float], KeyRecord]
"""The record as it was, None for none, and the store's time, to the record as it shall be. May raise Refused."""


class Refused(Exception):
    """The change cannot be made; `str()` is one sentence."""


async def change_key(store: Store, name: str, change: Change, by: str) -> KeyRecord:
    """Change one record for all nodes; done again when somebody else was faster. Raises Refused, StoreUnavailable."""
    for _ in range(TRIES):
        version = await store.get(keys.client_keys_version())
        raw = (await store.fields(keys.client_keys())).get(name)
        old = None if raw is None else decode(raw)
        if raw is not None and old is None:
            raise Refused(f"the record of {name} in the store cannot be read: nothing changed")
        now = await store.time()
        rev = max(int(now * 1000), old.rev + 1 if old is not None else 0)
        record = msgspec.structs.replace(change(old, now), rev=rev, by=by)
        writes = [
            PutFields(keys.client_keys(), {name: encode(record, raw)}),
            Add(keys.client_keys_version(), 1),
        ]
        if await store.apply(writes, {keys.client_keys_version(): version}):
            return record
    raise Refused("the store is too busy: try again")


def existing(record: KeyRecord | None, name: str) -> KeyRecord:
    """The record of a key that is there. Raises Refused."""
    if record is None or record.removed:
        raise Refused(f"there is no key {name!r} in the store; `keys list` shows all")
    return record


def absent(record: KeyRecord | None, name: str) -> None:
    """Make sure that a name is free. Raises Refused."""
    if record is not None and not record.removed:
        raise Refused(f"there is a key {name!r} already; `keys rotate` gives it a new text")


def rotated(record: KeyRecord, fresh: KeyHash, now: float, overlap: float) -> KeyRecord:
    """The record with a new text; the ones before work for `overlap` seconds more."""
    end = now + overlap
    kept = [
        msgspec.structs.replace(each, until=end if each.until is None else min(each.until, end))
        for each in record.hashes
    ]
    return msgspec.structs.replace(
        record, hashes=(fresh, *(each for each in kept if each.until is not None and each.until > now))
    )
