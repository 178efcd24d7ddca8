"""Cells that do not hold yet, with the reason. A cell in here that holds fails the suite, so that the table shrinks."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from tests.faults.cells import Cell


class Pending(Struct, frozen=True, kw_only=True):
    """One group of cells; what is not given fits all."""

    fault: str
    """Id, or id and title."""
    reason: str
    places: tuple[str, ...] = ("",)
    """Parts of a cell's place, and of its judge."""

    def fits(self, cell: Cell) -> bool:
        """Whether the cell is in the group."""
        return (cell.fault.key == self.fault or cell.fault.id == self.fault) and any(
            place in f"{cell.place} {cell.judge}" for place in self.places
        )


PENDING: Final[tuple[Pending, ...]] = ()


def reason(cell: Cell) -> str | None:
    """Why the cell need not hold yet."""
    return next((entry.reason for entry in PENDING if entry.fits(cell)), None)
