"""JSON Schema in the two dialects of this protocol."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from aiclient2api.protocols.gemini.schema_dialect import to_json_schema, to_openapi
from tests.protocols.gemini.gemini_samples import Json

SOURCE = {
    "type": "object",
    "properties": {
        "p": {"$ref": "#/$defs/P", "description": "d"},
        "s": {"type": ["string", "null"]},
        "k": {"type": "integer", "enum": [1, 2]},
        "c": {"const": "x"},
    },
    "required": ["p"],
    "additionalProperties": False,
    "$defs": {"P": {"type": "string", "minLength": 2}},
}


def json_schema(schema: Json) -> Json:
    return json.loads(bytes(to_json_schema(Raw(json.dumps(schema).encode()))[0]))


def openapi(schema: Json) -> Json:
    return json.loads(bytes(to_openapi(Raw(json.dumps(schema).encode()))[0]))


def test_a_schema_with_references_as_json_schema() -> None:
    assert json_schema(SOURCE) == {
        "type": "object",
        "properties": {
            "p": {"$ref": "#/$defs/P"},
            "s": {"type": ["string", "null"]},
            "k": {"type": "integer", "enum": [1, 2]},
            "c": {"type": "string", "enum": ["x"]},
        },
        "required": ["p"],
        "additionalProperties": False,
        "$defs": {"P": {"type": "string", "description": "minLength: 2"}},
    }


def test_a_schema_with_references_as_openapi() -> None:
    found = openapi(SOURCE)

    assert found == {
        "type": "OBJECT",
        "properties": {
            "p": {"type": "STRING", "description": "d", "minLength": 2},
            "s": {"type": "STRING", "nullable": True},
            "k": {"type": "INTEGER", "description": "one of: 1, 2"},
            "c": {"type": "STRING", "enum": ["x"]},
        },
        "required": ["p"],
        "propertyOrdering": ["p", "s", "k", "c"],
    }
    assert list(found["properties"]) == ["p", "s", "k", "c"]


def test_each_change_is_noted_with_its_place() -> None:
    _, notes = to_json_schema(Raw(json.dumps(SOURCE).encode()))

    assert dict(notes) == {
        "$.properties.p": "members beside $ref dropped",
        "$.properties.c": "const became enum",
        "$.$defs.P": "limits moved to the description",
    }


@pytest.mark.parametrize(
    "text",
    [
        b'{ "type": "object", "properties": {"a": {"type": "number", "minimum": 1.50}} }',
        b'{"anyOf": [{"type": "string"}, {"$ref": "#/$defs/A"}], "$defs": {"A": {"items": {}}}}',
        b"true",
        b"{}",
    ],
)
def test_a_schema_that_needs_no_change_keeps_its_bytes(text: bytes) -> None:
    raw = Raw(text)

    assert to_json_schema(raw) == (raw, [])


JSON_SCHEMA: dict[str, tuple[Json, Json]] = {
    "declaration": ({"$schema": "s", "type": "string"}, {"type": "string"}),
    "bool enum": ({"type": "boolean", "enum": [True]}, {"type": "boolean"}),
    "mixed enum": ({"enum": ["a", None]}, {"enum": ["a"]}),
    "const number": ({"const": 1.5}, {"type": "number", "enum": [1.5]}),
    "const object": ({"const": {}}, {}),
    "limits": (
        {"type": "string", "description": "d", "pattern": "a", "maxLength": 3},
        {"type": "string", "description": 'd\npattern: "a", maxLength: 3'},
    ),
    "definitions": (
        {"$ref": "#/definitions/A", "definitions": {"A": {}}},
        {"$ref": "#/$defs/A", "$defs": {"A": {}}},
    ),
    "allOf": (
        {
            "allOf": [
                {"properties": {"a": {"const": "x"}}, "required": ["a"]},
                {"properties": {"b": {}}, "required": ["b"]},
            ]
        },
        {
            "properties": {"a": {"type": "string", "enum": ["x"]}, "b": {}},
            "required": ["a", "b"],
        },
    ),
    "allOf of one reference": ({"allOf": [{"$ref": "#/$defs/A"}], "title": "t"}, {"$ref": "#/$defs/A"}),
    "unknown": ({"if": {}, "type": "object"}, {"type": "object"}),
    "property called like a keyword": (
        {"properties": {"if": {"const": "x"}}},
        {"properties": {"if": {"type": "string", "enum": ["x"]}}},
    ),
}


@pytest.mark.parametrize(("source", "target"), JSON_SCHEMA.values(), ids=JSON_SCHEMA.keys())
def test_json_schema(source: Json, target: Json) -> None:
    assert json_schema(source) == target
    assert json_schema(target) == target


OPENAPI: dict[str, tuple[Json, Json]] = {
    "optional by anyOf": (
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        {"nullable": True, "type": "STRING"},
    ),
    "oneOf": (
        {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]},
    ),
    "several types": (
        {"type": ["string", "integer", "null"]},
        {"nullable": True, "anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]},
    ),
    "formats": ({"type": "string", "format": "email"}, {"type": "STRING", "description": "format: email"}),
    "known format": ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
    "items": (
        {"type": "array", "items": {"const": "a"}},
        {"type": "ARRAY", "items": {"type": "STRING", "enum": ["a"]}},
    ),
    "required without property": ({"type": "object", "required": ["x"]}, {"type": "OBJECT"}),
    "a recursive reference ends": (
        {"$ref": "#/$defs/N", "$defs": {"N": {"type": "object", "properties": {"n": {"$ref": "#/$defs/N"}}}}},
        {"type": "OBJECT", "properties": {"n": {"type": "OBJECT"}}, "propertyOrdering": ["n"]},
    ),
}


@pytest.mark.parametrize(("source", "target"), OPENAPI.values(), ids=OPENAPI.keys())
def test_openapi(source: Json, target: Json) -> None:
    assert openapi(source) == target


def test_references_that_double_do_not_fill_the_memory() -> None:
    definitions = {
        f"D{level}": {"properties": {name: {"$ref": f"#/$defs/D{level + 1}"} for name in "ab"}}
        for level in range(40)
    }

    raw, notes = to_openapi(Raw(json.dumps({"$ref": "#/$defs/D0", "$defs": definitions}).encode()))

    assert len(bytes(raw)) < 2_000_000
    assert any(note == "too deep" for _, note in notes)


KEYWORDS = st.sampled_from(
    [
        *("type", "properties", "items", "anyOf", "allOf", "oneOf", "enum", "const", "$ref", "$defs"),
        *("required", "format", "description", "nullable"),
    ]
)
SCHEMAS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["string", "null", "#/$defs/a", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS | st.just("a"), inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(KEYWORDS, SCHEMAS, max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_object_is_transformed(schema: Json) -> None:
    once = json_schema(schema)

    assert json_schema(once) == once
    openapi(schema)
