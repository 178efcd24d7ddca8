from __future__ import annotations

from pathlib import Path

import pytest

from aiclient2api.ledger.ledger import Batch, Ledger
from aiclient2api.ledger.records import Begun, Row, decode
from aiclient2api.ledger.totals import COUNTS
from tests.fakes.accounts import Clock
from tests.ledger.segments import read


def begun(name: str, attempt: int = 1) -> Begun:
    return Begun(name, attempt, 7200.0, "me", "main", "a", "claude", 25)


def row(name: str, attempt: int = 1, *, tokens: int = 10) -> Row:
    return Row(
        name, attempt, 7200.0, 7201.0, "me", "main", "a", "claude", "ok", "reported", tokens, 0, 0, 5, 0
    )


def payloads(folder: Path) -> dict[str, list[object]]:
    found: dict[str, list[object]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix == ".lock":
            continue
        content = read(path)
        assert content is not None
        found[path.suffix] = [*found.get(path.suffix, []), *(decode(payload) for payload in content.payloads)]
    return found


def counts(batch: Batch | None) -> list[int]:
    assert batch is not None
    (only,) = batch.totals.groups.values()
    return only


def test_records_stand_in_the_file_as_soon_as_they_are_written(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock())

    ledger.begun(begun("r1"))
    ledger.ended(row("r1"))

    assert payloads(tmp_path) == {".open": [begun("r1"), row("r1")]}
    ledger.close()
    assert payloads(tmp_path) == {".segment": [begun("r1"), row("r1")]}


def test_what_is_still_open_is_repeated_in_the_next_segment(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock(), segment_bytes=512)

    ledger.begun(begun("long"))
    for number in range(8):
        ledger.begun(begun(f"r{number}"))
        ledger.ended(row(f"r{number}"))

    ledger.syncing()()
    assert payloads(tmp_path)[".open"][0] == begun("long")
    rows = [
        record for records in payloads(tmp_path).values() for record in records if isinstance(record, Row)
    ]
    assert sorted(record.request_id for record in rows) == [f"r{number}" for number in range(8)]


def test_a_batch_stays_the_same_until_it_is_booked(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock())
    ledger.ended(row("r1"))

    first = ledger.next_batch()
    ledger.ended(row("r2"))
    again = ledger.next_batch()
    assert first is not None
    assert again is first
    ledger.booked(first)
    second = ledger.next_batch()

    assert counts(first)[COUNTS.index("attempts")] == 1
    assert counts(second)[COUNTS.index("attempts")] == 1
    assert second is not None
    assert (first.end, first.segment) == (second.begin, second.segment)
    ledger.booked(second)
    assert ledger.next_batch() is None


def test_batches_of_different_segments_are_booked_in_order(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock(), segment_bytes=512)
    for number in range(20):
        ledger.ended(row(f"r{number}", tokens=1))

    tokens = 0
    segments: list[str] = []
    while (batch := ledger.next_batch()) is not None:
        tokens += counts(batch)[COUNTS.index("input")]
        segments.append(batch.segment)
        ledger.booked(batch)

    assert tokens == 20
    assert len(set(segments)) == len(segments) > 3


def test_a_full_disk_is_told_and_recovered_from(tmp_path: Path) -> None:
    clock = Clock()
    blocked = tmp_path / "ledger"
    blocked.write_text("a file where the folder should be")
    ledger = Ledger(blocked, clock)
    assert ledger.is_degraded

    ledger.begun(begun("r1"))
    ledger.ended(row("r0"))
    blocked.unlink()
    clock.now += 5.0
    ledger.ended(row("r2"))

    assert not ledger.is_degraded
    assert payloads(blocked) == {".open": [begun("r1"), row("r2")]}
    batches: list[Batch] = []
    while (batch := ledger.next_batch()) is not None:
        batches.append(batch)
        ledger.booked(batch)
    assert sum(counts(batch)[0] for batch in batches) == 2


def test_without_a_folder_nothing_is_kept_and_everything_is_counted() -> None:
    ledger = Ledger(None, Clock())

    ledger.begun(begun("r1"))
    ledger.ended(row("r1"))

    assert not ledger.is_degraded
    assert counts(ledger.next_batch())[0] == 1


@pytest.mark.parametrize("size", [512, 8 * 1024 * 1024])
def test_closing_leaves_no_open_segment(tmp_path: Path, size: int) -> None:
    ledger = Ledger(tmp_path, Clock(), segment_bytes=size)
    for number in range(20):
        ledger.begun(begun(f"r{number}"))
        ledger.ended(row(f"r{number}"))

    ledger.close()

    assert list(payloads(tmp_path)) == [".segment"]
