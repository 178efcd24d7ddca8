from __future__ import annotations

import json

import pytest

from aiclient2api.keys.record import KeyHash, KeyRecord, client_keys, decode, encode
from aiclient2api.keys.ring import KeyLimits

HASH = "ab" * 32
RECORD = KeyRecord(name="ci", rev=5, hashes=(KeyHash(hash=HASH, hint="wxyz"),), rpm=10, models=("gpt-*",))


def test_a_record_comes_back_as_it_was() -> None:
    assert decode(encode(RECORD)) == RECORD


def test_members_of_later_versions_are_kept() -> None:
    old = json.dumps({"name": "ci", "rev": 4, "hashes": [], "rpm": 3, "team": "red"}).encode()

    changed = json.loads(encode(RECORD, old))

    assert changed["team"] == "red"
    assert changed["rpm"] == 10
    assert "label" not in changed


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b'{"name": 3}',
        b'{"name": "a", "rev": 1, "hashes": [{"hash": "xy"}]}',
        b'{"name": "a", "rev": 1, "hashes": [{"hash": "ab"}]}',
        b"\xff",
    ],
)
def test_what_is_no_record_is_none(value: bytes) -> None:
    assert decode(value) is None


def test_each_text_of_a_rotated_key_is_a_key_with_its_own_end() -> None:
    record = KeyRecord(
        name="ci",
        rev=1,
        hashes=(KeyHash(hash=HASH), KeyHash(hash="cd" * 32, until=50.0)),
        expires=100.0,
        concurrency=3,
    )

    new, old = client_keys(record)

    assert (new.hash, new.expires) == (bytes.fromhex(HASH), 100.0)
    assert (old.hash, old.expires) == (bytes.fromhex("cd" * 32), 50.0)
    assert new.limits == old.limits == KeyLimits(concurrency=3)
    assert new.name == old.name == "ci"


def test_what_is_left_of_a_removed_key_is_no_key() -> None:
    assert list(client_keys(KeyRecord(name="ci", rev=9, hashes=RECORD.hashes, removed=True))) == []


@pytest.mark.parametrize(
    ("record", "state"),
    [
        (KeyRecord(name="a", rev=1), "active"),
        (KeyRecord(name="a", rev=1, expires=10.0), "expired"),
        (KeyRecord(name="a", rev=1, expires=11.0), "active"),
        (KeyRecord(name="a", rev=1, expires=1.0, disabled=True), "disabled"),
        (KeyRecord(name="a", rev=1, removed=True), "removed"),
    ],
)
def test_the_state_of_a_key(record: KeyRecord, state: str) -> None:
    assert record.state(10.0) == state
