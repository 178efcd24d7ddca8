"""Parameters of functions as Messages takes them: no alternatives at the top, no circles in strict tools."""

from __future__ import annotations

from typing import Any

import pytest

from tests.protocols.test_silent_losses import AM, GG, OC, chat, google, sent

TEXT, NUMBER = {"type": "string"}, {"type": "number"}
ONE = {"type": "object", "properties": {"a": TEXT, "k": TEXT}, "required": ["a", "k"]}
TWO = {"type": "object", "properties": {"b": NUMBER, "k": NUMBER}, "required": ["b", "k"]}
NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}
APPROXIMATED = ("tool.schema", "approximated")


def tool(parameters: Any, **members: Any) -> tuple[Any, list[Any]]:
    function = {"name": "f", "parameters": parameters, **members}
    body, losses = sent(OC, AM, chat(tools=[{"type": "function", "function": function}]))
    return body["tools"][0], [loss for loss in losses if loss[0].startswith("tool.")]


EITHER = {"anyOf": [TEXT, NUMBER]}


@pytest.mark.parametrize("name", ["anyOf", "oneOf"])
def test_alternatives_at_the_top_become_one_object_with_all_their_properties(name: str) -> None:
    written, losses = tool({name: [ONE, {"$ref": "#/$defs/two"}], "$defs": {"two": TWO}})
    assert written["input_schema"] == {
        "type": "object",
        "$defs": {"two": TWO},
        "properties": {"a": TEXT, "k": EITHER, "b": NUMBER},
        "required": ["k"],
    }
    assert losses == [APPROXIMATED]


def test_all_of_several_schemas_demands_what_each_demands() -> None:
    written, losses = tool(
        {"type": "object", "properties": {"x": TEXT}, "required": ["x"], "allOf": [ONE, TWO]}
    )
    schema = written["input_schema"]
    assert schema["required"] == ["x", "a", "k", "b"]
    assert list(schema["properties"]) == ["x", "a", "k", "b"]
    assert not {"allOf", "anyOf", "oneOf"} & schema.keys()
    assert losses == [APPROXIMATED]


def test_a_schema_that_combines_itself_ends() -> None:
    written, _ = tool({"anyOf": [{"$ref": "#"}, {"$ref": "#/$defs/none"}, 7]})
    assert written["input_schema"] == {"type": "object", "properties": {}}


def test_references_that_double_at_every_step_take_no_longer() -> None:
    steps = {f"s{n}": {"anyOf": [{"$ref": f"#/$defs/s{n + 1}"}] * 2} for n in range(60)}
    written, _ = tool({"anyOf": [{"$ref": "#/$defs/s0"}], "$defs": steps})
    assert written["input_schema"]["properties"] == {}


def test_a_nullable_root_is_an_object() -> None:
    root = {"type": "OBJECT", "nullable": True, "properties": {"a": {"type": "STRING"}}}
    body, losses = sent(GG, AM, google(tools=[{"functionDeclarations": [{"name": "f", "parameters": root}]}]))
    assert body["tools"][0]["input_schema"] == {"type": "object", "properties": {"a": TEXT}}
    assert APPROXIMATED in losses


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"n": {"$ref": "#/$defs/node"}}, "$defs": {"node": NODE}},
        {"type": "object", "properties": {"n": {"$ref": "#"}}},
    ],
)
def test_a_strict_tool_whose_schema_refers_to_itself_is_sent_without_strict(schema: Any) -> None:
    written, losses = tool(schema, strict=True)
    assert written == {"name": "f", "input_schema": schema}
    assert losses == [("tool.strict", "approximated")]


def test_references_without_a_circle_stay_strict() -> None:
    leaf = {"type": "object", "properties": {}, "additionalProperties": False}
    schema = {"type": "object", "properties": {"n": {"$ref": "#/$defs/l"}}, "additionalProperties": False}
    written, losses = tool(schema | {"$defs": {"l": leaf}}, strict=True)
    assert written["strict"] is True
    assert losses == []
