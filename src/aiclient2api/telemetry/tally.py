"""Integers by series. The request path adds to a place that it has found once; everything else happens at scrape time.

In a single process the integers are a list. A worker's are memory that its supervisor shares: adding costs the same,
and what was counted outlives the worker however it ends.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, MutableSequence
from typing import Final, Protocol

import msgspec

Series = tuple[str, tuple[str, ...]]
"""A metric's name and the values of its labels."""

LONGEST_LABEL: Final = 200
"""Characters."""
MAX_SERIES: Final = 2000
"""Of one metric. Labels come from requests: past this many, new ones are counted as `other`."""
CELLS: Final = 64 * 1024
TEXT: Final = 32 * 1024 * 1024
"""Bytes for names and labels: more than all series of all metrics can have. Pages that nobody wrote to cost nothing."""
HEAD: Final = 64
SHARED_BYTES: Final = HEAD + 8 * CELLS + TEXT
_LENGTH: Final = struct.Struct("=I")


class Tally(Protocol):
    """Where the integers are."""

    cells: MutableSequence[int]

    def place(self, series: Series, size: int) -> int:
        """The first of `size` cells in a row that begin with 0."""
        ...

    def items(self) -> Iterator[tuple[Series, list[int]]]:
        """Every series with its cells."""
        ...


class LocalTally:
    """Of a process by itself."""

    def __init__(self) -> None:
        self.cells: MutableSequence[int] = []
        self._places: list[tuple[Series, int, int]] = []

    def place(self, series: Series, size: int) -> int:
        """See Tally."""
        first = len(self.cells)
        self.cells.extend([0] * size)
        self._places.append((series, first, size))
        return first

    def items(self) -> Iterator[tuple[Series, list[int]]]:
        """See Tally."""
        for series, first, size in self._places:
            yield series, list(self.cells[first : first + size])


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """What stands in shared memory of a series."""

    name: str
    labels: tuple[str, ...]
    first: int
    size: int


_decode: Final = msgspec.msgpack.Decoder(_Place).decode
_encode: Final = msgspec.msgpack.Encoder().encode


class SharedTally:
    """Of a worker, in a file of `SHARED_BYTES`. One process writes; others may read at any time, also after its end.

    The head has two numbers: cells and bytes of text in use. They grow behind what they count, so a reader sees whole
    places only.
    """

    def __init__(self, descriptor: int) -> None:
        self._memory = memoryview(mmap.mmap(descriptor, SHARED_BYTES))
        self._used = self._memory[:16].cast("q")
        self.cells: MutableSequence[int] = self._memory[HEAD : HEAD + 8 * CELLS].cast("q")  # pyright: ignore[reportAttributeAccessIssue]
        self._text = self._memory[HEAD + 8 * CELLS :]

    def place(self, series: Series, size: int) -> int:
        """See Tally. A full memory gives its last cells to everybody: counts there mean nothing, and nobody fails."""
        first, end = self._used[0], self._used[1]
        record = _encode(_Place(*series, first, size))
        after = end + _LENGTH.size + len(record)
        if first + size > CELLS or after > TEXT:
            return CELLS - size
        self._text[end : end + _LENGTH.size] = _LENGTH.pack(len(record))
        self._text[end + _LENGTH.size : after] = record
        self._used[0] = first + size
        self._used[1] = after
        return first

    def items(self) -> Iterator[tuple[Series, list[int]]]:
        """See Tally."""
        position, end = 0, self._used[1]
        while position < end:
            size = _LENGTH.unpack_from(self._text, position)[0]
            position += _LENGTH.size
            found = _decode(self._text[position : position + size])
            position += size
            yield (found.name, found.labels), list(self.cells[found.first : found.first + found.size])


class Sums:
    """The tallies of many processes, added up; bounded like one."""

    def __init__(self) -> None:
        self.values: dict[Series, list[int]] = {}
        self._counts: dict[str, int] = {}

    def add(self, tally: Tally | Sums) -> None:
        """Count what stands there now as well."""
        for (name, labels), cells in tally.items():
            series = (name, labels)
            known = self.values.get(series)
            if known is None:
                if self._counts.get(name, 0) >= MAX_SERIES:
                    series = (name, other(labels))
                known = self.values.get(series)
            if known is None:
                self._counts[name] = self._counts.get(name, 0) + 1
                self.values[series] = list(cells)
            else:
                known[:] = map(int.__add__, known, cells)

    def items(self) -> Iterator[tuple[Series, list[int]]]:
        """Every series with its cells."""
        yield from self.values.items()


def other(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The labels of what is not told apart any more."""
    return ("other",) * len(labels)
