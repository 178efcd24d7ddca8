"""JSON Schema as Google understands it: its own subset of JSON Schema, or the older OpenAPI subset.

Pure functions of the text. A schema that needs no change is returned as the very same bytes, so that an
upstream's prompt cache sees the same prefix.
"""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.protocols.gemini.openapi_schema import OpenApiSchema
from aiclient2api.wire import json

_KNOWN = frozenset(
    [
        "$id",
        "$defs",
        "$ref",
        "$anchor",
        "type",
        "format",
        "title",
        "description",
        "enum",
        "items",
        "prefixItems",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "anyOf",
        "oneOf",
        "properties",
        "additionalProperties",
        "required",
        "propertyOrdering",
    ]
)
_SILENT = frozenset(["$schema", "$comment"])
_LIMITS = frozenset(
    [
        "minLength",
        "maxLength",
        "pattern",
        "multipleOf",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minProperties",
        "maxProperties",
        "uniqueItems",
        "default",
    ]
)
_NESTED = ("items", "additionalProperties", "not")
_LISTED = ("anyOf", "oneOf", "prefixItems")
_NAMED = ("properties", "$defs")
_MAX_DEPTH = 60

Note = tuple[str, str]
"""Where in the schema, and what happened there."""


def to_json_schema(schema: Raw) -> tuple[Raw, list[Note]]:
    """For `parametersJsonSchema` and `responseJsonSchema`."""
    notes: list[Note] = []
    return _walk(schema, "$", 0, notes), notes


def to_openapi(schema: Raw) -> tuple[Raw, list[Note]]:
    """For `parameters` and `responseSchema` of models before JSON Schema was accepted."""
    converter = OpenApiSchema(schema)
    return json.raw(converter.convert()), converter.notes


def _walk(schema: Raw, path: str, depth: int, notes: list[Note]) -> Raw:
    """One schema; the same object when nothing changes."""
    if memoryview(schema)[0] != 0x7B or depth > _MAX_DEPTH:
        return schema
    members = json.decode(schema, dict[str, Raw], path)
    result = _lifted(members, path, notes)
    for name in _NESTED:
        if name in result:
            result[name] = _walk(result[name], f"{path}.{name}", depth + 1, notes)
    for name in _LISTED:
        if name in result and json.is_array(result[name]):
            result[name] = _walk_list(result[name], f"{path}.{name}", depth + 1, notes)
    for name in _NAMED:
        if name in result and memoryview(result[name])[0] == 0x7B:
            result[name] = _walk_named(result[name], f"{path}.{name}", depth + 1, notes)
    is_same = result.keys() == members.keys() and all(result[name] is members[name] for name in members)
    return schema if is_same else json.raw(result)


def _walk_list(schemas: Raw, path: str, depth: int, notes: list[Note]) -> Raw:
    before = json.parse_array(schemas, path)
    after = [_walk(item, f"{path}[{index}]", depth, notes) for index, item in enumerate(before)]
    return schemas if all(a is b for a, b in zip(after, before, strict=True)) else json.raw(after)


def _walk_named(schemas: Raw, path: str, depth: int, notes: list[Note]) -> Raw:
    before = json.decode(schemas, dict[str, Raw], path)
    after = {name: _walk(item, f"{path}.{name}", depth, notes) for name, item in before.items()}
    return schemas if all(after[name] is before[name] for name in before) else json.raw(after)


def _lifted(members: dict[str, Raw], path: str, notes: list[Note]) -> dict[str, Raw]:
    """The members of one schema object that Google takes, the others turned into what comes nearest."""
    result = _without_definitions(members)
    if "$ref" in result:
        # Google refuses members beside a reference; `$defs` at the root is not meant by that
        kept = {name: value for name, value in result.items() if name in ("$ref", "$defs")}
        if kept.keys() != result.keys():
            notes.append((path, "members beside $ref dropped"))
        return kept
    if "const" in result:
        result = _const_as_enum(result)
        notes.append((path, "const became enum"))
    if "allOf" in result:
        result = _merged(result, path, notes)
    if "enum" in result:
        _keep_plain_values(result, path, notes)
    limits = [name for name in result if name in _LIMITS]
    if limits:
        result = _described(result, limits)
        notes.append((path, "limits moved to the description"))
    for name in [name for name in result if name not in _KNOWN]:
        del result[name]
        if name not in _SILENT:
            notes.append((path, f"{name} dropped"))
    return result


def _without_definitions(members: dict[str, Raw]) -> dict[str, Raw]:
    """The older name of `$defs`."""
    result = dict(members)
    if "definitions" in result and "$defs" not in result:
        result["$defs"] = result.pop("definitions")
    ref = result.get("$ref")
    if ref is not None and b"#/definitions/" in bytes(ref):
        result["$ref"] = Raw(bytes(ref).replace(b"#/definitions/", b"#/$defs/", 1))
    return result


def _const_as_enum(members: dict[str, Raw]) -> dict[str, Raw]:
    value = members["const"]
    kind = _type_of(value)
    result: dict[str, Raw] = {}
    for name, member in members.items():
        if name != "const":
            result[name] = member
            continue
        if kind is not None and "type" not in members:
            result["type"] = json.raw(kind)
        if kind in ("string", "number", "integer"):
            result["enum"] = Raw(b"[" + bytes(value) + b"]")
    return result


def _keep_plain_values(members: dict[str, Raw], path: str, notes: list[Note]) -> None:
    """Google's `enum` takes strings and numbers."""
    values = json.parse_array(members["enum"]) if json.is_array(members["enum"]) else []
    plain = [value for value in values if _type_of(value) in ("string", "number", "integer")]
    if values and len(plain) == len(values):
        return
    notes.append((path, "enum of other values than strings and numbers dropped"))
    if plain:
        members["enum"] = json.raw(plain)
    else:
        del members["enum"]


def _type_of(value: Raw) -> str | None:
    first = bytes(value)[:1]
    if first == b'"':
        return "string"
    if first in b"tf":
        return "boolean"
    if first == b"n":
        return "null"
    if first in b"{[":
        return None
    return "number" if any(mark in bytes(value) for mark in b".eE") else "integer"


def _merged(members: dict[str, Raw], path: str, notes: list[Note]) -> dict[str, Raw]:
    """`allOf` of plain objects is their union; of a single reference it is the reference."""
    result = {name: value for name, value in members.items() if name != "allOf"}
    notes.append((path, "allOf merged"))
    try:
        branches = json.decode(members["allOf"], list[dict[str, Raw]], path)
    except MalformedMessage:
        return result
    for branch in branches:
        for name, value in branch.items():
            result[name] = _union(result[name], value) if name in result else value
    if "$ref" in result:
        return {name: value for name, value in result.items() if name in ("$ref", "$defs")}
    return result


def _union(one: Raw, other: Raw) -> Raw:
    """Objects and lists are joined; of anything else the first stays."""
    if memoryview(one)[0] == 0x7B and memoryview(other)[0] == 0x7B:
        return json.raw({**json.decode(one, dict[str, Raw]), **json.decode(other, dict[str, Raw])})
    if json.is_array(one) and json.is_array(other):
        first = json.parse_array(one)
        return json.raw([*first, *(item for item in json.parse_array(other) if item not in first)])
    return one


def _described(members: dict[str, Raw], limits: list[str]) -> dict[str, Raw]:
    """Limits that cannot be enforced are told to the model."""
    told = ", ".join(f"{name}: {bytes(members[name]).decode()}" for name in limits)
    description = members.get("description")
    if description is not None and json.is_string(description):
        told = f"{json.decode(description, str)}\n{told}"
    result = {name: value for name, value in members.items() if name not in limits}
    return {**result, "description": json.raw(told)}
