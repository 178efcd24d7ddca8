"""A database and a dump of an earlier version become those of a later one; here a version 2 that does not exist yet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from aiclient2api.store import dump, keys, migrations
from aiclient2api.store.base import PutFields, SchemaOutdated, Stored, StoreUnusable
from aiclient2api.store.redis import RedisStore

V1 = Path(__file__).parent / "dumps" / "v1.json"
OLD, NEW = keys.tickets("chat"), keys.tickets("chat") + ":next"
MARK = b'{"schema":2}'


def two(found: Sequence[Stored]) -> list[Stored]:
    """Tickets move to another key, and become a hash."""
    return [
        Stored(NEW, {"turn": entry.value}, entry.ttl)
        if entry.key == OLD and isinstance(entry.value, bytes)
        else entry
        for entry in found
    ]


async def filled(store: RedisStore) -> None:
    await store.check()
    await dump.load(store, dump.decode(V1.read_bytes()).keys, force=True, dry_run=False)


async def test_a_database_is_brought_to_the_next_version_and_stays_there(store: RedisStore) -> None:
    await filled(store)
    others = [entry for entry in await dump.export(store) if entry.key not in (OLD, keys.META)]
    turns = await store.get(OLD)
    assert turns is not None

    planned = await migrations.migrate(store, 1, 2, MARK, {1: two}, dry_run=True)
    assert (planned.written, planned.removed) == ([NEW], [OLD])
    assert await store.get(OLD) == turns

    moved = await migrations.migrate(store, 1, 2, MARK, {1: two}, dry_run=False)
    assert moved == planned
    assert (await store.get(OLD), await store.fields(NEW)) == (None, {"turn": turns})
    assert await store.get(keys.META) == MARK
    left = [entry for entry in await dump.export(store) if entry.key not in (NEW, keys.META)]
    assert {entry.key: entry.value for entry in left} == {entry.key: entry.value for entry in others}

    again = await migrations.migrate(store, 1, 2, MARK, {1: two}, dry_run=False)
    assert (again.written, again.removed) == ([], [])


async def test_a_migration_that_was_broken_off_is_finished_by_the_next_run(store: RedisStore) -> None:
    await filled(store)
    turns = await store.get(OLD)
    assert turns is not None
    await store.apply([PutFields(NEW, {"turn": turns})])

    await migrations.migrate(store, 1, 2, MARK, {1: two}, dry_run=False)

    assert (await store.get(OLD), await store.fields(NEW)) == (None, {"turn": turns})


async def test_a_node_of_a_later_version_does_not_start_on_old_keys(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.check()
    monkeypatch.setattr(keys, "SCHEMA_VERSION", 2)

    with pytest.raises(SchemaOutdated, match="state migrate"):
        await store.check()
    await store.put(keys.META, b'{"schema": 3}')
    with pytest.raises(StoreUnusable, match="upgrade the program") as raised:
        await store.check()
    assert not isinstance(raised.value, SchemaOutdated)


def test_a_dump_of_version_1_loads_in_a_program_of_version_2(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {entry.key: entry for entry in dump.decode(V1.read_bytes()).keys}
    monkeypatch.setattr(keys, "SCHEMA_VERSION", 2)
    monkeypatch.setitem(migrations.STEPS, 1, two)  # type: ignore[arg-type]

    loaded = dump.decode(V1.read_bytes())

    after = {entry.key: entry for entry in loaded.keys}
    assert loaded.schema == 2
    assert after.pop(NEW).value == {"turn": before.pop(OLD).value}
    assert after == before
    assert msgspec.json.decode(dump.encode(loaded.keys))["schema"] == 2


def test_every_version_up_to_the_present_one_has_its_step_and_its_dump() -> None:
    assert set(migrations.STEPS) == set(range(1, keys.SCHEMA_VERSION))
    dumps = {path.stem for path in V1.parent.glob("v*.json")}
    assert {f"v{version}" for version in range(1, keys.SCHEMA_VERSION + 1)} <= dumps
