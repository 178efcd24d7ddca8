"""JSON Schema as Claude takes it where it keeps to a schema exactly: `output_config.format` and strict tools.

A pure function of the text. A schema that needs no change is returned as the very same bytes, so that an
upstream's prompt cache sees the same prefix.
"""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json

Note = tuple[str, str]
"""Where in the schema, and what happened there."""

_LIMITS = frozenset(
    (
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
    )
)
_FORMATS = frozenset(
    f'"{name}"'.encode()
    for name in (
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "uri",
        "ipv4",
        "ipv6",
        "uuid",
    )
)
_COUNTS = (b"0", b"1")
"""The values of `minItems` that are enforced."""
_FALSE = Raw(b"false")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_NAMED = ("properties", "$defs", "definitions")
_MAX_DEPTH = 60


def to_claude_schema(schema: Raw) -> tuple[Raw, list[Note]]:
    """The schema without what is refused there, and what became of that."""
    notes: list[Note] = []
    return _walk(schema, "$", 0, notes), notes


def claude_schema(schema: Raw, report: LossReport, feature: str, path: str) -> Raw:
    """As `to_claude_schema`, with every change in the report."""
    fitted, notes = to_claude_schema(schema)
    for where, note in notes:
        report.approximated(feature, f"{path}{where.removeprefix('$')}", note)
    return fitted


def _is_object(value: Raw) -> bool:
    return memoryview(value)[0] == 0x7B


def _walk(schema: Raw, path: str, depth: int, notes: list[Note]) -> Raw:
    """One schema; the same object when nothing changes."""
    if not _is_object(schema) or depth > _MAX_DEPTH:
        return schema
    members = json.decode(schema, dict[str, Raw], path)
    result = _fitted(members, path, notes)
    if "items" in result:
        result["items"] = _walk(result["items"], f"{path}.items", depth + 1, notes)
    for name in _LISTED:
        if name in result and json.is_array(result[name]):
            result[name] = _walk_list(result[name], f"{path}.{name}", depth + 1, notes)
    for name in _NAMED:
        if name in result and _is_object(result[name]):
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


def _fitted(members: dict[str, Raw], path: str, notes: list[Note]) -> dict[str, Raw]:
    """The members of one schema object, the refused ones turned into what comes nearest."""
    result = dict(members)
    if "oneOf" in result and "anyOf" not in result:
        result = {"anyOf" if name == "oneOf" else name: value for name, value in result.items()}
        notes.append((path, "oneOf became anyOf"))
    if "const" in result and "enum" not in result:
        value = Raw(b"[" + bytes(result["const"]) + b"]")
        result = {
            "enum" if name == "const" else name: value if name == "const" else member
            for name, member in result.items()
        }
        notes.append((path, "const became enum"))
    limits = [name for name, value in result.items() if _is_limit(name, bytes(value))]
    if limits:
        result = _described(result, limits)
        notes.append((path, "limits moved to the description"))
    if _describes_objects(result) and result.get("additionalProperties") != _FALSE:
        result["additionalProperties"] = _FALSE
        notes.append((path, "additionalProperties became false"))
    return result


def _is_limit(name: str, value: bytes) -> bool:
    """Whether a member restricts values in a way that is not enforced, but refused."""
    if name == "minItems":
        return value not in _COUNTS
    return name in _LIMITS or (name == "format" and value not in _FORMATS)


def _describes_objects(members: dict[str, Raw]) -> bool:
    return "properties" in members or b'"object"' in bytes(members.get("type", Raw(b"null")))


def _described(members: dict[str, Raw], limits: list[str]) -> dict[str, Raw]:
    """Limits that cannot be enforced are told to the model, in the words of Anthropic's own SDKs."""
    told = "{" + ", ".join(f"{name}: {bytes(members[name]).decode()}" for name in limits) + "}"
    description = members.get("description")
    if description is not None and json.is_string(description):
        told = f"{json.decode(description, str)}\n\n{told}"
    result = {name: value for name, value in members.items() if name not in limits}
    return {**result, "description": json.raw(told)}
