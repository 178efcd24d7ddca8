"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import click
import msgspec
from rich import box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

WIDE = 200
"""Columns where the output is no terminal: nothing is folded in a pipe or a file."""


def print_json(value: object, *, err: bool = False) -> None:
    """Indented JSON, on stderr if asked."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2), err=err)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A titled table; only a terminal gets folding and colour."""
    table = Table(
        *(Column(name, overflow="fold") for name in columns),
        box=box.SIMPLE_HEAD,
        title=title,
        title_justify="left",
        pad_edge=False,
        show_edge=False,
    )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    is_terminal = sys.stdout.isatty()
    console = Console(file=sys.stdout, width=None if is_terminal else WIDE, highlight=False)
    with console.capture() as capture:
        console.print(table)
    # without the padding on the right a line can be compared and copied
    click.echo("\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n")
