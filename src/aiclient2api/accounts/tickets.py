"""Numbers that decide whose turn it is. A shared store may hand out blocks of them, so that nodes take turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

REFILL_AT: Final = 16
"""Tickets left when the next block is asked for."""


class Tickets:
    """Counts on by itself; while there is a block, its numbers go first. Never waits."""

    __slots__ = ("_end", "_is_asking", "_local", "_next", "_pending", "_refill")

    def __init__(self, first: int = 0, refill: Callable[[], None] | None = None) -> None:
        """`refill` asks for another block without blocking; the answer comes to `add`."""
        self._local = first
        self._next = 0
        self._end = 0
        self._pending: list[tuple[int, int]] = []
        self._refill = refill
        self._is_asking = False

    def add(self, first: int, size: int) -> None:
        """A block that belongs to this node alone."""
        self._pending.append((first, first + size))
        self._is_asking = False

    def failed(self) -> None:
        """No block came: it may be asked for again."""
        self._is_asking = False

    def __call__(self) -> int:
        """The next number."""
        ticket = self._next
        if self._end - ticket > REFILL_AT:
            self._next = ticket + 1
            return ticket
        return self._near_the_end()

    def _near_the_end(self) -> int:
        if not self._pending and self._refill is not None and not self._is_asking:
            self._is_asking = True
            self._refill()
        if self._next >= self._end and self._pending:
            self._next, self._end = self._pending.pop(0)
        if self._next < self._end:
            ticket = self._next
            self._next += 1
            return ticket
        ticket = self._local
        self._local += 1
        return ticket
