"""After a kill: the segments of processes that died get the rows that are missing, once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from aiclient2api.ledger.ownership import Ownership, orphans
from aiclient2api.ledger.records import Begun, Row, aborted, decode, encode
from aiclient2api.ledger.segment import CLOSED, OPEN, RECORD_BYTES, FileSegment, read
from aiclient2api.ledger.totals import HOUR, Totals

BOOKED, DAMAGED = ".booked", ".damaged"
"""What is done with: the one is removed in time, the other is kept for people."""
SLACK: Final = 64
"""Bytes; more than a segment's header."""


class Found(Struct, frozen=True, kw_only=True):
    """A finished segment that may hold rows which nobody has booked. `position` is where its sound records end,
    0 where there is not even a header."""

    path: Path
    identity: str
    position: int
    is_damaged: bool


def settle(folder: Path, now: float) -> list[Row]:
    """Finish what dead processes left open; returns the rows written. `now` in Unix seconds.

    What has begun and has no row gets one: `aborted`, with an estimate. Who dies here leaves everything open, and the
    next one finishes: rows that stand already are not written again, and nothing is closed before all rows stand.
    """
    written: list[Row] = []
    for ownership in orphans(folder):
        is_finished = False
        try:
            written.extend(_settle(folder, ownership, now))
            is_finished = True
        finally:  # on a full disk it is somebody's turn later
            ownership.release(is_finished=is_finished)
    return written


def _settle(folder: Path, ownership: Ownership, now: float) -> list[Row]:
    paths = sorted(folder.glob(f"{ownership.name}-*{OPEN}"))
    rows = [aborted(begun, now) for begun in _without_row(paths)]
    records = [encode(row) for row in rows]
    size = sum(len(record) + RECORD_BYTES for record in records) + SLACK
    last = FileSegment.create(folder, ownership.name, size)
    for record in records:
        last.append(record)
    for path in paths:
        _close(path)
    last.close()
    return rows


def _close(path: Path) -> None:
    """Cut off the room that was not used; a damaged segment is left as it is, whatever lies behind the damage."""
    extent = read(path)
    if extent is not None and not extent.is_damaged:
        FileSegment.reopen(path).close()
    elif extent is None and not path.read_bytes().strip(b"\0"):
        path.unlink()  # its process died before the header was written
    else:
        path.rename(path.with_suffix(CLOSED))


def finished(folder: Path) -> list[Found]:
    """Closed segments, oldest first, that are not marked as booked."""
    found: list[tuple[float, Found]] = []
    for path in folder.glob(f"*{CLOSED}"):
        with contextlib.suppress(FileNotFoundError):  # another process is done with it
            found.append((path.stat().st_mtime, _found(path)))
    return [each for _, each in sorted(found, key=itemgetter(0))]


def _found(path: Path) -> Found:
    extent = read(path)
    if extent is None:
        return Found(path=path, identity="", position=0, is_damaged=True)
    return Found(path=path, identity=extent.identity, position=extent.end, is_damaged=extent.is_damaged)


def totals_of(path: Path, begin: int, end: int | None = None) -> Totals:
    """What the rows of a segment between two positions add up to, whether it is open or closed. Raises OSError."""
    for suffix in (path.suffix, CLOSED, BOOKED, DAMAGED):
        if path.with_suffix(suffix).exists():
            path = path.with_suffix(suffix)
            break
    totals = Totals()

    def take(payload: bytes) -> None:
        record = _parsed(payload)
        if isinstance(record, Row):
            totals.add(record)

    read(path, take, begin, end)
    return totals


def local_totals(folder: Path, begin: int) -> list[tuple[int, dict[str, int]]]:
    """Counts of hours, each with the second at which it begins, from the segments of this folder alone; hours before
    `begin` are left out.
    """
    hours: dict[int, dict[str, int]] = {}
    for path in folder.glob("*"):
        if path.suffix not in (OPEN, CLOSED, BOOKED, DAMAGED):
            continue
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile: it was seven days old
            for hour, field, amount in totals_of(path, 0).increments():
                if hour >= begin:
                    fields = hours.setdefault(hour, {})
                    fields[field] = fields.get(field, 0) + amount
    return [(hour * HOUR, fields) for hour, fields in hours.items()]


def mark_booked(found: Found) -> None:
    """Nothing is left to do with this segment."""
    with contextlib.suppress(FileNotFoundError):  # another process was faster
        found.path.rename(found.path.with_suffix(DAMAGED if found.is_damaged else BOOKED))


def forget(folder: Path, before: float) -> None:
    """Remove booked segments last written before a time in Unix seconds."""
    for path in folder.glob(f"*{BOOKED}"):
        with contextlib.suppress(FileNotFoundError):  # another process was faster
            if path.stat().st_mtime < before:
                path.unlink()


def _without_row(paths: Iterable[Path]) -> list[Begun]:
    begun: dict[tuple[str, int], Begun] = {}
    over: set[tuple[str, int]] = set()

    def take(payload: bytes) -> None:
        match _parsed(payload):
            case Begun() as record:
                begun[_identity(record)] = record
            case Row() as record:
                begun.pop(_identity(record), None)
                over.add(_identity(record))
            case None:
                pass

    for path in paths:
        read(path, take)
    return [record for identity, record in begun.items() if identity not in over]


def _identity(record: Begun | Row) -> tuple[str, int]:
    return record.request_id, record.attempt


def _parsed(payload: bytes) -> Begun | Row | None:
    """None for a later version's kind of record: it is passed over."""
    try:
        return decode(payload)
    except msgspec.ValidationError:
        return None
