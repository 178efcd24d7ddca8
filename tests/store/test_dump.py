"""A dump holds what is worth keeping, loads again, and dumps of every version so far load for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiclient2api.accounts.health import Status
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.accounts.surroundings import Surroundings
from aiclient2api.accounts.sync import StateSync
from aiclient2api.keys.ring import ClientKeys, KeyLimits
from aiclient2api.keys.stored import SharedClientKeys
from aiclient2api.server.first_start import derive
from aiclient2api.store import dump, keys
from aiclient2api.store.base import Add, AddFields, Put, PutFields, Rank
from aiclient2api.store.dump import DumpUnreadable, Entry
from aiclient2api.store.memory import MemoryStore
from aiclient2api.store.redis import RedisStore
from tests.fakes.accounts import Clock, account

DUMPS = sorted((Path(__file__).parent / "dumps").glob("v*.json"))


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.stem)
async def test_a_committed_dump_loads_and_is_understood(path: Path, store: RedisStore) -> None:
    loaded = dump.decode(path.read_bytes())

    plan = await dump.load(store, loaded.keys, force=True, dry_run=False)
    again = await dump.load(store, loaded.keys, force=False, dry_run=False)

    assert len(plan.written) + len(plan.unchanged) == len(loaded.keys)
    assert (again.written, again.kept) == ([], [])
    clock = Clock(1_795_700_000.0)
    states = StateSync(store, "n", clock, clock)
    accounts = [account("a"), account("b")]
    pool = AccountPool(
        "chat", accounts, now=clock, random=lambda: 0.5, surroundings=Surroundings(observer=states)
    )
    states.watch({"chat": pool})
    await states.hear()
    assert (accounts[0].state.status, accounts[0].state.reason) == (Status.COOLING, "insufficient_quota")
    assert accounts[0].overlays["gpt-5"].step == 2
    assert (accounts[1].state.status, accounts[1].state.until) == (Status.DISABLED, float("inf"))
    stored = SharedClientKeys(store, clock, None, lambda *_, **__: None)
    await stored.hear()
    key = ClientKeys([derive("the secret of the sample dump").pepper], [], stored).identify(
        "sk-a2-of-the-sample-dump"
    )
    assert (key.name, key.models) == ("ci", ("gpt-*",))
    assert key.limits == KeyLimits(requests=60, tokens=100_000, concurrency=8)
    assert len(stored) == 1


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: path.stem)
async def test_a_committed_dump_survives_going_through_the_store(path: Path) -> None:
    store = MemoryStore(Clock())
    await dump.load(store, dump.decode(path.read_bytes()).keys, force=False, dry_run=False)

    assert dump.encode(await dump.export(store)) == path.read_bytes()


async def test_what_is_true_of_a_moment_only_is_left_out(store: RedisStore) -> None:
    await store.check()
    await store.apply(
        [
            Put(keys.probe("a"), b"n1", 30.0),
            Put(keys.accounts_epoch(), b"e"),
            Put(keys.pin("t", "r"), b"\xff\x00", 60.0),
            AddFields(keys.account_counters("a"), {"m ok": 2}),
            PutFields(keys.node_inflight("n1"), {"a": b"1"}, 8.0),
        ]
    )
    await store.apply([Rank(keys.nodes(), "n1", 1.0), Add(keys.tickets("p"), 64)])

    entries = {entry.key: entry for entry in await dump.export(store)}

    assert set(entries) == {keys.META, keys.pin("t", "r"), keys.account_counters("a"), keys.tickets("p")}
    assert entries[keys.pin("t", "r")].value == {"base64": "/wA="}
    assert 50.0 < (entries[keys.pin("t", "r")].ttl or 0.0) <= 60.0
    assert entries[keys.account_counters("a")].value == {"m ok": "2"}


async def test_what_is_different_is_kept_unless_forced() -> None:
    store = MemoryStore(Clock())
    await store.apply([Put("a2:v1:x", b"mine"), PutFields("a2:v1:h", {"same": b"1", "other": b"2"})])
    entries = [
        Entry(key="a2:v1:x", value="theirs"),
        Entry(key="a2:v1:h", type="hash", value={"same": "1", "other": "9", "new": "3"}),
        Entry(key="a2:v1:y", value="new"),
    ]

    tried = await dump.load(store, entries, force=False, dry_run=True)
    assert await store.get("a2:v1:y") is None
    plan = await dump.load(store, entries, force=False, dry_run=False)
    assert (plan.written, plan.kept) == (["a2:v1:h", "a2:v1:y"], ["a2:v1:x", "a2:v1:h"])
    assert (tried.written, tried.kept) == (plan.written, plan.kept)
    assert await store.get("a2:v1:x") == b"mine"
    assert await store.fields("a2:v1:h") == {"same": b"1", "other": b"2", "new": b"3"}

    forced = await dump.load(store, entries, force=True, dry_run=False)
    assert forced.written == ["a2:v1:x", "a2:v1:h"]
    assert await store.get("a2:v1:x") == b"theirs"
    assert (await store.fields("a2:v1:h"))["other"] == b"9"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "is not a dump"),
        (b"[]", "is not a dump"),
        (b'{"format": "x", "schema": 1, "keys": []}', "is not a dump"),
        (b'{"format": "aiclient2api state", "schema": 2, "keys": []}', "has schema version 2"),
        (
            b'{"format": "aiclient2api state", "schema": 1, "keys": [{"key": "other:x"}]}',
            "not ours: 'other:x'",
        ),
    ],
)
def test_what_is_no_dump_is_refused_in_one_sentence(text: bytes, problem: str) -> None:
    with pytest.raises(DumpUnreadable, match=problem):
        dump.decode(text)
