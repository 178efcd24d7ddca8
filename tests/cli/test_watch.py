from __future__ import annotations

from pathlib import Path

import pytest

from aiclient2api.cli.watch import FileWatch


@pytest.fixture
def seen() -> list[str]:
    return []


def watching(path: Path, seen: list[str]) -> FileWatch:
    return FileWatch(path, lambda: seen.append(path.read_text()))


def test_a_new_version_is_told_once_when_it_stands_still(tmp_path: Path, seen: list[str]) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("one")
    watch = watching(path, seen)
    watch.look()
    path.write_text("half of")
    watch.look()
    path.write_text("half of two")
    watch.look()
    assert seen == []
    watch.look()
    watch.look()

    assert seen == ["half of two"]


def test_what_was_read_for_another_reason_is_not_told_again(tmp_path: Path, seen: list[str]) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("one")
    watch = watching(path, seen)
    path.write_text("another")
    watch.know()
    watch.look()
    watch.look()

    assert seen == []


def test_a_file_that_is_replaced_or_gone_for_a_moment_is_told_when_it_is_back(
    tmp_path: Path, seen: list[str]
) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("one")
    watch = watching(path, seen)
    path.unlink()
    watch.look()
    watch.look()
    assert seen == []
    path.write_text("two!")
    watch.look()
    watch.look()

    assert seen == ["two!"]
