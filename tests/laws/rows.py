"""The rows of the mapping, restated: `features.tsv` beside this file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final, NamedTuple

from tests.laws.native import PROTOCOLS

FILE: Final = Path(__file__).with_name("features.tsv")


class Row(NamedTuple):
    """One feature: its name, where the mapping has it, and what the mapping says of each protocol."""

    feature: str
    section: str
    concept: str
    marks: dict[str, str]

    def exists(self, protocol: str) -> bool:
        """Whether the row means anything for clients of a protocol."""
        return self.marks[protocol] not in ("—", "-")


def _read() -> list[Row]:
    with FILE.open(newline="", encoding="utf-8") as file:
        found = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    return [Row(row[0], row[1], row[2], dict(zip(PROTOCOLS, row[3:], strict=True))) for row in found]


ROWS: Final = _read()
