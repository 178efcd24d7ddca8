"""A client key as the store keeps it: keyed hashes, never the key itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import msgspec
from msgspec import Struct

from aiclient2api.keys.ring import ClientKey, limits_of

HASH_BYTES = 32


class KeyHash(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One text of a key. After a rotation the old one works until `until`, Unix time in seconds."""

    hash: str
    """HMAC-SHA-256 in hexadecimal."""
    hint: str = ""
    """The last characters, for people who have several keys."""
    until: float | None = None


class KeyRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One client key. Of two records with one name that with the greater `rev` counts."""

    name: str
    rev: int
    """Milliseconds since the Unix epoch of the store's clock, and always more than before."""
    hashes: tuple[KeyHash, ...] = ()
    label: str = ""
    models: tuple[str, ...] = ()
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    expires: float | None = None
    strict: bool = False
    disabled: bool = False
    removed: bool = False
    """What is left of a key, so that no node writes it again."""
    created: float = 0.0
    by: str = ""
    """Who changed it last."""

    def state(self, now: float) -> str:
        """`active`, `disabled`, `expired` or `removed`."""
        if self.removed:
            return "removed"
        if self.disabled:
            return "disabled"
        return "expired" if self.expires is not None and self.expires <= now else "active"


_KNOWN = frozenset(KeyRecord.__struct_fields__)


def decode(value: bytes) -> KeyRecord | None:
    """A stored record; None when it cannot be read."""
    try:
        record = msgspec.json.decode(value, type=KeyRecord)
        hashes = [bytes.fromhex(each.hash) for each in record.hashes]
    except (msgspec.MsgspecError, ValueError):
        return None
    return record if all(len(each) == HASH_BYTES for each in hashes) else None


def encode(record: KeyRecord, old: bytes | None = None) -> bytes:
    """As it is stored; members that a later version wrote into `old` are kept."""
    try:
        kept: object = msgspec.json.decode(old or b"{}")
    except msgspec.MsgspecError:
        kept = {}
    members = cast(dict[str, object], kept) if isinstance(kept, dict) else dict[str, object]()
    unknown = {name: value for name, value in members.items() if name not in _KNOWN}
    return msgspec.json.encode({**unknown, **msgspec.to_builtins(record)})


def client_keys(record: KeyRecord) -> Iterator[ClientKey]:
    """One key for each text of the record that may still be presented."""
    if record.removed:
        return
    limits = limits_of(record.rpm, record.tpm, record.concurrency)
    for each in record.hashes:
        ends = [end for end in (each.until, record.expires) if end is not None]
        yield ClientKey(
            name=record.name,
            hash=bytes.fromhex(each.hash),
            models=record.models,
            strict=record.strict,
            expires=min(ends, default=None),
            disabled=record.disabled,
            limits=limits,
        )
