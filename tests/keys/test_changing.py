from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from aiclient2api.keys.changing import Change, Refused, absent, change_key, existing, rotated
from aiclient2api.keys.record import KeyHash, KeyRecord, decode, encode
from aiclient2api.store import keys
from aiclient2api.store.base import Add, Guards, PutFields, Write
from aiclient2api.store.memory import MemoryStore

NOW = 1_800_000_000.0


class Busy(MemoryStore):
    """Somebody else is faster so many times."""

    def __init__(self, times: int = 0) -> None:
        super().__init__(time.monotonic, wall=lambda: NOW)
        self.times = times

    async def apply(self, writes: object, when: Guards | None = None) -> bool:
        if self.times and when:
            self.times -= 1
            await super().apply([Add(keys.client_keys_version(), 1)])
        assert isinstance(writes, list)
        batch: list[Write] = writes
        return await super().apply(batch, when)


def stored(store: MemoryStore, name: str) -> bytes:
    return asyncio.run(store.fields(keys.client_keys()))[name]


def made(old: KeyRecord | None, now: float) -> KeyRecord:
    absent(old, "ci")
    return KeyRecord(name="ci", rev=0, created=now)


def change(store: MemoryStore, change_: Change = made) -> KeyRecord:
    return asyncio.run(change_key(store, "ci", change_, "me@here"))


def test_a_change_is_written_with_its_revision_and_the_version() -> None:
    store = Busy()

    record = change(store)

    assert record == KeyRecord(name="ci", rev=int(NOW * 1000), created=NOW, by="me@here")
    assert decode(stored(store, "ci")) == record
    assert asyncio.run(store.get(keys.client_keys_version())) == b"1"


def test_the_revision_grows_although_the_clock_does_not() -> None:
    store = Busy()
    first = change(store)

    second = change(store, lambda old, _: existing(old, "ci"))

    assert second.rev == first.rev + 1


def test_a_change_is_done_again_when_somebody_was_faster() -> None:
    store = Busy(times=5)

    assert change(store).name == "ci"
    assert asyncio.run(store.get(keys.client_keys_version())) == b"6"


def test_a_store_that_is_too_busy_is_told() -> None:
    with pytest.raises(Refused, match="too busy"):
        change(Busy(times=1000))


def test_a_record_that_cannot_be_read_is_not_overwritten() -> None:
    store = Busy()
    asyncio.run(store.apply([PutFields(keys.client_keys(), {"ci": b"{"})]))

    with pytest.raises(Refused, match="cannot be read"):
        change(store)
    assert stored(store, "ci") == b"{"


def test_members_of_later_versions_outlive_a_change() -> None:
    store = Busy()
    raw = encode(KeyRecord(name="ci", rev=1), b'{"team": "red"}')
    asyncio.run(store.apply([PutFields(keys.client_keys(), {"ci": raw})]))

    change(store, lambda old, _: msgspec.structs.replace(existing(old, "ci"), rpm=3))

    assert msgspec.json.decode(stored(store, "ci"))["team"] == "red"


def test_a_name_is_free_again_when_its_key_was_removed() -> None:
    store = Busy()
    change(store)
    with pytest.raises(Refused, match="already"):
        change(store)

    change(store, lambda old, _: KeyRecord(name="ci", rev=0, removed=True))
    with pytest.raises(Refused, match="no key"):
        change(store, lambda old, _: existing(old, "ci"))

    assert not change(store).removed


def test_a_rotation_keeps_the_old_texts_for_the_overlap_and_never_longer_than_before() -> None:
    old = KeyRecord(
        name="ci",
        rev=1,
        hashes=(
            KeyHash(hash="new"),
            KeyHash(hash="older", until=NOW + 5),
            KeyHash(hash="over", until=NOW - 1),
        ),
    )

    record = rotated(old, KeyHash(hash="fresh"), NOW, overlap=60.0)

    assert [(each.hash, each.until) for each in record.hashes] == [
        ("fresh", None),
        ("new", NOW + 60),
        ("older", NOW + 5),
    ]
    assert [each.hash for each in rotated(old, KeyHash(hash="fresh"), NOW, overlap=0.0).hashes] == ["fresh"]
