"""Google's OpenAPI dialect of schemas to JSON Schema."""

from __future__ import annotations

from typing import cast

from msgspec import Raw

from aiclient2api.wire import json

_NUMERIC_TEXT = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
_MAPS = ("properties", "$defs", "defs")
_LISTS = ("anyOf", "prefixItems")
_NESTED = ("items", "additionalProperties")


def from_openapi(schema: Raw) -> Raw:
    """The schema with lower-case types, `nullable` as a type, and 64-bit counts (text there) as numbers."""
    return json.raw(_converted(json.decode(schema, dict[str, object])))


def _converted(value: object) -> object:
    if not isinstance(value, dict):
        return value
    schema = cast("dict[str, object]", value)
    out: dict[str, object] = {}
    for key, item in schema.items():
        match key, item:
            case "type", str():
                out["type"] = item.lower()
            case (("nullable" | "propertyOrdering" | "property_ordering"), _):
                continue
            case "any_of", _:
                out["anyOf"] = [_converted(entry) for entry in cast("list[object]", item)]
            case _, dict() if key in _MAPS:
                inner = cast("dict[str, object]", item)
                out["$defs" if key == "defs" else key] = {
                    name: _converted(entry) for name, entry in inner.items()
                }
            case _, list() if key in _LISTS:
                out[key] = [_converted(entry) for entry in cast("list[object]", item)]
            case _, str() if key in _NUMERIC_TEXT and item.isdecimal():
                out[key] = int(item)
            case _:
                out["$ref" if key == "ref" else key] = _converted(item) if key in _NESTED else item
    return _nullable(out) if schema.get("nullable") is True else out


def _nullable(schema: dict[str, object]) -> dict[str, object]:
    kind = schema.get("type")
    if isinstance(kind, str):
        nullable: dict[str, object] = {**schema, "type": [kind, "null"]}
        if isinstance(schema.get("enum"), list):
            nullable["enum"] = [*cast("list[object]", schema["enum"]), None]
        return nullable
    return {"anyOf": [schema, {"type": "null"}]}
