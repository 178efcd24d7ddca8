"""JSON Schema to the OpenAPI 3 subset of Google's `Schema` message."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Raw

from aiclient2api.wire import json

_COPIED = frozenset(
    [
        "title",
        "description",
        "example",
        "default",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minProperties",
        "maxProperties",
        "pattern",
    ]
)
_HANDLED = frozenset(
    [
        "$schema",
        "$comment",
        "$id",
        "$anchor",
        "$defs",
        "definitions",
        "$ref",
        "type",
        "nullable",
        "format",
        "enum",
        "const",
        "items",
        "properties",
        "required",
        "anyOf",
        "oneOf",
        "allOf",
        "propertyOrdering",
    ]
)
_FORMATS = {
    "STRING": frozenset(["date-time", "enum"]),
    "NUMBER": frozenset(["float", "double"]),
    "INTEGER": frozenset(["int32", "int64"]),
}
_MAX_NODES = 10_000
"""References are written out; a schema that doubles at every step must not fill the memory."""
_MAX_DEPTH = 60

Members = Mapping[str, Raw]
Schema = dict[str, object]


class OpenApiSchema:
    """Converts one schema; `notes` says what was lost where."""

    def __init__(self, schema: Raw) -> None:
        self.notes: list[tuple[str, str]] = []
        self._root = schema
        self._nodes = 0
        members = _object(schema)
        self._definitions = {
            f"#/{group}/{name}": definition
            for group in ("$defs", "definitions")
            if group in members
            for name, definition in _object(members[group]).items()
        }

    def convert(self) -> Schema:
        """The whole schema."""
        return self._schema(self._root, "$", ())

    def _schema(self, schema: Raw, path: str, open_refs: tuple[str, ...]) -> Schema:
        self._nodes += 1
        if self._nodes > _MAX_NODES or len(open_refs) > _MAX_DEPTH or path.count(".") > 2 * _MAX_DEPTH:
            self.notes.append((path, "too deep"))
            return {"type": "OBJECT"}
        members = self._all_of(dict(_object(schema)), path)
        if "$ref" in members:
            return self._reference(members, path, open_refs)
        result: Schema = {}
        self._type(members, result, path, open_refs)
        for name, value in members.items():
            if name in _COPIED:
                result[name] = value
            elif name not in _HANDLED:
                self.notes.append((path, f"{name} dropped"))
        self._values(members, result, path)
        self._format(members, result, path)
        self._children(members, result, path, open_refs)
        return result

    def _reference(self, members: Members, path: str, open_refs: tuple[str, ...]) -> Schema:
        """The definition itself; what stands beside the reference wins."""
        name = _text(members["$ref"])
        definition = self._definitions.get(name or "")
        if name is None or definition is None or name in open_refs:
            self.notes.append((path, "recursive or unknown $ref dropped"))
            return {"type": "OBJECT", **_described(members)}
        return {**self._schema(definition, path, (*open_refs, name)), **_described(members)}

    def _all_of(self, members: dict[str, Raw], path: str) -> dict[str, Raw]:
        branches = members.pop("allOf", None)
        if branches is None or not json.is_array(branches):
            return members
        self.notes.append((path, "allOf merged"))
        for branch in json.parse_array(branches):
            for name, value in _object(branch).items():
                known = members.get(name)
                if name == "properties" and known is not None:
                    members[name] = json.raw({**_object(known), **_object(value)})
                elif name == "required" and known is not None:
                    members[name] = json.raw([*_array(known), *_array(value)])
                else:
                    members.setdefault(name, value)
        return members

    def _type(self, members: Members, result: Schema, path: str, open_refs: tuple[str, ...]) -> None:
        names = [name.lower() for name in _types(members)]
        if "null" in names or _text(members.get("nullable")) == "true" or _is_true(members.get("nullable")):
            result["nullable"] = True
            names = [name for name in names if name != "null"] or ["null"]
        if len(names) == 1:
            result["type"] = names[0].upper()
        elif names:
            self.notes.append((path, "several types became anyOf"))
            result["anyOf"] = [{"type": name.upper()} for name in names]
        elif "properties" in members:
            result["type"] = "OBJECT"
        elif "items" in members:
            result["type"] = "ARRAY"

    def _values(self, members: Members, result: Schema, path: str) -> None:
        """`enum` knows only strings: other values are told to the model."""
        values = [members["const"]] if "const" in members else _array(members.get("enum"))
        if not values:
            return
        if all(json.is_string(value) for value in values):
            result.setdefault("type", "STRING")
            result["enum"] = values
            return
        self.notes.append((path, "enum of other values than strings moved to the description"))
        shown = ", ".join(bytes(value).decode() for value in values)
        _add_description(result, f"one of: {shown}")

    def _format(self, members: Members, result: Schema, path: str) -> None:
        name = _text(members.get("format"))
        if name is None:
            return
        if name in _FORMATS.get(str(result.get("type")), ()):
            result["format"] = name
            return
        self.notes.append((path, "format moved to the description"))
        _add_description(result, f"format: {name}")

    def _children(self, members: Members, result: Schema, path: str, open_refs: tuple[str, ...]) -> None:
        if "items" in members and memoryview(members["items"])[0] == 0x7B:
            result["items"] = self._schema(members["items"], f"{path}.items", open_refs)
        self._alternatives(members, result, path, open_refs)
        properties = _object(members.get("properties"))
        if not properties:
            return
        result["properties"] = {
            name: self._schema(value, f"{path}.properties.{name}", open_refs)
            for name, value in properties.items()
        }
        required = [name for raw in _array(members.get("required")) if (name := _text(raw)) in properties]
        if required:
            result["required"] = required
        result["propertyOrdering"] = list(properties)

    def _alternatives(self, members: Members, result: Schema, path: str, open_refs: tuple[str, ...]) -> None:
        found = [*_array(members.get("anyOf")), *_array(members.get("oneOf"))]
        if not found:
            return
        kept = [branch for branch in found if _types(_object(branch)) != ["null"]]
        if len(kept) < len(found):
            result["nullable"] = True
        branches = [
            self._schema(branch, f"{path}.anyOf[{index}]", open_refs) for index, branch in enumerate(kept)
        ]
        if len(branches) == 1:
            result.update({name: value for name, value in branches[0].items() if name not in result})
        elif branches:
            result["anyOf"] = branches


def _object(raw: Raw | None) -> dict[str, Raw]:
    return json.decode(raw, dict[str, Raw]) if raw is not None and memoryview(raw)[0] == 0x7B else {}


def _array(raw: Raw | None) -> list[Raw]:
    return json.parse_array(raw) if raw is not None and json.is_array(raw) else []


def _text(raw: Raw | None) -> str | None:
    return json.decode(raw, str) if raw is not None and json.is_string(raw) else None


def _is_true(raw: Raw | None) -> bool:
    return raw is not None and bytes(raw) == b"true"


def _types(members: Members) -> list[str]:
    raw = members.get("type")
    single = _text(raw)
    return [single] if single is not None else [name for item in _array(raw) if (name := _text(item))]


def _described(members: Members) -> Schema:
    return {name: value for name, value in members.items() if name in ("description", "title", "default")}


def _add_description(result: Schema, text: str) -> None:
    known = result.get("description")
    before = json.decode(known, str) + "\n" if isinstance(known, Raw) and json.is_string(known) else ""
    result["description"] = f"{before}{text}"
