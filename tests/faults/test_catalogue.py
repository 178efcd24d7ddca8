"""Every fault of the catalogue, in every place, with the official SDKs and raw sockets as judges."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.catalogue import Fault
from tests.faults.cells import ALL, FAULTS, cells
from tests.faults.pending import PENDING, reason
from tests.faults.rig import Rig, rig


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A gateway with a pool for each cell of the selected faults."""
    chosen: set[str] = set()
    for item in request.session.items:
        found = getattr(item, "callspec", None)
        if found is not None and isinstance(found.params.get("fault"), Fault):
            chosen.add(found.params["fault"].key)
    wanted = [cell for cell in ALL if cell.fault.key in chosen]
    with rig(wanted, tmp_path_factory.mktemp("faults")) as made:
        yield made


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.key)
def test_a_fault_has_its_outcome_in_every_place(running: Rig, fault: Fault) -> None:
    seen = running.observe(cells(fault))
    running.settle()
    wrong = [
        f"{cell.place} {cell.judge}, expected {cell.code}: {'; '.join(found)}"
        for cell, found in seen.items()
        if found and reason(cell) is None
    ]
    mended = [
        f"{cell.place} {cell.judge} holds: take it out of pending.py ({reason(cell)})"
        for cell, found in seen.items()
        if not found and reason(cell) is not None
    ]
    assert not wrong + mended, "\n" + "\n".join(wrong + mended)


def test_every_pending_entry_is_about_a_cell() -> None:
    assert [entry for entry in PENDING if not any(entry.fits(cell) for cell in ALL)] == []
