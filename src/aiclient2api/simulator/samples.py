"""JSON documents that fit a schema, always the same ones."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import msgspec

from aiclient2api.simulator.jsontext import Json, write

_FORMATS = {
    "date-time": "2026-01-01T00:00:00Z",
    "date": "2026-01-01",
    "time": "00:00:00Z",
    "email": "text@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}

_SIMPLE: dict[str, Json] = {"boolean": True, "null": None}


class _Nothing(Exception):
    """A branch that would never end; an optional member is left out instead."""


def sample(schema: object, text: str = "text") -> str:
    """A document for `schema` as JSON text; free strings in it are `text`."""
    root = as_object(schema) or {}
    try:
        return write(_Sampler(root, text).value(root, frozenset()))
    except _Nothing:
        return "{}"


def first_choice(schema: object) -> str:
    """The first value of a string enum, as plain text."""
    choices = as_list((as_object(schema) or {}).get("enum"))
    return str(choices[0]) if choices else "text"


class _Sampler:
    """Walks one schema."""

    def __init__(self, root: dict[str, object], text: str) -> None:
        self._root = root
        self._text = text

    def value(self, schema: dict[str, object], trail: frozenset[str]) -> Json:
        """A value for `schema`, from the most specific hint it gives; `trail` names the references it is inside of."""
        reference = schema.get("$ref", schema.get("ref"))
        if isinstance(reference, str):
            if reference in trail:
                raise _Nothing
            return self.value(self._resolve(reference), trail | {reference})
        if hints := _hints(schema):
            return cast(Json, hints[0])
        if branches := as_list(schema.get("anyOf", schema.get("any_of", schema.get("oneOf")))):
            return self._first_possible(branches, trail)
        if branches := as_list(schema.get("allOf")):
            return self.value(_merged(schema, branches), trail)
        return self._by_type(schema, trail)

    def _first_possible(self, branches: list[object], trail: frozenset[str]) -> Json:
        for branch in branches:
            try:
                return self.value(as_object(branch) or {}, trail)
            except _Nothing:
                continue
        raise _Nothing

    def _by_type(self, schema: dict[str, object], trail: frozenset[str]) -> Json:
        match _type_of(schema):
            case "object":
                return self._object(schema, trail)
            case "array":
                return self._array(schema, trail)
            case "string":
                return self._string(schema)
            case "integer" | "number" as kind:
                return _bounded(schema, 1 if kind == "integer" else Decimal("1.50"))
            case kind:
                return _SIMPLE.get(kind or "", self._text)

    def _object(self, schema: dict[str, object], trail: frozenset[str]) -> Json:
        required = as_list(schema.get("required"))
        members: dict[str, Json] = {}
        for name, member in (as_object(schema.get("properties")) or {}).items():
            try:
                members[name] = self.value(as_object(member) or {}, trail)
            except _Nothing:
                if name in required:
                    raise
        return members

    def _array(self, schema: dict[str, object], trail: frozenset[str]) -> Json:
        if tuple_items := as_list(schema.get("prefixItems")):
            return [self.value(as_object(item) or {}, trail) for item in tuple_items]
        if _count(schema, "maxItems") == 0:
            return []
        try:
            item = self.value(as_object(schema.get("items")) or {}, trail)
        except _Nothing:
            return []
        return [item] * max(1, _count(schema, "minItems") or 1)

    def _string(self, schema: dict[str, object]) -> str:
        text = _FORMATS.get(str(schema.get("format")), self._text)
        shortest, longest = _count(schema, "minLength") or 0, _count(schema, "maxLength")
        while len(text) < shortest:
            text += self._text
        return text if longest is None else text[:longest]

    def _resolve(self, reference: str) -> dict[str, object]:
        """A JSON pointer into the schema itself."""
        target: object = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            if step:
                target = (as_object(target) or {}).get(step.replace("~1", "/").replace("~0", "~"))
        return as_object(target) or {}


def _hints(schema: dict[str, object]) -> list[object]:
    """Values the schema itself names, the most binding first."""
    single = [schema[name] for name in ("const", "default") if name in schema]
    listed = [*as_list(schema.get("examples"))[:1], *as_list(schema.get("enum"))[:1]]
    return [*single, *listed, *([schema["example"]] if "example" in schema else [])]


def _type_of(schema: dict[str, object]) -> str | None:
    """The first type that is not null; Gemini writes types in capitals."""
    kind = schema.get("type")
    if isinstance(kind, str):
        return kind.lower()
    if kinds := [str(one).lower() for one in as_list(kind)]:
        return next((one for one in kinds if one != "null"), "null")
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else None


def _bounded(schema: dict[str, object], preferred: Decimal | int) -> Decimal | int:
    """`preferred`, moved into the limits of the schema."""
    low, high = _limit(schema, "minimum"), _limit(schema, "maximum")
    above, below = _limit(schema, "exclusiveMinimum"), _limit(schema, "exclusiveMaximum")
    if above is not None and preferred <= above:
        low = above + 1
    if below is not None and preferred >= below:
        high = below - 1
    if low is not None and preferred < low:
        return low
    return high if high is not None and preferred > high else preferred


def _limit(schema: dict[str, object], name: str) -> Decimal | int | None:
    value = schema.get(name)
    if isinstance(value, float):
        return Decimal(str(value))
    return value if isinstance(value, int | Decimal) and not isinstance(value, bool) else None


def _count(schema: dict[str, object], name: str) -> int | None:
    """A length; Gemini writes int64 as text."""
    value = schema.get(name)
    if isinstance(value, str) and value.isdigit():
        return int(value)
    return value if isinstance(value, int) else None


def _merged(schema: dict[str, object], branches: list[object]) -> dict[str, object]:
    """`allOf`: later members win, properties and required are joined."""
    merged: dict[str, object] = {name: value for name, value in schema.items() if name != "allOf"}
    for branch in branches:
        for name, value in (as_object(branch) or {}).items():
            if name == "properties":
                merged[name] = (as_object(merged.get(name)) or {}) | (as_object(value) or {})
            elif name == "required":
                merged[name] = as_list(merged.get(name)) + as_list(value)
            else:
                merged[name] = value
    return merged


def as_object(value: object) -> dict[str, object] | None:
    """`value` when it is a JSON object."""
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def as_list(value: object) -> list[object]:
    """`value` when it is a JSON array, else an empty one."""
    return cast("list[object]", value) if isinstance(value, list) else []


def is_object_text(text: str) -> bool:
    """Whether `text` is the text of a JSON object."""
    try:
        return as_object(cast(object, msgspec.json.decode(text))) is not None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
