from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from jsonschema import Draft202012Validator

from aiclient2api.simulator.jsontext import read
from aiclient2api.simulator.samples import first_choice, sample

NODE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/node"}},
            "required": ["name"],
        }
    },
}
ENDLESS = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["next"]}
    },
}


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        ('{"type":"string"}', '"text"'),
        ('{"type":"integer"}', "1"),
        ('{"type":"number"}', "1.50"),
        ('{"type":"number","minimum":2.10}', "2.10"),
        ('{"type":"integer","maximum":-3}', "-3"),
        ('{"type":"integer","exclusiveMinimum":1}', "2"),
        ('{"type":"boolean"}', "true"),
        ('{"type":"null"}', "null"),
        ('{"type":["null","integer"]}', "1"),
        ('{"enum":["b","a"]}', '"b"'),
        ('{"const":7.00}', "7.00"),
        ('{"type":"number","default":1.10}', "1.10"),
        ('{"type":"string","examples":["x"]}', '"x"'),
        ('{"type":"string","format":"date"}', '"2026-01-01"'),
        ('{"type":"string","minLength":6}', '"texttext"'),
        ('{"type":"string","maxLength":2}', '"te"'),
        ('{"type":"array","items":{"type":"integer"}}', "[1]"),
        ('{"type":"array","items":{"type":"integer"},"minItems":2}', "[1,1]"),
        ('{"type":"array","prefixItems":[{"type":"integer"},{"type":"boolean"}]}', "[1,true]"),
        ('{"anyOf":[{"type":"integer"},{"type":"string"}]}', "1"),
        ('{"allOf":[{"properties":{"a":{"type":"integer"}}},{"properties":{"b":{"type":"null"}}}]}', '{"a":1,"b":null}'),
        ('{"type":"OBJECT","properties":{"a":{"type":"STRING"},"n":{"type":"ARRAY","items":{"type":"INTEGER"}}}}', '{"a":"text","n":[1]}'),
        ('{"properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{"type":"boolean"}}}', '{"a":true}'),
        ("{}", '"text"'),
    ],
)  # fmt: skip
def test_a_document_fits_its_schema(schema: str, document: str) -> None:
    assert sample(read(schema)) == document


def test_free_strings_can_be_another_text() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"enum": ["x"]}}}
    assert sample(schema, "text2") == '{"a":"text2","b":"x"}'


def test_an_optional_recursion_ends() -> None:
    document = json.loads(sample(NODE))
    assert document["name"] == "text"
    assert is_valid(NODE, document)


def test_an_endless_recursion_is_an_empty_object() -> None:
    assert sample(ENDLESS) == "{}"


def test_an_enum_answer_is_its_first_choice() -> None:
    assert first_choice({"type": "STRING", "enum": ["red", "blue"]}) == "red"


LEAVES: Any = some.sampled_from(
    [
        {"type": "string"},
        {"type": "integer", "minimum": 5},
        {"type": "number", "maximum": 0.5},
        {"type": "boolean"},
        {"type": "null"},
        {"enum": [3, "x"]},
        {"const": None},
    ]
)


def is_valid(schema: Any, document: Any) -> bool:
    validator: Any = Draft202012Validator(schema)
    return validator.is_valid(document)


def _array_of(item: Any) -> Any:
    return {"type": "array", "items": item, "minItems": 1}


def _nest(inner: Any) -> Any:
    properties = some.dictionaries(some.text(max_size=4), inner, max_size=3)
    objects = properties.map(
        lambda members: {"type": "object", "properties": members, "required": list(members)}
    )
    arrays = inner.map(_array_of)
    return (
        objects | arrays | some.lists(inner, min_size=1, max_size=2).map(lambda branches: {"anyOf": branches})
    )


@given(some.recursive(LEAVES, _nest, max_leaves=6))
def test_samples_are_valid(schema: Any) -> None:
    assert is_valid(schema, json.loads(sample(schema)))
