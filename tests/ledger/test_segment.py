from __future__ import annotations

import errno
import mmap
import os
import re
import tracemalloc
from pathlib import Path

import pytest

from aiclient2api.ledger import segment as segments
from aiclient2api.ledger.segment import FileSegment, MemorySegment, SegmentFull
from tests.ledger.segments import read


def test_what_was_written_is_read_back_in_order(tmp_path: Path) -> None:
    segment = FileSegment.create(tmp_path, "me", 4096)

    for number in range(10):
        segment.append(b"record %d" % number)
    segment.close()

    content = read(segment.path.with_suffix(".segment"))
    assert content is not None
    assert content.identity == segment.identity
    assert content.payloads == [b"record %d" % number for number in range(10)]
    assert content.end == segment.position
    assert not content.is_damaged


def test_an_open_segment_can_be_read_without_a_sync(tmp_path: Path) -> None:
    segment = FileSegment.create(tmp_path, "me", 4096)
    segment.append(b"one")

    content = read(segment.path)

    assert content is not None
    assert content.payloads == [b"one"]
    segment.close()


def test_what_is_on_the_disk_is_not_kept_in_memory_as_well(tmp_path: Path) -> None:
    segment = FileSegment.create(tmp_path, "me", 1 << 20)
    for _ in range(500):
        segment.append(b"x" * 1000)

    segment.sync()
    segment.append(b"last")

    (mapping,) = [part for part in _mappings() if str(segment.path) in part]
    kept = int(next(line for line in mapping.splitlines() if line.startswith("Rss:")).split()[1])
    assert kept * 1024 <= 4 * mmap.PAGESIZE
    content = read(segment.path)
    assert content is not None
    assert content.payloads == [b"x" * 1000] * 500 + [b"last"]
    segment.close()


def test_reading_keeps_no_more_than_one_record_in_memory(tmp_path: Path) -> None:
    segment = FileSegment.create(tmp_path, "me", 8 << 20)
    while segment.position < 8_000_000:
        segment.append(b"x" * 100)
    sizes: set[int] = set()

    tracemalloc.start()
    extent = segments.read(segment.path, lambda payload: sizes.add(len(payload)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert extent is not None
    assert (extent.end, sizes) == (segment.position, {100})
    assert peak < 256 * 1024
    segment.close()


def _mappings() -> list[str]:
    """What this process has mapped, one text each."""
    smaps = Path("/proc/self/smaps")
    if not smaps.exists():
        pytest.skip("only Linux tells what is resident")
    return re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", smaps.read_text())


def test_reading_goes_on_where_it_ended(tmp_path: Path) -> None:
    segment = FileSegment.create(tmp_path, "me", 4096)
    segment.append(b"one")
    middle = segment.position
    segment.append(b"two")

    content = read(segment.path, middle)

    assert content is not None
    assert content.payloads == [b"two"]
    segment.close()


def test_a_record_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    segment = FileSegment.create(tmp_path, "me", 64)
    segment.append(b"x" * 20)
    position = segment.position

    with pytest.raises(SegmentFull):
        segment.append(b"y" * 20)

    assert segment.position == position
    segment.close()


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_truncated_segment_keeps_its_sound_records(tmp_path: Path, cut: int) -> None:
    segment = FileSegment.create(tmp_path, "me", 4096)
    segment.append(b"sound")
    end = segment.position
    segment.append(b"the last one")
    segment.close()
    path = segment.path.with_suffix(".segment")
    os.truncate(path, end + cut)

    content = read(path)

    assert content is not None
    assert content.payloads == ([b"sound", b"the last one"] if cut == 20 else [b"sound"])
    assert content.is_damaged


def test_a_flipped_bit_ends_the_sound_part(tmp_path: Path) -> None:
    segment = FileSegment.create(tmp_path, "me", 4096)
    segment.append(b"sound")
    end = segment.position
    segment.append(b"damaged")
    segment.close()
    path = segment.path.with_suffix(".segment")
    data = bytearray(path.read_bytes())
    data[end + 10] ^= 1
    path.write_bytes(data)

    content = read(path)

    assert content is not None
    assert content.payloads == [b"sound"]
    assert content.is_damaged


def test_a_segment_that_was_left_open_goes_on_where_it_ended(tmp_path: Path) -> None:
    segment = FileSegment.create(tmp_path, "me", 4096)
    segment.append(b"one")
    segment.leave()

    again = FileSegment.reopen(segment.path)
    again.append(b"two")

    content = read(segment.path)
    assert content is not None
    assert (content.payloads, again.identity) == ([b"one", b"two"], segment.identity)
    again.close()


def test_a_file_that_is_no_segment_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.open"
    path.write_text("mine")

    assert read(path) is None
    with pytest.raises(ValueError, match="not a ledger segment"):
        FileSegment.reopen(path)
    assert path.read_text() == "mine"


def test_a_full_disk_is_noticed_when_a_segment_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int, _begin: int, _size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)

    with pytest.raises(OSError, match="No space left"):
        FileSegment.create(tmp_path, "me", 4096)

    assert list(tmp_path.iterdir()) == []


def test_a_memory_segment_counts_the_same_positions(tmp_path: Path) -> None:
    on_disk, in_memory = FileSegment.create(tmp_path, "me", 4096), MemorySegment()
    before = on_disk.position - in_memory.position

    for segment in (on_disk, in_memory):
        segment.append(b"record")

    assert on_disk.position - in_memory.position == before
    on_disk.close()
