"""The conversion matrix: every atom between every two protocols, whole and streamed, as observed.

`python -m tests.laws.matrix` writes `docs/conversion-matrix.json` and `.md`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.laws.echo import STRENGTHS
from tests.laws.native import PAIRS, SHORT
from tests.laws.observe import ASKS, SILENT, TELLS, Outcome, observe_ask, observe_tell
from tests.laws.rows import ROWS, Row
from tests.laws.words import Words

SAMPLES: Final = 12
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
    "client": "L",
    "own": "o",
    SILENT: "!",
}
LEGEND: Final = {
    "N": "native: it is in the target's message, with its value",
    "C": "carried: the client cannot see it, but gives it back in a sealed envelope; the upstream gets its own bytes",
    "S": "side table: kept here by tool-call id, the upstream gets its own bytes",
    "E": "emulated: the same effect by other means; reported",
    "F": "filled in: the target requires a value, the source had none; reported",
    "A": "approximated: the nearest value; reported, refused in strict mode",
    "D": "dropped: reported, refused in strict mode",
    "R": "refused: 400 before anything is sent",
    "L": "left out by the client itself, which sends back less than it was given",
    "o": "each side has its own; nothing that could get lost",
    "!": "lost in silence: a defect",
    "·": "the protocol of the source has no such thing",
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
    atom = TELLS[row.feature]
    return upstream in atom.speak and (not atom.envelope or row.exists(client))


def outcomes(row: Row, client: str, upstream: str, samples: int = SAMPLES) -> dict[str, list[Outcome]]:
    """All observations of one cell, the same every time."""
    found: dict[str, list[Outcome]] = {}
    for key, stream, strength in _modes(row):
        for number in range(samples):
            words = Words(Random(f"{row.feature} {client} {upstream} {key} {number}"))
            if row.feature in ASKS:
                one = observe_ask(row.feature, client, upstream, stream, words)
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
    return {"section": row.section, "concept": row.concept, "reported_as": sorted(names), "cells": cells}


def whole() -> dict[str, Any]:
    """The matrix."""
    return {"legend": LEGEND, "features": {row.feature: observed(row.feature) for row in ROWS}}


# ---- to read


def _cell(cell: Any) -> str:
    if cell is None:
        return "·"
    if isinstance(cell, str):
        return cell
    by_mode = {
        mode: "/".join(
            dict.fromkeys(mark for key, mark in cell.items() if key.startswith(mode))
            if len({mark for key, mark in cell.items() if key.startswith(mode)}) == 1
            else [mark for key, mark in cell.items() if key.startswith(mode)]
        )
        for mode in ("unary", "stream")
    }
    return (
        by_mode["unary"]
        if by_mode["unary"] == by_mode["stream"]
        else f"{by_mode['unary']} ≀ {by_mode['stream']}"
    )


_INTRODUCTION: Final = """# Conversion matrix

What survives between a client of one protocol and an upstream of another. Every mark is an observation, not a claim:
`make matrix` sends generated instances of every feature through the converters, looks for it in the bytes on the other
side with predicates that share no code with the converters, and reads the loss report. `tests/laws/test_matrix.py` fails
when an observation differs from this file, and when anything gets lost without a word in the report. The same data for
programs: [conversion-matrix.json](conversion-matrix.json).

Columns are `client>upstream`: oc OpenAI Chat Completions, or OpenAI Responses, am Anthropic Messages, gg Gemini. Features
of requests go from left to right, features of answers from right to left and, with the client's next request, back again.
Three marks with strokes (`C/C/L`) tell what comes back when the client sends back everything it was given, what its
official SDK sends back, and only role, text and tool calls. `≀` separates whole answers from streams where they differ;
several letters in one mark are different values of one feature (`AN`: some are approximated, some native; `LS`: the side
table knows the answers that call a tool, by the call's id).
The upstream model here takes all its protocol can express; what a real model refuses is reported in the same way.

| Mark | Meaning |
|---|---|
"""


def page(matrix: dict[str, Any]) -> str:
    """The matrix as a page of tables."""
    columns = [f"{SHORT[client]}>{SHORT[upstream]}" for client, upstream in PAIRS]
    lines = [_INTRODUCTION.rstrip("\n")]
    lines += [f"| {mark} | {meaning} |" for mark, meaning in LEGEND.items()]
    section = ""
    for feature, found in matrix["features"].items():
        if found["section"] != section:
            section = found["section"]
            lines += ["", f"## {section.partition(' ')[2]}", "", "| Feature | " + " | ".join(columns) + " |"]
            lines.append("|---|" + "---|" * len(columns))
        cells = [_cell(found["cells"].get(column)) for column in columns]
        lines.append(f"| {found['concept'].replace('|', '/')} `{feature}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def text(matrix: dict[str, Any]) -> str:
    """The matrix as JSON, one feature a line, so that changes show."""
    features = [
        f"    {json.dumps(name)}: {json.dumps(found, ensure_ascii=False)}"
        for name, found in matrix["features"].items()
    ]
    legend = json.dumps(matrix["legend"], ensure_ascii=False, indent=2).replace("\n", "\n  ")
    return '{\n  "legend": ' + legend + ',\n  "features": {\n' + ",\n".join(features) + "\n  }\n}\n"


def main() -> None:
    """Write both files."""
    matrix = whole()
    (DOCS / "conversion-matrix.json").write_text(text(matrix), encoding="utf-8")
    (DOCS / "conversion-matrix.md").write_text(page(matrix), encoding="utf-8")
    silent = [name for name, found in matrix["features"].items() if "!" in json.dumps(found["cells"])]
    sys.stdout.write(f"{len(matrix['features'])} features, silent: {', '.join(silent) or 'none'}\n")


if __name__ == "__main__":
    main()
