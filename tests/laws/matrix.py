"""The conversion matrix: every atom between every two protocols, whole and streamed, as observed.

`python -m tests.laws.matrix` writes `docs/conversion-matrix.json` and `.md` (`matrix_page.py`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from tests.laws.echo import STRENGTHS
from tests.laws.exchange import EVERYTHING
from tests.laws.matrix_page import LEGEND, page
from tests.laws.native import PAIRS, SHORT
from tests.laws.observe import ASKS, SILENT, TELLS, Outcome, Way, observe_ask, observe_tell, told_by
from tests.laws.restricted import RESTRICTIONS
from tests.laws.rows import ROWS, Row
from tests.laws.words import Words

SAMPLES: Final = 12
RESTRICTED_SAMPLES: Final = 4
DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
MARKS: Final = {
    "native": "N",
    "carried": "C",
    "side_table": "S",
    "emulated": "E",
    "defaulted": "F",
    "approximated": "A",
    "dropped": "D",
    "refused": "R",
    "broken": "B",
    "client": "L",
    "own": "o",
    SILENT: "!",
}


def _modes(row: Row) -> Iterator[tuple[str, bool, str]]:
    """Observations of one cell: its key, whether streamed, and what the client sends back."""
    atom = TELLS.get(row.feature)
    for mode, stream in (("unary", False), ("stream", True)):
        if atom is None or atom.envelope:
            yield mode, stream, ""
        else:
            yield from ((f"{mode}/{strength}", stream, strength) for strength in STRENGTHS)


def applies(row: Row, client: str, upstream: str) -> bool:
    """Whether the feature can come up between these two at all."""
    if row.feature in ASKS:
        return client in ASKS[row.feature].write
    return row.feature in told_by(client, upstream)


def outcomes(row: Row, client: str, upstream: str, samples: int = SAMPLES) -> dict[str, list[Outcome]]:
    """All observations of one cell, the same every time."""
    found: dict[str, list[Outcome]] = {}
    for key, stream, strength in _modes(row):
        for number in range(samples):
            # the same draws in every mode, so that a difference is one of the mode
            words = Words(Random(f"{row.feature} {client} {upstream} {number}"))
            if row.feature in ASKS:
                one = observe_ask(row.feature, Way(client, upstream, stream), words)
            else:
                one = observe_tell(row.feature, client, upstream, stream, strength, words)
            found.setdefault(key, []).append(one)
    return found


@cache
def observed(feature: str) -> dict[str, Any]:
    """The cells of one feature and the names its losses have in the report."""
    row = next(row for row in ROWS if row.feature == feature)
    cells: dict[str, Any] = {}
    names: set[str] = set()
    for client, upstream in PAIRS:
        if not applies(row, client, upstream):
            continue
        marks: dict[str, str] = {}
        for key, seen in outcomes(row, client, upstream).items():
            marks[key] = "".join(sorted({MARKS[one.act] for one in seen}))
            names |= {name for one in seen for name in one.named}
        same = set(marks.values())
        cells[f"{SHORT[client]}>{SHORT[upstream]}"] = marks if len(same) > 1 else same.pop()
    found = {"section": row.section, "concept": row.concept, "direction": direction(row.feature)}
    return found | {"reported_as": sorted(names), "cells": cells}


def direction(feature: str) -> str:
    """Which way a feature goes: with the request, with the answer, or with the answer and back with the next request."""
    if feature in ASKS:
        return "request"
    return "answer" if TELLS[feature].envelope else "answer and back"


@cache
def restricted(name: str) -> dict[str, Any]:
    """The cells of requests that are others where the model has one restriction."""
    what, change = RESTRICTIONS[name]
    profile = msgspec.structs.replace(EVERYTHING, **change)
    cells: dict[str, dict[str, str]] = {}
    for feature in ASKS:
        for client, upstream in PAIRS:
            if client == upstream or client not in ASKS[feature].write:
                continue
            full, less = (_marks(feature, Way(client, upstream, False, one)) for one in (EVERYTHING, profile))
            if full != less:
                cells.setdefault(feature, {})[f"{SHORT[client]}>{SHORT[upstream]}"] = less
    return {"what": what, "cells": cells}


def _marks(feature: str, way: Way) -> str:
    seeds = (f"{feature} {way.client} {way.upstream} {number}" for number in range(RESTRICTED_SAMPLES))
    return "".join(sorted({MARKS[observe_ask(feature, way, Words(Random(seed))).act] for seed in seeds}))


def whole() -> dict[str, Any]:
    """The matrix."""
    features = {row.feature: observed(row.feature) for row in ROWS}
    return {
        "legend": LEGEND,
        "features": features,
        "restricted": {name: restricted(name) for name in RESTRICTIONS},
    }


def text(matrix: dict[str, Any]) -> str:
    """The matrix as JSON, one feature a line, so that changes show."""

    def lines(found: dict[str, Any]) -> str:
        each = (
            f"    {json.dumps(name)}: {json.dumps(one, ensure_ascii=False)}" for name, one in found.items()
        )
        return "{\n" + ",\n".join(each) + "\n  }"

    legend = json.dumps(matrix["legend"], ensure_ascii=False, indent=2).replace("\n", "\n  ")
    rest = f'  "features": {lines(matrix["features"])},\n  "restricted": {lines(matrix["restricted"])}\n'
    return f'{{\n  "legend": {legend},\n{rest}}}\n'


def main() -> None:
    """Write both files."""
    matrix = whole()
    (DOCS / "conversion-matrix.json").write_text(text(matrix), encoding="utf-8")
    (DOCS / "conversion-matrix.md").write_text(page(matrix), encoding="utf-8")
    silent = [name for name, found in matrix["features"].items() if "!" in json.dumps(found["cells"])]
    sys.stdout.write(f"{len(matrix['features'])} features, silent: {', '.join(silent) or 'none'}\n")


if __name__ == "__main__":
    main()
