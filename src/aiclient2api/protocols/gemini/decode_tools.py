"""Tools and the choice among them."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Shape
from aiclient2api.ir.request import (
    FunctionTool,
    HostedTool,
    Schema,
    Tool,
    ToolChoice,
)
from aiclient2api.protocols.gemini.ext import keep
from aiclient2api.protocols.gemini.fields import child, elements, fields
from aiclient2api.protocols.gemini.schema import HOSTED_TOOLS, NAME
from aiclient2api.wire import json
from aiclient2api.wire.json import NULL, Members


def decode_tools(body: Members) -> list[Tool]:
    """Every function and every hosted tool, in order."""
    return [tool for raw, path in elements(body, "tools") for tool in _tools_of(fields(raw, path))]


def _tools_of(tools: Members) -> Iterator[Tool]:
    for raw, path in elements(tools, "functionDeclarations"):
        yield _function(fields(raw, path))
    for name, value in tools.rest.items():
        if value != NULL:
            family = HOSTED_TOOLS.get(name, "other")
            yield HostedTool(protocol=NAME, wire_type=name, raw=value, family=family)


def _function(declaration: Members) -> FunctionTool:
    return FunctionTool(
        name=declaration.require("name", str),
        description=declaration.take("description", str),
        parameters=decode_schema(declaration, "parametersJsonSchema", "parameters"),
        output=decode_schema(declaration, "responseJsonSchema", "response"),
        ext=keep(declaration),
    )


def decode_schema(members: Members, json_schema: str, openapi: str) -> Schema | None:
    """The JSON Schema if there is one, else the OpenAPI subset; both at once are kept."""
    if members.peek(json_schema) not in (None, NULL):
        return Schema(_object(members, json_schema))
    if members.peek(openapi) in (None, NULL):
        members.raw(openapi)
        return None
    return Schema(_object(members, openapi), "openapi")


def _object(members: Members, key: str) -> Raw:
    raw = members.raw(key)
    if raw is None or not json.is_object(bytes(raw)):
        raise MalformedMessage("must be an object", members.at(key))
    return raw


def decode_tool_choice(config: Members | None) -> ToolChoice | None:
    """The function calling mode; its unknown members stay in `ext`."""
    calling = child(config, "functionCallingConfig") if config is not None else None
    if calling is None:
        return None
    mode, names = calling.take("mode", str), calling.take("allowedFunctionNames", list[str])
    match (mode or "").upper():
        case "NONE":
            return ToolChoice(mode="none", names=names, ext=keep(calling))
        case "ANY":
            only_one = names is not None and len(names) == 1
            return ToolChoice(mode="tool" if only_one else "required", names=names, ext=keep(calling))
        case "VALIDATED":
            return ToolChoice(mode="auto", names=names, validated=True, ext=keep(calling))
        case "AUTO":
            return ToolChoice(mode="auto", names=names, ext=keep(calling))
        case _:
            ext = keep(calling)
            if mode is not None:
                ext = ext or {NAME: {}}
                ext[NAME]["mode"] = json.raw(mode)
            return ToolChoice(mode="auto", names=names, shape=Shape.CONTENT_ABSENT, ext=ext)
