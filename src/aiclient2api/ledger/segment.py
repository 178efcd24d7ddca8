"""One file of the ledger: records one behind the other, written through shared memory.

A record is in the operating system's hands as soon as it is written, so a killed process loses none; `sync` puts it
on the disk. The file has its full size from the beginning: a full disk is noticed when a segment is made, never
inside a write.

    header   8 bytes magic, 16 bytes identity
    record   4 bytes length, 4 bytes CRC-32, payload; length 0 ends the segment
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final, Protocol
from zlib import crc32

from msgspec import Struct

MAGIC: Final = b"A2LEDG01"
_HEADER: Final = len(MAGIC) + 16
_RECORD: Final = struct.Struct("<II")
FIRST: Final = _HEADER
"""Where the first record of a file begins."""
_head: Final = _RECORD.pack
RECORD_BYTES: Final = _RECORD.size
"""What a record takes beside its payload."""
_READ_BYTES: Final = 64 * 1024
_PAUSE: Final = 0.0002
"""Seconds behind each of these pieces: a thread that only computes lets a loop wait 5 ms before each of its steps."""
OPEN, CLOSED = ".open", ".segment"


class SegmentFull(Exception):
    """The record goes into the next segment."""


class Segment(Protocol):
    """Where records go. `position` is where the next one begins; it only grows."""

    identity: str
    position: int

    def append(self, payload: bytes) -> None:
        """Add a record. Raises SegmentFull."""
        ...

    def sync(self) -> None:
        """Put everything on the disk; blocks."""
        ...

    def close(self) -> None:
        """No more records."""
        ...

    def leave(self) -> None:
        """Stop without an end: recovery finishes what is open."""
        ...


class FileSegment:
    """A segment on disk, owned by this process."""

    def __init__(self, path: Path, descriptor: int, identity: str, position: int) -> None:
        self.identity = identity
        self.position = position
        self.path = path
        self._descriptor = descriptor
        self._map = mmap.mmap(descriptor, 0)
        self._size = len(self._map)

    @classmethod
    def create(cls, folder: Path, owner: str, size: int) -> FileSegment:
        """A new segment of `size` bytes. Raises OSError, above all when the disk is full."""
        identity = uuid.uuid4()
        path = folder / f"{owner}-{identity.hex}{OPEN}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, size)
            os.pwrite(descriptor, MAGIC + identity.bytes, 0)
            return cls(path, descriptor, identity.hex, _HEADER)
        except BaseException:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise

    @classmethod
    def reopen(cls, path: Path) -> FileSegment:
        """A segment that its owner left open. Raises OSError or ValueError when it is none."""
        extent = read(path)
        if extent is None:
            raise ValueError(f"{path.name} is not a ledger segment")
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        return cls(path, descriptor, extent.identity, extent.end)

    def append(self, payload: bytes) -> None:
        """See Segment. The payload stands before its length says so: a kill in between leaves no half record."""
        position, size = self.position, len(payload)
        begin = position + RECORD_BYTES
        end = begin + size
        if end > self._size:
            raise SegmentFull
        self._map[begin:end] = payload
        self._map[position:begin] = _head(size, crc32(payload))
        self.position = end

    def sync(self) -> None:
        """See Segment. What is on the disk need not be in this process's memory as well."""
        self._write_out()
        self._map.madvise(mmap.MADV_DONTNEED, 0, self.position // mmap.PAGESIZE * mmap.PAGESIZE)

    def close(self) -> None:
        """See Segment. The name tells from now on that nothing is missing."""
        try:
            self._write_out()
            self._map.close()
            os.ftruncate(self._descriptor, self.position)
            self.path.rename(self.path.with_suffix(CLOSED))
        finally:
            os.close(self._descriptor)

    def leave(self) -> None:
        """See Segment."""
        try:
            self._write_out()
            self._map.close()
        finally:
            os.close(self._descriptor)

    def _write_out(self) -> None:
        """Blocks this thread only: `mmap.flush` would hold the interpreter's lock until the disk is done."""
        if sys.platform == "linux":
            os.fdatasync(self._descriptor)
        else:
            self._map.flush()


class MemorySegment:
    """For demos, and while the disk takes nothing: counted, but gone with the process."""

    def __init__(self) -> None:
        self.identity = uuid.uuid4().hex
        self.position = 0

    def append(self, payload: bytes) -> None:
        """See Segment."""
        self.position += _RECORD.size + len(payload)

    def sync(self) -> None:
        """See Segment."""

    def close(self) -> None:
        """See Segment."""

    def leave(self) -> None:
        """See Segment."""


class Extent(Struct, frozen=True):
    """How much of a segment is sound: its records end at `end`; `is_damaged` is whether anything follows."""

    identity: str
    end: int
    is_damaged: bool


def read(
    path: Path, take: Callable[[bytes], object] | None = None, begin: int = 0, end: int | None = None
) -> Extent | None:
    """Give every sound record between two positions to `take`, one at a time: a whole segment would stay behind in the
    memory of the process. None when the file is no segment. Raises OSError.

    It is read, not mapped: its owner may cut it off meanwhile. Blocks, for a thread of its own.
    """
    with path.open("rb", buffering=_READ_BYTES) as file:
        size = os.fstat(file.fileno()).st_size if end is None else end
        head = file.read(_HEADER)
        if min(len(head), size) < _HEADER or not head.startswith(MAGIC):
            return None
        position, pause_at = _HEADER, _READ_BYTES
        while payload := _record(file, size - position):
            if take is not None and position >= begin:
                take(payload)
            position += RECORD_BYTES + len(payload)
            if position >= pause_at:
                pause_at += _READ_BYTES
                time.sleep(_PAUSE)
        file.seek(position)
        return Extent(head[len(MAGIC) :].hex(), position, _is_anything_left(file, size - position))


def _record(file: BinaryIO, room: int) -> bytes:
    """The payload of the next record; nothing where none that is sound stands."""
    head = file.read(RECORD_BYTES)
    if len(head) < RECORD_BYTES:
        return b""
    length, checksum = _RECORD.unpack(head)
    if length > room - RECORD_BYTES:
        return b""
    payload = file.read(length)
    return payload if crc32(payload) == checksum else b""


def _is_anything_left(file: BinaryIO, room: int) -> bool:
    while room > 0 and (piece := file.read(min(room, _READ_BYTES))):
        if piece.strip(b"\0"):
            return True
        room -= len(piece)
    return False
