"""Gemini's OpenAPI dialect of schemas to JSON Schema, for protocols that only know the latter."""

from __future__ import annotations

from typing import cast

from msgspec import Raw

from aiclient2api.wire import json

_COUNTS = frozenset(("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"))
_NAMED_SCHEMAS = frozenset(("properties", "$defs", "defs", "definitions"))
_VERBATIM = frozenset(("enum", "default", "example", "const", "required"))


def to_json_schema(raw: Raw) -> Raw:
    """The same schema with lower-case types, `nullable` as a type, and counts as numbers."""
    return json.raw(_translate(json.decode(raw, object)))


def _translate(node: object) -> object:
    if isinstance(node, list):
        return [_translate(item) for item in cast(list[object], node)]
    if not isinstance(node, dict):
        return node
    schema: dict[str, object] = {}
    for key, value in cast(dict[str, object], node).items():
        schema[key] = _member(key, value)
    _order_properties(schema, schema.pop("propertyOrdering", None))
    if schema.pop("nullable", False) is True and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    return schema


def _order_properties(schema: dict[str, object], ordering: object) -> None:
    """JSON Schema has no member for the order in which properties are written: their own order says it."""
    properties = schema.get("properties")
    if not isinstance(properties, dict) or not isinstance(ordering, list):
        return
    named = cast(dict[str, object], properties)
    first = [name for name in cast(list[object], ordering) if isinstance(name, str) and name in named]
    schema["properties"] = {name: named[name] for name in dict.fromkeys([*first, *named])}


def _member(key: str, value: object) -> object:
    if key == "type" and isinstance(value, str):
        return value.lower()
    if key in _COUNTS and isinstance(value, str) and value.isdecimal():
        return int(value)
    if key in _NAMED_SCHEMAS and isinstance(value, dict):
        return {name: _translate(inner) for name, inner in cast(dict[str, object], value).items()}
    return value if key in _VERBATIM else _translate(value)
