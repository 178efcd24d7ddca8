"""What is kept: sealed, newest first, whole or not at all, and never shown."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from aiclient2api.credentials import journal as journal_module
from aiclient2api.credentials.grant import Fresh, Grant, TokenRequest
from aiclient2api.credentials.journal import FILE, FileJournal
from aiclient2api.credentials.known import Known
from aiclient2api.credentials.record import Intent, Record, Tokens, decode, encode, seal, unseal
from aiclient2api.credentials.sealing import Broken, Sealer, UnknownKey
from aiclient2api.errors import ConfigError
from aiclient2api.providers.credentials import Secret

OLD, NEW = bytes(32), bytes([1]) * 32
TOKENS = Tokens(Secret("at-secret"), Secret("rt-secret"))


def record(generation: int, sealer: Sealer, account: str = "a") -> Record:
    return seal(Record(generation=generation, fence=generation, seeds=("s",)), TOKENS, sealer, account)


def opened(folder: Path, *keys: bytes, said: list[str] | None = None) -> FileJournal:
    sealer = Sealer(keys[0], keys[1:])
    return FileJournal(folder, sealer.kids, (said if said is not None else []).append)


def test_tokens_open_with_the_key_that_sealed_them_and_with_no_other() -> None:
    sealed = record(3, Sealer(OLD))

    assert unseal(sealed, Sealer(OLD), "a") == TOKENS
    assert unseal(sealed, Sealer(NEW, [OLD]), "a") == TOKENS
    assert record(3, Sealer(NEW, [OLD])).kid == Sealer(NEW).kid != Sealer(OLD).kid
    with pytest.raises(UnknownKey):
        unseal(sealed, Sealer(NEW), "a")


def test_tokens_do_not_open_for_another_account_or_generation() -> None:
    sealed = record(3, Sealer(OLD))

    with pytest.raises(Broken):
        unseal(sealed, Sealer(OLD), "b")
    with pytest.raises(Broken):
        unseal(msgspec.structs.replace(sealed, generation=4), Sealer(OLD), "a")
    with pytest.raises(Broken):
        unseal(msgspec.structs.replace(sealed, sealed=sealed.sealed[:-1]), Sealer(OLD), "a")


def test_a_record_comes_back_as_it_was_with_members_of_later_versions() -> None:
    made = msgspec.structs.replace(record(2, Sealer(OLD)), intent=Intent(fence=2, node="n", at=1.5))
    later = msgspec.json.encode({**msgspec.json.decode(encode(made)), "colour": "red"})

    assert decode(encode(made)) == made
    found = decode(later)
    assert found is not None
    assert found.rest == {"colour": "red"}
    assert msgspec.json.decode(encode(found)) == msgspec.json.decode(later)


@pytest.mark.parametrize("value", [None, b"", b"{}", b"[]", b"nonsense", b'{"generation": "x"}', b"\xff\xfe"])
def test_what_is_no_record_is_none(value: bytes | None) -> None:
    assert decode(value) is None


async def test_the_newest_record_counts_after_a_restart(tmp_path: Path) -> None:
    sealer = Sealer(OLD)
    journal = opened(tmp_path, OLD)
    for generation in (1, 3, 2):
        await journal.append("a", record(generation, sealer))
    await journal.append("b", record(7, sealer, "b"))

    again = opened(tmp_path, OLD)
    newest = again.newest("a")
    assert newest is not None and newest.generation == 3
    assert unseal(newest, sealer, "a") == TOKENS
    assert again.newest("c") is None
    text = (tmp_path / FILE).read_bytes()
    assert b"secret" not in text
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


async def test_two_workers_write_one_journal(tmp_path: Path) -> None:
    sealer = Sealer(OLD)
    one, two = opened(tmp_path, OLD), opened(tmp_path, OLD)
    await one.append("a", record(1, sealer))
    await two.append("b", record(1, sealer, "b"))
    before = (tmp_path / FILE).read_bytes()
    await two.append("a", record(1, sealer))

    assert (tmp_path / FILE).read_bytes() == before  # both know it already
    await one.read()
    assert one.newest("b") is not None


@pytest.mark.parametrize("cut", [1, 10, 60])
async def test_a_cut_tail_is_told_once_and_the_rest_counts(tmp_path: Path, cut: int) -> None:
    sealer = Sealer(OLD)
    journal = opened(tmp_path, OLD)
    await journal.append("a", record(1, sealer))
    await journal.append("a", record(2, sealer))
    path = tmp_path / FILE
    os.truncate(path, path.stat().st_size - cut)
    damaged, said = path.read_bytes(), list[str]()

    again = opened(tmp_path, OLD, said=said)
    newest = again.newest("a")
    assert newest is not None and newest.generation == 1
    assert len(said) == 1 and "1 line cut or damaged" in said[0]
    assert path.with_suffix(".damaged-1").read_bytes() == damaged
    await again.append("a", record(3, sealer))
    newest = opened(tmp_path, OLD, said=said).newest("a")
    assert newest is not None and newest.generation == 3
    assert len(said) == 1


async def test_a_damaged_line_in_the_middle_costs_only_itself(tmp_path: Path) -> None:
    sealer = Sealer(OLD)
    journal = opened(tmp_path, OLD)
    for generation in (1, 2, 3):
        await journal.append("a", record(generation, sealer))
    path = tmp_path / FILE
    data = bytearray(path.read_bytes())
    data[data.index(b"\n") + 40] ^= 1
    path.write_bytes(data)

    newest = opened(tmp_path, OLD).newest("a")
    assert newest is not None and newest.generation == 3


async def test_a_long_journal_is_written_anew_and_other_workers_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MAX_BYTES", 2_000)
    sealer = Sealer(OLD)
    one, two = opened(tmp_path, OLD), opened(tmp_path, OLD)
    for generation in range(1, 30):
        await one.append("a", record(generation, sealer))
    await two.append("b", record(1, sealer, "b"))

    assert (tmp_path / FILE).stat().st_size < 2_500
    again = opened(tmp_path, OLD)
    a, b = again.newest("a"), again.newest("b")
    assert a is not None and a.generation == 29
    assert b is not None


async def test_a_record_is_on_disk_only_when_it_is_also_when_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, first, second = opened(tmp_path, OLD), record(1, Sealer(OLD)), record(2, Sealer(OLD))
    await journal.append("a", first)
    monkeypatch.setattr(journal_module, "MAX_BYTES", 10)
    (tmp_path / FILE).with_suffix(".part").mkdir()

    for _ in range(2):
        with pytest.raises(OSError, match="directory"):
            await journal.append("a", second)
    (tmp_path / FILE).with_suffix(".part").rmdir()

    assert opened(tmp_path, OLD).newest("a") == first
    await journal.append("a", second)
    assert opened(tmp_path, OLD).newest("a") == second


async def test_a_record_that_the_disk_refused_in_the_end_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, first = opened(tmp_path, OLD), record(1, Sealer(OLD))
    refusals = [OSError(5, "Input/output error"), OSError(5, "Input/output error")]
    fsync = os.fsync

    def failing(descriptor: int) -> None:
        if refusals:
            raise refusals.pop()
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing)
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            await journal.append("a", first)
    assert not opened(tmp_path, OLD).newest("a")

    await journal.append("a", first)
    assert opened(tmp_path, OLD).newest("a") == first


async def test_a_damaged_journal_is_kept_where_files_have_one_name_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    said: list[str] = []
    journal, second = opened(tmp_path, OLD, said=said), record(2, Sealer(OLD))
    await journal.append("a", record(1, Sealer(OLD)))
    monkeypatch.setattr(os, "link", refuse)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b"half a li")

    await journal.append("a", second)

    assert len(said) == 1
    assert opened(tmp_path, OLD).newest("a") == second


async def test_a_journal_of_another_key_is_left_alone(tmp_path: Path) -> None:
    await opened(tmp_path, OLD).append("a", record(1, Sealer(OLD)))
    before = (tmp_path / FILE).read_bytes()

    with pytest.raises(ConfigError, match="sealed with another key") as raised:
        opened(tmp_path, NEW)
    assert len(raised.value.problems) == 1
    assert (tmp_path / FILE).read_bytes() == before
    assert opened(tmp_path, NEW, OLD).newest("a") is not None


def test_a_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()

    with pytest.raises(ConfigError, match="cannot be used"):
        opened(tmp_path, OLD)


def test_nothing_shows_a_token() -> None:
    grant = Grant(
        kind="refresh_token",
        token_url="https://idp.example/token",
        client_secret=Secret("cs-secret"),
        refresh_token=Secret("rt-secret"),
        private_key=Secret("pk-secret"),
    )
    shown = [
        TOKENS,
        record(1, Sealer(OLD)),
        Sealer(OLD),
        grant,
        Fresh(Secret("at-secret"), Secret("rt-secret"), 1.0),
        TokenRequest(b"refresh_token=rt-secret", (("authorization", "Basic secret"),)),
    ]

    assert "secret'" not in repr(shown).replace("client_secret", "")
    assert "rt-secret" not in repr(shown) and "Basic" not in repr(shown)
    assert Known.__repr__ is not object.__repr__
