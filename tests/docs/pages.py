"""The documentation as data: sections, tables, fenced blocks, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = tuple(sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^(#+) +(.*)$", re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")


class Block(NamedTuple):
    """One fenced block."""

    page: str
    language: str
    text: str


def read(name: str) -> str:
    """The text of a page."""
    return (ROOT / name).read_text("utf-8")


def blocks(language: str, *names: str) -> list[Block]:
    """All fenced blocks of a language, on the given pages or on all."""
    pages = names or tuple(path.relative_to(ROOT).as_posix() for path in PAGES)
    return [
        Block(name, found, text)
        for name in pages
        for found, text in _FENCE.findall(read(name))
        if found == language
    ]


def section(name: str, heading: str) -> str:
    """The text under a heading, up to the next one of the same or a higher level."""
    text = _FENCE.sub("", read(name))
    start = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert start is not None, f"{name} has no heading {heading!r}"
    rest = text[start.end() :]
    end = re.search(rf"^#{{1,{len(start[1])}}} ", rest, re.MULTILINE)
    return rest if end is None else rest[: end.start()]


def rows(text: str) -> list[list[str]]:
    """The rows of all tables in a text, cell by cell."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|--")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def code(text: str) -> list[str]:
    """Everything in backticks."""
    return _CODE.findall(text)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings."""
    titles = [title for _, title in _HEADING.findall(_FENCE.sub("", text))]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(text: str) -> Iterator[str]:
    """Every link that leads to a file of ours."""
    for target in _LINK.findall(_FENCE.sub("", text)):
        if "://" not in target and not target.startswith("mailto:"):
            yield target
