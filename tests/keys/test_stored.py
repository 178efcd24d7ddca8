"""A node and its store: what it hears, what it gives back, what it remembers without one."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from aiclient2api.credentials.sealing import Sealer
from aiclient2api.keys.journal import KeyJournal
from aiclient2api.keys.record import KeyHash, KeyRecord, encode
from aiclient2api.keys.stored import CURRENT, SharedClientKeys
from aiclient2api.store import keys
from aiclient2api.store.base import Add, PutFields, StoreUnavailable
from aiclient2api.store.memory import MemoryStore

SEALER = Sealer(bytes(range(32)))


class Away(MemoryStore):
    """A store that other nodes could share, and that may be away."""

    def __init__(self) -> None:
        super().__init__(time.monotonic)
        self.is_away = False
        self.calls: list[str] = []

    async def get(self, key: str) -> bytes | None:
        self.calls.append("get")
        if self.is_away:
            raise StoreUnavailable("away")
        return await super().get(key)

    async def fields(self, key: str) -> dict[str, bytes]:
        self.calls.append("fields")
        return await super().fields(key)


class Node:
    """What one process knows of client keys."""

    def __init__(self, store: MemoryStore, path: Path | None = None, sealer: Sealer | None = None) -> None:
        self.now = 1000.0
        self.events: list[tuple[str, dict[str, Any]]] = []
        journal = None if path is None else KeyJournal(path, sealer or SEALER)
        self.keys = SharedClientKeys(
            store,
            lambda: self.now,
            journal,
            lambda level, event, **fields: self.events.append((event, fields)),
        )

    def hear(self) -> None:
        asyncio.run(self.keys.hear())

    @property
    def names(self) -> list[str]:
        return sorted(key.name for key in self.keys.by_hash.values())


def record(name: str = "ci", rev: int = 1, **members: Any) -> KeyRecord:
    digest = bytes([len(name)]) * 31 + name.encode()[:1]
    return KeyRecord(name=name, rev=rev, hashes=(KeyHash(hash=digest.hex()),), **members)


def put(store: MemoryStore, *records: KeyRecord | tuple[str, bytes]) -> None:
    """As a command writes them."""
    values = dict(each if isinstance(each, tuple) else (each.name, encode(each)) for each in records)
    asyncio.run(store.apply([PutFields(keys.client_keys(), values), Add(keys.client_keys_version(), 1)]))


def stored(store: MemoryStore) -> dict[str, bytes]:
    return asyncio.run(MemoryStore.fields(store, keys.client_keys()))


def test_changes_are_heard_and_nothing_is_read_while_nothing_changes() -> None:
    store = Away()
    node = Node(store)
    put(store, record("ci"))
    node.hear()
    assert node.names == ["ci"]

    store.calls.clear()
    node.hear()
    assert store.calls == ["get"]

    put(store, record("ci", rev=2, disabled=True), record("dev"))
    node.hear()
    assert node.names == ["ci", "dev"]
    assert [key.disabled for key in node.keys.by_hash.values() if key.name == "ci"] == [True]


def test_a_removed_key_is_gone() -> None:
    store = Away()
    node = Node(store)
    put(store, record("ci"))
    node.hear()

    put(store, KeyRecord(name="ci", rev=2, removed=True))
    node.hear()

    assert node.names == []
    assert len(node.keys) == 0


def test_a_store_that_was_emptied_gets_back_what_the_node_knows() -> None:
    store = Away()
    node, other = Node(store), Node(store)
    put(store, record("ci"), KeyRecord(name="old", rev=3, removed=True))
    node.hear()
    before = stored(store)

    asyncio.run(store.delete(keys.client_keys()))
    asyncio.run(store.delete(keys.client_keys_version()))
    node.hear()

    assert stored(store) == before
    assert ("client_keys_restored", {"keys": 2}) in node.events
    node.hear()
    other.hear()
    assert node.names == other.names == ["ci"]


def test_what_a_node_gives_back_undoes_no_later_change() -> None:
    store = Away()
    node = Node(store)
    put(store, record("ci", rev=1))
    node.hear()
    asyncio.run(store.delete(keys.client_keys()))

    put(store, record("ci", rev=7, disabled=True))
    node.hear()
    node.hear()

    assert stored(store)["ci"] == encode(record("ci", rev=7, disabled=True))
    assert all(key.disabled for key in node.keys.by_hash.values())


def test_a_record_that_is_behind_what_the_node_knows_is_replaced() -> None:
    store = Away()
    node = Node(store)
    put(store, record("ci", rev=5, disabled=True))
    node.hear()

    put(store, record("ci", rev=4))
    node.hear()

    assert stored(store)["ci"] == encode(record("ci", rev=5, disabled=True))
    assert all(key.disabled for key in node.keys.by_hash.values())


@pytest.mark.parametrize("bad", [b"{", b'{"name": "dev", "rev": 9}', b'{"name": "ci", "rev": "x"}'])
def test_a_record_that_cannot_be_read_is_told_once_and_neither_used_nor_overwritten(bad: bytes) -> None:
    store = Away()
    node = Node(store)
    put(store, record("ci"), record("dev"))
    node.hear()

    put(store, ("ci", bad))
    node.hear()
    put(store, record("dev", rev=2))
    node.hear()

    assert node.names == ["ci", "dev"], "what was known before still works"
    assert stored(store)["ci"] == bad
    assert [event for event, _ in node.events] == ["client_key_unreadable"]


def test_known_keys_outlive_the_store_and_the_process(tmp_path: Path) -> None:
    store = Away()
    path = tmp_path / "data" / "client_keys.json"
    node = Node(store, path)
    put(store, record("ci", rpm=3))
    node.hear()
    assert path.stat().st_mode & 0o777 == 0o600

    store.is_away = True
    again = Node(store, path)
    again.keys.recall()
    with pytest.raises(StoreUnavailable):
        again.hear()

    assert again.names == ["ci"]
    assert again.keys.has_limits


def test_a_store_that_was_emptied_while_no_node_ran_is_filled_from_the_disk(tmp_path: Path) -> None:
    store = Away()
    node = Node(store, tmp_path / "client_keys.json")
    put(store, record("ci"))
    node.hear()

    empty = Away()
    again = Node(empty, tmp_path / "client_keys.json")
    again.keys.recall()
    again.hear()

    assert stored(empty) == {"ci": encode(record("ci"))}


@pytest.mark.parametrize("text", [b"", b"{", b'{"format": "something else", "keys": {}}', b"\xff\xfe"])
def test_a_journal_that_cannot_be_read_is_moved_aside_and_told(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "client_keys.json"
    path.write_bytes(text)
    node = Node(Away(), path)

    node.keys.recall()

    assert [event for event, _ in node.events] == ["client_keys_unreadable"]
    assert (tmp_path / "client_keys.json.unreadable").read_bytes() == text
    assert node.names == []


def test_a_disk_that_takes_nothing_is_told_and_keys_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    store = Away()
    node = Node(store, tmp_path / "file" / "client_keys.json")
    put(store, record("ci"))

    node.hear()
    node.hear()

    assert node.names == ["ci"]
    assert [event for event, _ in node.events] == ["client_keys_unsaved"]

    (tmp_path / "file").unlink()
    node.hear()

    again = Node(Away(), tmp_path / "file" / "client_keys.json")
    again.keys.recall()
    assert again.names == ["ci"]


def test_the_journal_tells_nothing_to_whoever_lacks_the_secret_and_cannot_be_changed(tmp_path: Path) -> None:
    store = Away()
    path = tmp_path / "client_keys.json"
    put(store, record("somebody", label="a customer"))
    Node(store, path).hear()
    text = path.read_bytes()
    assert b"somebody" not in text
    assert b"customer" not in text

    path.write_bytes(text.replace(text[-12:-8], b"AAAA"))
    node = Node(store, path)
    node.keys.recall()

    assert node.names == []
    assert [event for event, _ in node.events] == ["client_keys_unreadable"]


def test_a_journal_of_an_earlier_secret_opens_and_is_sealed_anew(tmp_path: Path) -> None:
    store = Away()
    path = tmp_path / "client_keys.json"
    put(store, record("ci"))
    Node(store, path).hear()

    later = Node(store, path, Sealer(b"n" * 32, [bytes(range(32))]))
    later.keys.recall()
    assert later.names == ["ci"]
    later.hear()

    last = Node(store, path, Sealer(b"n" * 32))
    last.keys.recall()
    assert last.names == ["ci"]


def test_a_journal_of_an_unknown_secret_is_kept_aside_and_told(tmp_path: Path) -> None:
    store = Away()
    path = tmp_path / "client_keys.json"
    put(store, record("ci"))
    Node(store, path).hear()
    text = path.read_bytes()

    node = Node(store, path, Sealer(b"x" * 32))
    node.keys.recall()

    assert node.names == []
    ((event, fields),) = node.events
    assert event == "client_keys_unreadable"
    assert "secrets.previous" in fields["problem"]
    assert (tmp_path / "client_keys.json.unreadable").read_bytes() == text


class Elsewhere:
    """A store of another process."""

    def __init__(self) -> None:
        self._store = Away()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_what_is_known_is_current_only_while_the_store_answers() -> None:
    store: Any = Elsewhere()
    node = Node(store)
    assert not node.keys.is_current
    node.hear()
    assert node.keys.is_current

    node.now += CURRENT + 0.1
    assert not node.keys.is_current
    assert Node(Away()).keys.is_current, "nobody else can make keys in this process's own memory"
