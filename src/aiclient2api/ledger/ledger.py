"""The ledger of one process: a record before every upstream call and a row behind it, in segments on disk.

Nothing here waits: a record is a copy into shared memory, and the counts it adds up to are plain integers that the
import picks up later. When the disk takes nothing, records stay in memory and the ledger says so until it recovers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from msgspec import Struct

from aiclient2api.ledger.ownership import Ownership, own
from aiclient2api.ledger.records import Begun, Row, encode
from aiclient2api.ledger.segment import OPEN, RECORD_BYTES, FileSegment, MemorySegment, Segment, SegmentFull
from aiclient2api.ledger.totals import Totals

SEGMENT_BYTES: Final = 8 * 1024 * 1024
RETRY_SECONDS: Final = 5.0


class Batch(Struct, frozen=True, kw_only=True):
    """Counts of one stretch of one segment. They are booked once, when the segment is booked up to `begin`."""

    segment: str
    path: Path | None
    """Where the records stand; None when they are in memory only."""
    begin: int
    end: int
    totals: Totals


class Ledger:
    """Where attempts are booked. `folder` None keeps everything in memory; `now` in seconds, any origin."""

    def __init__(
        self, folder: Path | None, now: Callable[[], float], segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self.folder = folder
        self.problem: str | None = None
        """Why the disk takes nothing, None when all is well."""
        self.written = 0
        self._now = now
        self._segment_bytes = segment_bytes
        self._open: dict[tuple[str, int], bytes] = {}
        self._totals = Totals()
        self._begin = 0
        self._waiting: list[Batch] = []
        self._retired: list[Segment] = []
        self._retry_at = 0.0
        self._ownership: Ownership | None = None
        self._segment: Segment = self._next_segment()
        self._begin = self._segment.position

    @property
    def is_degraded(self) -> bool:
        """Whether a kill would lose records."""
        return self.problem is not None

    @property
    def unbooked(self) -> int:
        """Batches that wait for the store."""
        return len(self._waiting)

    def begun(self, record: Begun) -> None:
        """An attempt is about to be sent."""
        payload = encode(record)
        self._open[record.request_id, record.attempt] = payload
        self._append(payload)

    def ended(self, row: Row) -> None:
        """An attempt is over."""
        self._open.pop((row.request_id, row.attempt), None)
        self._append(encode(row))
        self._totals.add(row)

    def _append(self, payload: bytes) -> None:
        self.written += 1
        if self.problem is not None and self._now() >= self._retry_at:
            self._rotate()
        try:
            self._segment.append(payload)
        except SegmentFull:
            self._rotate()
            self._segment.append(payload)

    def _rotate(self) -> None:
        """Go on in another segment, which repeats what has begun and is not over: recovery reads one file only."""
        before = self._segment
        self._segment = self._next_segment()
        if isinstance(before, MemorySegment) and isinstance(self._segment, MemorySegment):
            self._segment = before
            return
        self._cut(before)
        self._retired.append(before)
        self._begin = self._segment.position
        for payload in self._open.values():
            self._segment.append(payload)

    def _next_segment(self) -> Segment:
        if self.folder is None:
            return MemorySegment()
        try:
            self._ownership = self._ownership or own(self.folder)
            repeated = sum(len(payload) + RECORD_BYTES for payload in self._open.values())
            segment = FileSegment.create(
                self.folder, self._ownership.name, max(self._segment_bytes, 2 * repeated)
            )
        except OSError as error:
            self.problem = error.strerror or type(error).__name__
            self._retry_at = self._now() + RETRY_SECONDS
            return MemorySegment()
        self.problem = None
        return segment

    def _cut(self, segment: Segment) -> None:
        if segment.position > self._begin:
            self._waiting.append(
                Batch(
                    segment=segment.identity,
                    path=segment.path if isinstance(segment, FileSegment) else None,
                    begin=self._begin,
                    end=segment.position,
                    totals=self._totals,
                )
            )
            self._totals = Totals()
            self._begin = segment.position

    def next_batch(self) -> Batch | None:
        """What is to be booked next, until `booked` takes it out; the same one again when booking failed."""
        if not self._waiting:
            self._cut(self._segment)
        return self._waiting[0] if self._waiting else None

    def booked(self, batch: Batch) -> None:
        """The store has this batch."""
        self._waiting.remove(batch)

    def syncing(self) -> Callable[[], None]:
        """Puts what was written so far on the disk; blocks, for a thread of its own. Raises OSError.

        A segment that cannot be closed keeps no other one open, and is left to the next start's recovery.
        """
        retired, self._retired = self._retired, []
        current = self._segment

        def sync() -> None:
            with ExitStack() as later:
                later.callback(current.sync)
                for segment in reversed(retired):
                    later.callback(segment.close)

        return sync

    def close(self) -> None:
        """The process stops. A segment with attempts that are still open is left to the next start's recovery.

        Raises OSError, with everything let go that could be.
        """
        with ExitStack() as later:
            later.callback(self._let_go)
            later.callback(self._segment.leave if self._open else self._segment.close)
            later.callback(self.syncing())

    def _let_go(self) -> None:
        if self._ownership is not None and self.folder is not None:
            left = any(self.folder.glob(f"{self._ownership.name}-*{OPEN}"))
            self._ownership.release(is_finished=not left)


def in_memory(now: Callable[[], float]) -> Ledger:
    """A ledger that is gone with its process."""
    return Ledger(None, now)


def estimated_tokens(size: int) -> int:
    """A rough count of the tokens in `size` bytes of JSON: about four bytes each, the usual rule of thumb."""
    return -(-size // 4)
