"""The conversion matrix as a page to read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tests.laws.echo import STRENGTHS
from tests.laws.native import PAIRS, SHORT

LEGEND: Final = {
    "N": "native: it is in the target's message, with its value",
    "C": "carried: the client cannot see it, but gives it back in a sealed envelope; the upstream gets its own bytes",
    "S": "side table: kept here by tool-call id; the upstream gets its own bytes",
    "E": "emulated: the same effect by other means; reported",
    "F": "filled in: the target requires a value, the source had none; reported",
    "A": "approximated: the nearest value; reported, refused in strict mode",
    "D": "dropped: reported, refused in strict mode",
    "R": "refused: 400 before anything is sent",
    "B": "broken off: the answer ends with an error, because the client's protocol cannot tell it",
    "L": "left out by the client itself, which sends back less than it was given",
    "o": "each side has its own; nothing that could get lost",
    "!": "lost in silence: a defect",
    "·": "the protocol of the source has no such thing",
}
_SHORTLY: Final = {mark: meaning.partition(":")[0] for mark, meaning in LEGEND.items()} | {
    "L": "left out by the client",
    "o": "each side has its own",
    "!": "lost in silence",
}
_SENT_BACK: Final = {
    "full": "sends back everything it was given",
    "sdk": "sends back what its SDK keeps",
    "minimal": "sends back role, text and calls only",
}
_MODES: Final = ("unary", "stream")
_ANSWERS: Final = ("answer", "answer and back")

_INTRODUCTION: Final = """# Conversion matrix

What survives between a client of one protocol and an upstream of another. Every mark is an observation, not a claim:
`make matrix` sends generated instances of every feature through the converters, looks for it in the bytes on the other
side with predicates that share no code with the converters, and reads the loss report. `tests/laws/test_matrix.py` fails
when an observation differs from this page, when anything gets lost without a word in the report, and when the report says
that something was lost or changed that arrived. The same data for programs: [conversion-matrix.json](conversion-matrix.json);
in words: [protocols](protocols.md).

Protocols: `oc` OpenAI Chat Completions, `or` OpenAI Responses, `am` Anthropic Messages, `gg` Gemini. Every section has up
to two tables.

- **Requests →**: `oc>am` is what a Chat client asks and what of it a Claude upstream gets.
- **Answers ←**: `oc<am` is what a Claude upstream answers and what of it a Chat client is told. Rows with ⇄ are content, which
  comes back to the same upstream with the client's next request: there the mark says what the upstream gets back of its
  own words.

## How to read a cell

| Mark | Meaning |
|---|---|
"""
_COMBINED: Final = """
- `A, N`: some values of the feature are approximated, others native.
- `C / C / L`: three ends, as it depends on what the client sends back: everything it was given / what its official SDK
  sends back / role, text and tool calls only. One mark stands for three equal ones.
- `N; streamed D`: whole answers / streams, where they differ.

All combinations on this page:

| Cell | Says |
|---|---|
"""
_RESTRICTED: Final = """
## Models that take less

The tables above are for a model that takes all that its protocol can express. Real ones do not; what a model is known to
take is data ([`providers/profiles.py`](../src/aiclient2api/providers/profiles.py)). For each restriction: the requests of which
something else becomes then, by upstream, with the clients in brackets where they differ. Everything else stays as above.

| The model … | Other cells |
|---|---|
"""


def page(matrix: dict[str, Any]) -> str:
    """The matrix as a page of tables."""
    features = matrix["features"]
    lines = [_INTRODUCTION.rstrip("\n")]
    lines += [f"| {mark} | {meaning} |" for mark, meaning in matrix["legend"].items()]
    lines += _COMBINED.rstrip("\n").split("\n")
    lines += [f"| {shown} | {meaning} |" for shown, meaning in sorted(_combinations(features).items())]
    for section in dict.fromkeys(found["section"] for found in features.values()):
        rows = {name: found for name, found in features.items() if found["section"] == section}
        lines += ["", f"## {section.partition(' ')[2]}"]
        for is_answer in (False, True):
            lines += _table(
                {n: f for n, f in rows.items() if (f["direction"] in _ANSWERS) == is_answer}, is_answer
            )
    lines += _RESTRICTED.rstrip("\n").split("\n")
    lines += [f"| {one['what']} | {_changes(one['cells'])} |" for one in matrix["restricted"].values()]
    return "\n".join(lines) + "\n"


def _table(rows: dict[str, Any], is_answer: bool) -> list[str]:
    if not rows:
        return []
    way = "<" if is_answer else ">"
    columns = [f"{SHORT[client]}{way}{SHORT[upstream]}" for client, upstream in PAIRS]
    lines = ["", f"| {'Answers ←' if is_answer else 'Requests →'} | " + " | ".join(columns) + " |"]
    lines.append("|---|" + "---|" * len(columns))
    for feature, found in rows.items():
        cells = [_cell(found["cells"].get(column.replace("<", ">"))) for column in columns]
        arrow = "⇄ " if found["direction"] == "answer and back" else ""
        lines.append(
            f"| {arrow}{found['concept'].replace('|', '/')} `{feature}` | " + " | ".join(cells) + " |"
        )
    return lines


# ---- one cell


def _letters(marks: str) -> str:
    return ", ".join(marks)


def _by_mode(cell: Any) -> dict[str, list[str]]:
    """For whole answers and streams: one entry, or one for each strength of the echo."""
    if isinstance(cell, str):
        return {mode: [cell] for mode in _MODES}
    found: dict[str, list[str]] = {}
    for mode in _MODES:
        marks = [mark for key, mark in cell.items() if key.split("/")[0] == mode]
        found[mode] = marks[:1] if len(set(marks)) == 1 else marks
    return found


def _cell(cell: Any) -> str:
    if cell is None:
        return "·"
    whole, stream = (" / ".join(map(_letters, _by_mode(cell)[mode])) for mode in _MODES)
    return whole if whole == stream else f"{whole}; streamed {stream}"


def _combinations(features: dict[str, Any]) -> dict[str, str]:
    """Every cell of more than one mark, and what it says in words."""
    cells = [cell for found in features.values() for cell in found["cells"].values()]
    return {shown: _in_words(cell) for cell in cells if len(shown := _cell(cell)) > 1}


def _in_words(cell: Any) -> str:
    whole, stream = (_strengths_in_words(_by_mode(cell)[mode]) for mode in _MODES)
    return whole if whole == stream else f"whole answers: {whole}; streams: {stream}"


def _strengths_in_words(marks: list[str]) -> str:
    if len(marks) == 1:
        return _values_in_words(marks[0])
    said: dict[str, list[str]] = {}
    for strength, mark in zip(STRENGTHS, marks, strict=True):
        said.setdefault(_values_in_words(mark), []).append(_SENT_BACK[strength])
    return "; ".join(f"{what} where the client {' or '.join(who)}" for what, who in said.items())


def _values_in_words(marks: str) -> str:
    if marks == "LS":
        return "put back from the side table if the answer calls a tool, else left out by the client"
    return " or ".join(_SHORTLY[mark] for mark in marks) + (", by its value" if len(marks) > 1 else "")


# ---- restricted models


def _changes(cells: dict[str, dict[str, str]]) -> str:
    by_upstream: dict[str, list[str]] = {}
    for feature, pairs in cells.items():
        for upstream in dict.fromkeys(pair.partition(">")[2] for pair in pairs):
            marks = {
                pair.partition(">")[0]: mark for pair, mark in pairs.items() if pair.endswith(f">{upstream}")
            }
            by_upstream.setdefault(upstream, []).append(f"`{feature}` {' '.join(_by_client(marks))}")
    told = (f"to {upstream}: {', '.join(found)}" for upstream, found in sorted(by_upstream.items()))
    return "; ".join(told) or "none"


def _by_client(marks: dict[str, str]) -> Iterator[str]:
    same = set(marks.values())
    if len(same) == 1:
        yield "/".join(same.pop())
        return
    for mark in sorted(same):
        yield f"{'/'.join(mark)} ({', '.join(client for client, one in marks.items() if one == mark)})"
