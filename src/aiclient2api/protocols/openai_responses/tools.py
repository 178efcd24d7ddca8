"""Tools and the choice among them, both ways."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Shape
from aiclient2api.ir.request import (
    CustomTool,
    FunctionTool,
    HostedTool,
    ModelRequest,
    Schema,
    Tool,
    ToolChoice,
)
from aiclient2api.protocols.openai_responses.schema import (
    FAMILIES,
    NAME,
    Scope,
    compact,
    ext_of,
    own_ext,
    schema_text,
)
from aiclient2api.wire import json
from aiclient2api.wire.json import Members


def decode_tools(members: Members) -> list[Tool]:
    """The tools of a request."""
    path = members.at("tools")
    return [_tool(raw, f"{path}[{index}]") for index, raw in enumerate(members.array("tools") or ())]


def _tool(raw: Raw, path: str) -> Tool:
    members = Members.parse(raw, path)
    match members.require("type", str):
        case "function":
            return _function(members)
        case "custom":
            form = members.raw("format")
            return CustomTool(
                name=members.require("name", str),
                description=members.take("description", str),
                format=None if form == json.NULL else form,
                ext=ext_of(members),
            )
        case wire_type:
            stem = wire_type.split("_2")[0]  # web_search_2025_08_26
            return HostedTool(protocol=NAME, wire_type=wire_type, raw=raw, family=FAMILIES.get(stem, "other"))


def _function(members: Members) -> FunctionTool:
    shape = 0 if "parameters" in members else Shape.CONTENT_ABSENT
    strict = members.peek("strict")
    if strict == json.NULL:
        shape |= Shape.CONTENT_NULL  # `strict` is a required member of the SDK's type, null included
    parameters, output = _schema(members, "parameters"), _schema(members, "output_schema")
    return FunctionTool(
        name=members.require("name", str),
        description=members.take("description", str),
        parameters=parameters,
        output=output,
        strict=members.take("strict", bool),
        shape=shape,
        ext=ext_of(members),
    )


def _schema(members: Members, key: str) -> Schema | None:
    raw = members.raw(key)
    if raw is None or raw == json.NULL:
        return None
    if not json.is_object(bytes(raw)):
        raise MalformedMessage("must be an object", members.at(key))
    return Schema(raw)


def encode_tools(tools: list[Tool], scope: Scope) -> list[object]:
    """The tools for an upstream, or as a response repeats them."""
    out: list[object] = []
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        scope.report.foreign_ext(tool, path)
        match tool:
            case FunctionTool():
                out.append(_encode_function(tool, scope, path))
            case CustomTool():
                out.append(_encode_custom(tool))
            case HostedTool() if tool.protocol == NAME:
                out.append(tool.raw)
            case HostedTool():
                scope.report.dropped("tool.hosted", path, tool.wire_type)
    return out


def _encode_custom(tool: CustomTool) -> dict[str, object]:
    body: dict[str, object] = {"type": "custom", "name": tool.name}
    return body | compact({"description": tool.description, "format": tool.format}) | own_ext(tool)


def _encode_function(tool: FunctionTool, scope: Scope, path: str) -> dict[str, object]:
    body: dict[str, object] = {"type": "function", "name": tool.name}
    if tool.description is not None:
        body["description"] = tool.description
    if tool.parameters is not None:
        body["parameters"] = schema_text(tool.parameters)
    elif not (scope.own and tool.shape & Shape.CONTENT_ABSENT):
        body["parameters"] = None
    if tool.output is not None:
        body["output_schema"] = schema_text(tool.output)
    if tool.strict is not None:
        body["strict"] = tool.strict
    elif not scope.own:
        body["strict"] = False  # the API's default is true
    elif tool.shape & Shape.CONTENT_NULL:
        body["strict"] = None
    if tool.cache is not None:
        scope.report.dropped("cache_mark", path)
    return body | own_ext(tool)


def custom_names(request: ModelRequest) -> frozenset[str]:
    """The client's free-text tools: a function call of that name comes back as a custom call."""
    return frozenset(tool.name for tool in request.tools if isinstance(tool, CustomTool))


def decode_tool_choice(members: Members) -> ToolChoice | None:
    """Which tool the model must, may or must not call."""
    raw, path = members.raw("tool_choice"), members.at("tool_choice")
    if raw is None or raw == json.NULL:
        return None
    if json.is_string(raw):
        return ToolChoice(mode=_mode(json.decode(raw, str, path), path))
    choice = Members.parse(raw, path)
    wire_type = choice.require("type", str)
    match wire_type:
        case "function" | "custom":
            return ToolChoice(mode="tool", names=[choice.require("name", str)], kind=wire_type, raw=raw)
        case "allowed_tools":
            mode = _mode(choice.require("mode", str), choice.at("mode"))
            names = [tool.take("name", str) for tool in choice.objects("tools")]
            return ToolChoice(mode=mode, names=[name for name in names if name is not None], raw=raw)
        case _:
            return ToolChoice(mode="hosted", raw=raw)


def _mode(mode: str, path: str) -> Literal["none", "auto", "required"]:
    match mode:
        case "none" | "auto" | "required":
            return mode
        case _:
            raise MalformedMessage(f"{mode!r} is not one of none, auto, required", path)


def encode_tool_choice(choice: ToolChoice, tools: list[Tool], scope: Scope) -> object | None:
    """The choice for an upstream; None where it can only be left out."""
    scope.report.foreign_ext(choice, "tool_choice")
    if scope.own and choice.raw is not None:
        return choice.raw
    if choice.mode == "hosted":
        scope.report.dropped("tool_choice", "tool_choice")
        return None
    if choice.validated:
        scope.report.approximated("tool_choice", "tool_choice", "arguments are not held to the schema")
    if choice.mode == "tool":
        return {"type": choice.kind, "name": choice.names[0] if choice.names else ""}
    if not choice.names:
        return choice.mode
    customs = {tool.name for tool in tools if isinstance(tool, CustomTool)}
    return {
        "type": "allowed_tools",
        "mode": choice.mode,
        "tools": [
            {"type": "custom" if name in customs else "function", "name": name} for name in choice.names
        ],
    }
