"""A function's parameters as Messages takes them: one object, without alternatives at the top.

`input_schema` does not support `oneOf`, `allOf` or `anyOf` at its top level and its type is `object`. Alternatives
become one object that allows all their properties; whatever holds already is returned as the very same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from msgspec import Raw

from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json

_ALTERNATIVES = ("oneOf", "anyOf")
_COMBINATORS = (*_ALTERNATIVES, "allOf")
_OBJECT = Raw(b'"object"')
_MAX_DEPTH = 16
_MAX_BRANCHES = 256

_Schema = dict[str, Raw]


def object_schema(schema: Raw, report: LossReport, path: str) -> Raw:
    """The schema as one object's; what that changes of its meaning is in the report."""
    members = json.decode(schema, _Schema, path)
    combined = [name for name in _COMBINATORS if name in members]
    if not combined and members.get("type") == _OBJECT:
        return schema
    if combined:
        report.approximated("tool.schema", path, f"{combined[0]} at the top became one object")
        members = _Merge(members).merged(members)
    elif "type" in members and members["type"] != _OBJECT:
        report.approximated("tool.schema", path, f"type {bytes(members['type']).decode()} became object")
    return json.raw({"type": _OBJECT, **{name: raw for name, raw in members.items() if name != "type"}})


class _Merge:
    """Merges what a schema combines. References may double at every step, so there is a limit to the branches."""

    def __init__(self, root: _Schema) -> None:
        self._root = root
        self._left = _MAX_BRANCHES

    def merged(self, schema: _Schema, depth: int = 0) -> _Schema:
        """One object with the properties of a schema and of all that it combines."""
        whole = {name: raw for name, raw in schema.items() if name not in _COMBINATORS}
        properties, required = _properties(schema), _required(schema)
        for name in _COMBINATORS:
            branches = [self.merged(one, depth + 1) for one in self._branches(schema, name, depth)]
            for branch in branches:
                for key, raw in _properties(branch).items():
                    properties[key] = _either(properties[key], raw) if key in properties else raw
            required += _demanded([_required(branch) for branch in branches], by_each=name != "allOf")
        whole["properties"] = json.raw(properties)
        if required:
            whole["required"] = json.raw(list(dict.fromkeys(required)))
        return whole

    def _branches(self, schema: _Schema, name: str, depth: int) -> Iterator[_Schema]:
        """The objects among what a member combines, references followed."""
        if depth > _MAX_DEPTH or name not in schema or not json.is_array(schema[name]):
            return
        for raw in json.parse_array(schema[name]):
            self._left -= 1
            branch = _followed(raw, self._root) if self._left >= 0 else None
            if branch is not None:
                yield branch


def _demanded(required: list[list[str]], *, by_each: bool) -> list[str]:
    """What one of several schemas demands, or each of them."""
    names = [name for one in required for name in one]
    return [name for name in names if all(name in one for one in required)] if by_each else names


def _followed(raw: Raw, root: _Schema) -> _Schema | None:
    for _ in range(_MAX_DEPTH):
        if not json.is_object(bytes(raw)):
            return None
        branch = json.decode(raw, _Schema)
        target = json.decode(branch["$ref"], object) if "$ref" in branch else None
        if not isinstance(target, str):
            return branch
        _, _, place = target.partition("#/")
        found: Raw | None = json.raw(root)
        for step in place.split("/"):
            found = json.decode(found, _Schema).get(step) if found and json.is_object(bytes(found)) else None
        if found is None:
            return None
        raw = found
    return None


def _properties(schema: _Schema) -> _Schema:
    raw = schema.get("properties")
    return json.decode(raw, _Schema) if raw is not None and json.is_object(bytes(raw)) else {}


def _required(schema: _Schema) -> list[str]:
    raw = schema.get("required")
    names = json.decode(raw, list[object]) if raw is not None and json.is_array(raw) else []
    return [name for name in names if isinstance(name, str)]


def _either(one: Raw, other: Raw) -> Raw:
    return one if one == other else json.raw({"anyOf": [one, other]})


def is_recursive(schema: Raw) -> bool:
    """Whether a schema refers to itself, by `#` or round a circle of definitions."""
    root = json.decode(schema, object)
    if not isinstance(root, dict):
        return False
    edges: dict[str, set[str]] = {}
    for home in ("$defs", "definitions"):
        definitions = cast(dict[str, object], root).get(home)
        if isinstance(definitions, dict):
            for name, inner in cast(dict[str, object], definitions).items():
                edges[f"#/{home}/{name}"] = set(_references(inner))
    return "#" in set(_references(cast(object, root))) or any(_returns(name, edges) for name in edges)


def _references(node: object) -> Iterator[str]:
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if isinstance(current, list):
            waiting.extend(cast(list[object], current))
        elif isinstance(current, dict):
            members = cast(dict[str, object], current)
            target = members.get("$ref")
            if isinstance(target, str):
                yield target
            waiting.extend(members.values())


def _returns(start: str, edges: dict[str, set[str]]) -> bool:
    seen: set[str] = set()
    waiting = list(edges[start])
    while waiting:
        name = waiting.pop()
        if name == start:
            return True
        if name not in seen:
            seen.add(name)
            waiting.extend(edges.get(name, ()))
    return False
