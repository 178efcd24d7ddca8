"""Tools and the choice among them, from a client."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Shape
from aiclient2api.ir.request import (
    CustomTool,
    FunctionTool,
    HostedTool,
    Schema,
    Tool,
    ToolChoice,
)
from aiclient2api.protocols.openai_responses.ext import keep
from aiclient2api.protocols.openai_responses.schema import (
    FAMILIES,
    NAME,
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
                ext=keep(members),
            )
        case wire_type:
            if wire_type == "namespace":
                return _namespace(members, raw)
            stem = wire_type.split("_2")[0]  # web_search_2025_08_26
            return HostedTool(protocol=NAME, wire_type=wire_type, raw=raw, family=FAMILIES.get(stem, "other"))


def _namespace(members: Members, raw: Raw) -> HostedTool:
    path = members.at("tools")
    inner = [_tool(one, f"{path}[{index}]") for index, one in enumerate(members.array("tools") or ())]
    return HostedTool(
        protocol=NAME,
        wire_type="namespace",
        raw=raw,
        namespace=members.require("name", str),
        description=members.take("description", str),
        tools=inner,
        ext=keep(members),
    )


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
        ext=keep(members),
    )


def _schema(members: Members, key: str) -> Schema | None:
    raw = members.raw(key)
    if raw is None or raw == json.NULL:
        return None
    if not json.is_object(bytes(raw)):
        raise MalformedMessage("must be an object", members.at(key))
    return Schema(raw)


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
            names = [choice.require("name", str)]
            return ToolChoice(mode="tool", names=names, kind=wire_type, raw=raw, ext=keep(choice))
        case "allowed_tools":
            mode = _mode(choice.require("mode", str), choice.at("mode"))
            entries, tools = choice.peek("tools"), [*choice.objects("tools")]
            names = [name for tool in tools if (name := tool.take("name", str)) is not None]
            if entries is not None and any(tool.rest.keys() - {"type"} for tool in tools):
                choice.rest["tools"] = entries
            return ToolChoice(mode=mode, names=names, raw=raw, ext=keep(choice))
        case _:
            return ToolChoice(mode="hosted", raw=raw)


def _mode(mode: str, path: str) -> Literal["none", "auto", "required"]:
    match mode:
        case "none" | "auto" | "required":
            return mode
        case _:
            raise MalformedMessage(f"{mode!r} is not one of none, auto, required", path)
