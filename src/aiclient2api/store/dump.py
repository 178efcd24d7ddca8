"""The store as one JSON document, and back. What it holds of secrets is what the store holds: none in clear.

    {"format": "aiclient2api state", "schema": 1, "keys": [{"key": …, "type": "text", "value": …, "ttl": seconds}, …]}

Values that are not UTF-8 stand as {"base64": …}. Keys that mean nothing elsewhere (claims, live nodes, batches)
are left out.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final, Literal, cast

import msgspec
from msgspec import Struct

from aiclient2api.store import keys
from aiclient2api.store.base import Put, PutFields, Store, Stored, Write
from aiclient2api.store.migrations import migrated

FORMAT: Final = "aiclient2api state"
Kind = Literal["text", "hash"]


class DumpUnreadable(Exception):
    """A file that is no dump, or one of a version that is not known; `str()` is a sentence."""


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One key. `ttl` in seconds, None for ever."""

    key: str
    type: Kind = "text"
    value: Any = None
    ttl: float | None = None


class Dump(Struct, frozen=True, kw_only=True):
    """Everything worth keeping."""

    format: str
    schema: int
    keys: list[Entry]


class Plan(Struct, kw_only=True):
    """What an import did, or would do."""

    written: list[str] = []
    unchanged: list[str] = []
    kept: list[str] = []
    """Different in the store, and left as they are without `force`."""


def encode(entries: Sequence[Entry]) -> bytes:
    """A dump, sorted by key so that two of the same state are equal."""
    ordered = sorted(entries, key=lambda entry: entry.key)
    dump = Dump(format=FORMAT, schema=keys.SCHEMA_VERSION, keys=ordered)
    return msgspec.json.format(msgspec.json.encode(dump), indent=1) + b"\n"


def decode(text: bytes) -> Dump:
    """A dump of this or an earlier version. Raises DumpUnreadable."""
    try:
        dump = msgspec.json.decode(text, type=Dump)
    except msgspec.MsgspecError as error:
        raise DumpUnreadable(f"is not a dump of this program's state: {error}") from None
    if dump.format != FORMAT:
        raise DumpUnreadable("is not a dump of this program's state")
    if not 1 <= dump.schema <= keys.SCHEMA_VERSION:
        raise DumpUnreadable(
            f"has schema version {dump.schema}, this program knows 1 to {keys.SCHEMA_VERSION}"
        )
    foreign = [entry.key for entry in dump.keys if not entry.key.startswith(keys.PREFIX)]
    if foreign:
        raise DumpUnreadable(f"has a key that is not ours: {foreign[0]!r}")
    if dump.schema == keys.SCHEMA_VERSION:
        return dump
    old = [_stored(entry) for entry in dump.keys]
    return Dump(
        format=FORMAT,
        schema=keys.SCHEMA_VERSION,
        keys=[_entry(new) for new in migrated(old, dump.schema, keys.SCHEMA_VERSION)],
    )


def _stored(entry: Entry) -> Stored:
    if entry.type == "hash":
        fields = {name: to_bytes(value) for name, value in cast(dict[str, Any], entry.value).items()}
        return Stored(entry.key, fields, entry.ttl)
    return Stored(entry.key, to_bytes(entry.value), entry.ttl)


def is_lasting(key: str) -> bool:
    """Whether a key is worth a place in a dump."""
    return not key.startswith(keys.PASSING)


async def export(store: Store) -> list[Entry]:
    """What is worth keeping."""
    return [_entry(found) async for found in store.entries(keys.PREFIX) if is_lasting(found.key)]


def _entry(found: Stored) -> Entry:
    ttl = None if found.ttl is None else round(found.ttl, 3)
    if isinstance(found.value, bytes):
        return Entry(key=found.key, value=from_bytes(found.value), ttl=ttl)
    fields = {name: from_bytes(value) for name, value in sorted(found.value.items())}
    return Entry(key=found.key, type="hash", value=fields, ttl=ttl)


async def load(store: Store, entries: Sequence[Entry], *, force: bool, dry_run: bool) -> Plan:
    """Write what is not there; with `force` also what is different. Of a hash each field is looked at for itself.

    Running it again does nothing.
    """
    plan = Plan()
    for entry in entries:
        write, differs = await _missing(store, entry, force=force)
        if differs:
            plan.kept.append(entry.key)
        if write is not None:
            plan.written.append(entry.key)
            if not dry_run:
                await store.apply([write])
        elif not differs:
            plan.unchanged.append(entry.key)
    return plan


async def _missing(store: Store, entry: Entry, *, force: bool) -> tuple[Write | None, bool]:
    """What has to be written, and whether something different is left as it is."""
    if entry.type == "hash":
        wanted = {name: to_bytes(value) for name, value in cast(dict[str, Any], entry.value).items()}
        current = await store.fields(entry.key)
        changed = {name for name, value in wanted.items() if current.get(name, value) != value}
        fields = {
            name: value
            for name, value in wanted.items()
            if name not in current or (force and name in changed)
        }
        return PutFields(entry.key, fields, entry.ttl) if fields else None, bool(changed) and not force
    value, found = to_bytes(entry.value), await store.get(entry.key)
    if entry.key == keys.META and found is not None:
        return None, False  # whoever made the store made this mark
    if found is None or (force and found != value):
        return Put(entry.key, value, entry.ttl), False
    return None, found != value


def from_bytes(value: bytes) -> Any:
    """Text where it is text."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def to_bytes(value: Any) -> bytes:
    """The reverse. Raises DumpUnreadable."""
    if isinstance(value, str):
        return value.encode()
    try:
        return base64.b64decode(value["base64"], validate=True)
    except (TypeError, KeyError, ValueError):
        raise DumpUnreadable("has a value that is neither text nor base64") from None
