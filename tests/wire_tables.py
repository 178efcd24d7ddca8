"""Checks JSON against the official types as the design tables list them: known fields, required fields, types.

The tables are read-only references beside the checkout; `AICLIENT2API_SHARED` names another place for them.
"""

from __future__ import annotations

import csv
import os
import re
from collections import defaultdict
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest

SHARED = Path(os.environ.get("AICLIENT2API_SHARED") or Path(__file__).resolve().parents[2] / "shared")
TABLES = SHARED / "design" / "tables"

needs_tables = pytest.mark.skipif(not TABLES.is_dir(), reason=f"no design tables at {TABLES}")
"""For tests that compare with the tables: they skip with a notice where the tables are absent."""

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|…\d+ values|[A-Za-z_][\w.]*(?:\(b64\))?|[\[\]|,])')
_PRIMITIVES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "bool": (bool,), "null": (type(None),),
    "bytes(b64)": (str,),
}  # fmt: skip
_NOT_JSON = frozenset({"IO", "PathLike", "type", "GenericAlias", "UnionType", "_UnionGenericAlias"})


class Field(NamedTuple):
    """One row of a table."""

    required: bool
    type: Any


class Table:
    """All types of one table."""

    def __init__(self, name: str) -> None:
        self.types: dict[str, dict[str, Field]] = defaultdict(dict)
        self.enums: dict[str, frozenset[str]] = {}
        with (TABLES / f"{name}.tsv").open(newline="", encoding="utf-8") as file:
            for type_, kind, field, required, field_type, *_ in list(csv.reader(file, delimiter="\t"))[2:]:
                if kind == "enum":
                    self.enums[type_] = frozenset(value.strip() for value in field_type.split("|"))
                elif field:
                    self.types[type_][field] = Field(required == "Y", parse_type(field_type))
                else:
                    self.types[type_] = {}


@cache
def table(name: str) -> Table:
    """A table, read once."""
    return Table(name)


def check(value: Any, type_: str, table_name: str, extras: frozenset[str] = frozenset()) -> list[str]:
    """Everything about `value` that is not as `type_` says; `extras` are member names allowed anywhere."""
    return _Checker(table(table_name), extras).named(value, type_, "$")


@cache
def parse_type(text: str) -> Any:
    """`string | list[X]` as `("union", ["string", ("list", "X")])`."""
    tokens = _TOKEN.findall(text)
    parsed, rest = _union(tokens)
    assert not rest, f"cannot read the type {text!r}: {rest}"
    return parsed


def _union(tokens: list[str]) -> tuple[Any, list[str]]:
    branches: list[Any] = []
    while True:
        branch, tokens = _atom(tokens)
        branches.append(branch)
        if tokens[:1] != ["|"]:
            return (branches[0] if len(branches) == 1 else ("union", branches)), tokens
        tokens = tokens[1:]


def _atom(tokens: list[str]) -> tuple[Any, list[str]]:
    head, *rest = tokens
    if head in ("list", "dict", "IO") and rest[:1] == ["["]:
        arguments: list[Any] = []
        rest = rest[1:]
        while True:
            argument, rest = _union(rest)
            arguments.append(argument)
            separator, *rest = rest
            if separator == "]":
                return (head, arguments), rest
    return head, rest


class _Checker:
    def __init__(self, table_: Table, extras: frozenset[str]) -> None:
        self._table = table_
        self._extras = extras

    def named(self, value: Any, name: str, path: str) -> list[str]:
        """A value of a named type."""
        if name in self._table.enums:
            known = value in self._table.enums[name]
            return [] if known else [f"{path}: {value!r} is not in {name}"]
        if name not in self._table.types:
            return [f"{path}: the table has no type {name}"]
        if not isinstance(value, dict):
            return [f"{path}: not an object ({name})"]
        fields = self._table.types[name]
        problems = [
            f"{path}.{one}: required by {name}" for one in fields if fields[one].required and one not in value
        ]
        for member, inner in cast("dict[str, Any]", value).items():
            if member in fields:
                problems += self.fits(inner, fields[member].type, f"{path}.{member}")
            elif member not in self._extras:
                problems.append(f"{path}.{member}: unknown to {name}")
        return problems

    def fits(self, value: Any, type_: Any, path: str) -> list[str]:
        """A value of any type."""
        if isinstance(type_, tuple):
            kind, arguments = cast("tuple[str, list[Any]]", type_)
            return self._composed(value, kind, arguments, path)
        if type_ in ("any", "object"):
            return []
        if type_.startswith('"') or type_ in ("true", "false"):
            wanted = {"true": True, "false": False}.get(type_, type_.strip('"'))
            return [] if value == wanted else [f"{path}: {value!r} is not {wanted!r}"]
        if type_.startswith("…"):
            return [] if isinstance(value, str) else [f"{path}: not a string"]
        if type_ == "datetime":
            return _datetime(value, path)
        if type_ in _PRIMITIVES:
            is_bool = isinstance(value, bool) and type_ != "bool"
            return (
                []
                if isinstance(value, _PRIMITIVES[type_]) and not is_bool
                else [f"{path}: {value!r} is not {type_}"]
            )
        if type_ in _NOT_JSON:
            return [f"{path}: {type_} is not JSON"]
        return self.named(value, type_, path)

    def _composed(self, value: Any, kind: str, arguments: list[Any], path: str) -> list[str]:
        if kind == "union":
            return self._any_of(value, arguments, path)
        if kind == "list":
            if not isinstance(value, list):
                return [f"{path}: not an array"]
            found = [
                self.fits(item, arguments[0], f"{path}[{index}]")
                for index, item in enumerate(cast("list[Any]", value))
            ]
            return [problem for problems in found for problem in problems]
        if not isinstance(value, dict):
            return [f"{path}: not an object"]
        found = [
            self.fits(item, arguments[1], f"{path}.{name}")
            for name, item in cast("dict[str, Any]", value).items()
        ]
        return [problem for problems in found for problem in problems]

    def _any_of(self, value: Any, branches: list[Any], path: str) -> list[str]:
        """The branch that fits best; of two bad ones the one whose `type` or `role` agrees, else the shorter list."""
        tried = [self.fits(value, branch, path) for branch in branches]
        if not all(tried):
            return []
        tags = (f"{path}.type:", f"{path}.role:")
        return min(tried, key=lambda problems: (any(one.startswith(tags) for one in problems), len(problems)))


def _datetime(value: Any, path: str) -> list[str]:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return [f"{path}: {value!r} is not a date"]
    return []


@cache
def stream_events(protocol: str) -> dict[str, frozenset[str]]:
    """Event names of a protocol (`oc`, `or`, `am`, `gg`) with their members."""
    with (TABLES / "stream_events.tsv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="\t"))[2:]
    return {row[1]: frozenset(row[2].replace(",", " ").split()) for row in rows if row[0] == protocol}


def check_event(protocol: str, name: str, members: set[str]) -> list[str]:
    """What an event has that its row in stream_events.tsv does not."""
    events = stream_events(protocol)
    if name not in events:
        return [f"{name}: not an event of {protocol}"]
    extra = members - events[name] - {"type", "sequence_number"}
    missing = events[name] - members - {"obfuscation", "status"} if protocol == "or" else set[str]()
    return [f"{name}.{one}: unknown" for one in sorted(extra)] + [
        f"{name}.{one}: missing" for one in sorted(missing)
    ]
