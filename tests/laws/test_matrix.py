"""No loss is silent, every row of the mapping is observed, and the published matrix says what the observations say."""

from __future__ import annotations

import csv
import json
from functools import cache
from typing import Any

import pytest

from tests.laws.composing import REFUSED
from tests.laws.known import FALSE_REPORTS, SILENT_LOSSES
from tests.laws.matrix import DOCS, MARKS, applies, observed, outcomes, restricted
from tests.laws.matrix_page import page
from tests.laws.native import PAIRS, PROTOCOLS, SHORT
from tests.laws.observe import ASKS, SILENT, TELLS, Outcome
from tests.laws.restricted import RESTRICTIONS
from tests.laws.rows import ROWS, Row
from tests.wire_tables import TABLES, needs_tables


@cache
def committed() -> dict[str, Any]:
    return json.loads((DOCS / "conversion-matrix.json").read_text(encoding="utf-8"))


def _bad(row: Row, is_bad: Any) -> dict[str, list[Outcome]]:
    found: dict[str, list[Outcome]] = {}
    for client, upstream in PAIRS:
        if applies(row, client, upstream):
            seen = [
                one for all_ in outcomes(row, client, upstream, 6).values() for one in all_ if is_bad(one)
            ]
            if seen:
                found[f"{SHORT[client]}>{SHORT[upstream]}"] = seen
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.feature)
def test_the_published_cells_are_what_is_observed(row: Row) -> None:
    """`make matrix` writes what is observed; look at the difference before you commit it."""
    assert observed(row.feature) == committed()["features"][row.feature]


@pytest.mark.parametrize("name", RESTRICTIONS)
def test_the_published_cells_of_restricted_models_are_what_is_observed(name: str) -> None:
    assert restricted(name) == committed()["restricted"][name]
    assert MARKS[SILENT] not in json.dumps(restricted(name)["cells"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.feature)
def test_nothing_is_lost_in_silence_but_what_is_known(row: Row) -> None:
    cells = observed(row.feature)["cells"]
    silent = {pair for pair, marks in cells.items() if MARKS[SILENT] in json.dumps(marks)}
    known, _ = SILENT_LOSSES.get(row.feature, (frozenset[str](), ""))
    assert silent - known == set(), _bad(row, lambda one: one.act == SILENT)
    assert known - silent == set(), "repaired: take it out of known.py"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.feature)
def test_nothing_is_reported_as_lost_or_changed_that_arrived(row: Row) -> None:
    found = _bad(row, lambda one: bool(one.false_report))
    known = FALSE_REPORTS.get(row.feature, frozenset[str]())
    assert set(found) - known == set(), found
    assert known - set(found) == set(), "repaired: take it out of known.py"


def test_every_row_has_an_atom_and_every_atom_a_row() -> None:
    assert {row.feature for row in ROWS} == ASKS.keys() | TELLS.keys()
    assert ASKS.keys() & TELLS.keys() == set()
    assert len({row.feature for row in ROWS}) == len(ROWS) == 116


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.feature)
def test_an_atom_can_be_written_and_read_where_its_protocol_has_it(row: Row) -> None:
    """Whoever writes a feature can read it: between a protocol and itself every feature is there."""
    writers = ASKS[row.feature].write if row.feature in ASKS else TELLS[row.feature].speak
    assert writers, "an atom without a generator"
    for protocol in PROTOCOLS:
        if protocol in writers and applies(row, protocol, protocol):
            keys = observed(row.feature)["cells"][f"{SHORT[protocol]}>{SHORT[protocol]}"]
            marks = keys if isinstance(keys, str) else "".join(
                mark for key, mark in keys.items() if not key.endswith("minimal")
            )  # fmt: skip
            assert set(marks) <= {"N", "o"}, (protocol, marks)


def test_what_is_refused_is_stated_with_its_reason() -> None:
    """Composed requests leave these out, so the list may neither be short nor go too far."""
    refused = {
        row.feature: {
            pair for pair, marks in observed(row.feature)["cells"].items() if "R" in json.dumps(marks)
        }
        for row in ROWS
        if row.feature in ASKS
    }
    stated = {feature: set(pairs.split()) for feature, (pairs, _) in REFUSED.items()}
    assert {feature: pairs for feature, pairs in refused.items() if pairs} == stated
    assert all(reason for _, reason in REFUSED.values())


def test_the_page_is_the_data() -> None:
    assert (DOCS / "conversion-matrix.md").read_text(encoding="utf-8") == page(committed())


@needs_tables
def test_the_rows_are_those_of_the_mapping() -> None:
    with (TABLES / "mapping.tsv").open(newline="", encoding="utf-8") as file:
        wanted = list(csv.reader(file, delimiter="\t"))[2:]
    assert [(row.section, row.concept, *row.marks.values()) for row in ROWS] == [
        (one[0], one[1], *one[3:7]) for one in wanted
    ]
