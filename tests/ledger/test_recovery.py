from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aiclient2api.ledger import ownership
from aiclient2api.ledger.ledger import Ledger
from aiclient2api.ledger.records import Begun, Row, aborted, decode, encode
from aiclient2api.ledger.recovery import (
    finished,
    forget,
    local_totals,
    mark_booked,
    settle,
    totals_of,
)
from aiclient2api.ledger.segment import FileSegment
from aiclient2api.ledger.totals import COUNTS
from tests.fakes.accounts import Clock
from tests.ledger.segments import read
from tests.ledger.test_ledger import begun, row

WRITER = """
import sys, time
from pathlib import Path
from aiclient2api.ledger import ownership
from aiclient2api.ledger.ledger import Ledger
from tests.ledger.test_ledger import begun, row
ledger = Ledger(Path(sys.argv[1]), time.monotonic, segment_bytes=int(sys.argv[2]))
number = 0
while True:
    ledger.begun(begun(f"r{number}"))
    print(number, flush=True)
    if number % 3:
        ledger.ended(row(f"r{number}"))
    number += 1
"""


def rows(folder: Path) -> list[Row]:
    found: list[Row] = []
    for path in folder.iterdir():
        if path.suffix == ".lock":
            continue
        content = read(path)
        assert content is not None
        found.extend(record for record in map(decode, content.payloads) if isinstance(record, Row))
    return found


def test_a_dead_process_s_open_attempts_get_a_row(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock())
    ledger.begun(begun("r1"))
    ledger.ended(row("r1"))
    ledger.begun(begun("r2"))
    ledger.close()  # an attempt is open, so the segment stays

    assert len(settle(tmp_path, now=7300.0)) == 1

    aborted = next(found for found in rows(tmp_path) if found.request_id == "r2")
    assert (aborted.outcome, aborted.mark, aborted.input, aborted.ended) == (
        "aborted",
        "estimated",
        25,
        7300.0,
    )
    assert len(settle(tmp_path, now=7400.0)) == 0


def test_a_segment_without_room_is_settled_in_another(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock(), segment_bytes=256)
    ledger.begun(begun("r1"))
    ledger.begun(begun("r2"))
    ledger.close()

    settle(tmp_path, now=7300.0)

    assert sorted(found.request_id for found in rows(tmp_path)) == ["r1", "r2"]


@pytest.mark.parametrize("size", [4096, 1024 * 1024])
def test_a_killed_writer_loses_no_row_and_doubles_none(tmp_path: Path, size: int) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), str(size)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= 300:
            os.kill(writer.pid, signal.SIGKILL)
            break
    told = 300 + len(writer.stdout.readlines())
    writer.stdout.close()
    writer.wait()

    settle(tmp_path, now=7300.0)

    names = sorted(int(found.request_id[1:]) for found in rows(tmp_path))
    assert len(names) == len(set(names))
    assert names in (list(range(told + 1)), list(range(told + 2)))  # the last one may be begun and not told


def test_rows_add_up_from_a_position_on(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock())
    ledger.ended(row("r1", tokens=7))
    batch = ledger.next_batch()
    assert batch is not None
    ledger.ended(row("r2", tokens=9))
    ledger.close()

    (found,) = finished(tmp_path)

    (late,) = totals_of(found.path, batch.end).groups.values()
    assert late[COUNTS.index("input")] == 9
    (both,) = totals_of(found.path, 0).groups.values()
    assert both[COUNTS.index("input")] == 16


def test_a_booked_segment_is_not_looked_at_again_and_is_forgotten_in_time(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock())
    ledger.ended(row("r1"))
    ledger.close()
    (found,) = finished(tmp_path)

    mark_booked(found)

    assert finished(tmp_path) == []
    (path,) = tmp_path.iterdir()
    forget(tmp_path, before=path.stat().st_mtime - 1)
    assert path.exists()
    forget(tmp_path, before=path.stat().st_mtime + 1)
    assert not path.exists()


def test_a_damaged_segment_is_told(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock())
    ledger.ended(row("r1"))
    ledger.ended(row("r2"))
    ledger.close()
    (found,) = finished(tmp_path)
    os.truncate(found.path, found.position - 3)

    (damaged,) = finished(tmp_path)

    assert damaged.is_damaged
    assert [found.request_id for found in rows(tmp_path)] == ["r1"]


def test_a_living_process_s_segments_are_left_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock())
    ledger.begun(begun("r1"))

    assert len(settle(tmp_path, now=7300.0)) == 0

    assert rows(tmp_path) == []
    ledger.close()


def test_a_recovery_that_died_is_finished_by_the_next(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock())
    ledger.begun(begun("r1"))
    ledger.begun(begun("r2"))
    ledger.close()
    (lock,) = tmp_path.glob("*.lock")
    half = FileSegment.create(tmp_path, lock.stem, 4096)
    half.append(encode(aborted(begun("r1"), 7250.0)))
    half.leave()

    assert len(settle(tmp_path, now=7300.0)) == 1

    assert sorted(found.request_id for found in rows(tmp_path)) == ["r1", "r2"]


def test_records_of_a_later_version_are_passed_over(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock())
    ledger.begun(begun("r1"))
    ledger.close()
    (path,) = tmp_path.glob("*.open")
    longer = b'["b","r9",1,7200.0,"me","main","a","claude",25,"a member of a later version"]'
    segment = FileSegment.reopen(path)
    segment.append(b'["x","unknown"]')
    segment.append(longer)
    segment.leave()

    assert len(settle(tmp_path, now=7300.0)) == 2

    assert isinstance(decode(longer), Begun)
    (kept,) = (content for content in map(read, tmp_path.iterdir()) if content and len(content.payloads) == 3)
    assert kept.payloads[1] == b'["x","unknown"]'


def test_a_damaged_open_segment_is_kept_whole(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock())
    for name in ("r1", "r2", "r3"):
        ledger.ended(row(name))
    ledger.begun(begun("r4"))
    ledger.close()
    (path,) = tmp_path.glob("*.open")
    content = bytearray(path.read_bytes())
    content[content.index(b'"r2"')] ^= 1
    path.write_bytes(content)

    settle(tmp_path, now=7300.0)

    (damaged,) = (found for found in finished(tmp_path) if found.is_damaged)
    assert damaged.path.read_bytes() == content
    mark_booked(damaged)
    forget(tmp_path, before=float("inf"))
    (kept,) = tmp_path.glob("*.damaged")
    assert kept.read_bytes() == content


def test_a_process_that_died_before_the_header_holds_up_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock())
    ledger.begun(begun("r1"))
    ledger.close()
    (lock,) = tmp_path.glob("*.lock")
    (tmp_path / f"{lock.stem}-{'0' * 32}.open").write_bytes(bytes(4096))

    assert len(settle(tmp_path, now=7300.0)) == 1

    assert {path.suffix for path in tmp_path.iterdir()} == {".segment"}
    assert [found.request_id for found in rows(tmp_path)] == ["r1"]


def test_what_a_full_disk_kept_open_is_settled_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path, Clock())
    ledger.begun(begun("r1"))
    ledger.close()

    def full(*_: object) -> FileSegment:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as away:
        away.setattr(FileSegment, "create", full)
        with pytest.raises(OSError, match="No space left"):
            settle(tmp_path, now=7300.0)

    assert len(settle(tmp_path, now=7400.0)) == 1


@pytest.mark.parametrize("is_done", [False, True], ids=["still at it", "done with it"])
def test_a_part_that_another_process_takes_for_dead_while_it_is_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_done: bool
) -> None:
    lock = fcntl.flock
    others = ownership.orphans(tmp_path)

    def interrupted(descriptor: int, how: int) -> None:
        monkeypatch.undo()
        other = next(others)
        if is_done:
            other.release(is_finished=True)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", interrupted)
    ours = ownership.own(tmp_path)

    assert (tmp_path / f"{ours.name}.lock").exists()
    assert ours.name not in {other.name for other in others}, "it is locked"


def test_a_segment_that_could_not_be_closed_is_left_to_the_next_start(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock())
    ledger.ended(row("r1"))
    (path,) = tmp_path.glob("*.open")
    in_the_way = path.with_suffix(".segment")
    in_the_way.mkdir()

    with pytest.raises(OSError, match="directory"):
        ledger.close()
    in_the_way.rmdir()
    settle(tmp_path, 7300.0)

    assert rows(tmp_path) == [row("r1")]
    assert [found.position > 0 for found in finished(tmp_path)].count(True) == 2
    assert not list(tmp_path.glob("*.lock"))


def test_a_segment_that_is_removed_while_all_are_read_is_passed_over(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, Clock())
    ledger.ended(row("r1"))
    (tmp_path / "x-y.booked").symlink_to("what was there a moment ago")

    assert len(local_totals(tmp_path, 0)) == 1
