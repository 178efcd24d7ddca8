"""Tools and the tool choice, IR to the wire of an upstream."""

from __future__ import annotations

from msgspec import Raw

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
from aiclient2api.protocols import openapi_schema
from aiclient2api.protocols.openai_chat.decode_tools import WEB_SEARCH
from aiclient2api.protocols.openai_chat.encode_parts import Target, Wire
from aiclient2api.protocols.openai_chat.ext import kept, restore
from aiclient2api.wire import json
from aiclient2api.wire.json import Members

_FREE_TEXT = Raw(b'"text"')

_CUSTOM_PARAMETERS = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


def encode_tools(request: ModelRequest, target: Target) -> Wire:
    """`tools`, `functions`, `web_search_options`, the choice and whether calls may be parallel."""
    body = _definitions(request.tools, target) if request.tools else {}
    if not ("tools" in body or "functions" in body or target.own):
        target.report.idle_choice(request.tool_choice)
        return body
    if request.tool_choice is not None:
        body |= _choice(request.tool_choice, request, target)
    if request.parallel_tools is not None:
        body["parallel_tool_calls"] = request.parallel_tools
    return body


def _definitions(definitions: list[Tool], target: Target) -> Wire:
    body: Wire = {}
    tools: list[object] = []
    functions: list[object] = []
    for index, tool in enumerate(definitions):
        path = f"tools[{index}]"
        target.report.foreign_ext(tool, path)
        match tool:
            case FunctionTool() if tool.shape & Shape.LEGACY_FUNCTION:
                functions.append(restore(tool, _function(tool)))
            case FunctionTool():
                tools.append(_function_tool(tool, target, path))
            case CustomTool():
                tools.append(_custom_tool(tool, target, path))
            case HostedTool(protocol="openai_chat", wire_type=wire_type, raw=raw):
                if wire_type == WEB_SEARCH:
                    body[WEB_SEARCH] = raw
                else:
                    tools.append(raw)
            case HostedTool():
                target.report.dropped("tool.hosted", path, tool.wire_type)
    return body | json.compact({"tools": tools or None, "functions": functions or None})


def json_schema(schema: Schema) -> object:
    """A schema in the dialect that this protocol speaks; JSON Schema stays as it is."""
    return openapi_schema.to_json_schema(schema.raw) if schema.dialect == "openapi" else schema.raw


def _function(tool: FunctionTool) -> Wire:
    parameters = json_schema(tool.parameters) if tool.parameters is not None else None
    return json.compact(
        {
            "name": tool.name,
            "description": tool.description,
            "parameters": parameters,
            "strict": tool.strict,
        }
    )


def _function_tool(tool: FunctionTool, target: Target, path: str) -> Wire:
    known: Wire = {"type": "function", "function": _function(tool)}
    if tool.output is not None:
        target.report.dropped("tool.output", path)
    if tool.cache is not None and (mark := kept(tool.cache)):
        known |= mark
    elif tool.cache is not None:
        target.report.dropped("cache_mark", path)
    return restore(tool, known)


def _custom_tool(tool: CustomTool, target: Target, path: str) -> Wire:
    if target.own or not target.compatible:
        custom = json.compact({"name": tool.name, "description": tool.description, "format": tool.format})
        return restore(tool, {"type": "custom", "custom": custom})
    target.report.emulated("tool.custom", path, "a function with one string")
    description = tool.description or ""
    if tool.format is not None and Members.parse(tool.format, "format").peek("type") != _FREE_TEXT:
        target.report.approximated("tool.custom", f"{path}.format", "told in the description, not enforced")
        description = (
            f"{description}\nThe input must match this format: {bytes(tool.format).decode()}".strip()
        )
    function = {"name": tool.name, "description": description, "parameters": _CUSTOM_PARAMETERS}
    return {"type": "function", "function": function}


def _choice(choice: ToolChoice, request: ModelRequest, target: Target) -> Wire:
    report = target.report
    if target.own and choice.raw is not None:
        return {"tool_choice": choice.raw}
    if choice.mode == "hosted":
        report.dropped("tool_choice", "tool_choice", "no function")
        return {}
    report.foreign_ext(choice, "tool_choice")
    if choice.validated:
        report.approximated("tool_choice", "tool_choice", "arguments are not held to the schema")
    if choice.shape & Shape.LEGACY_FUNCTION:
        return {"function_call": {"name": choice.names[0]} if choice.names else choice.mode}
    if choice.mode in ("required", "tool") and not target.profile.forced_tool_choice:
        report.approximated("tool_choice", "tool_choice", "the model cannot be forced to call a tool")
        return {"tool_choice": "auto"}
    return {"tool_choice": _choice_value(choice, request, target)}


def _choice_value(choice: ToolChoice, request: ModelRequest, target: Target) -> object:
    names = choice.names or []
    if choice.mode == "tool" and names:
        return _named(names[0], request, target)
    mode = "required" if choice.mode == "tool" else choice.mode
    if not names or mode == "none":
        return mode
    if target.compatible:
        target.report.approximated("tool_choice.subset", "tool_choice")
        return mode
    allowed = [_named(name, request, target) for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}


def _named(name: str, request: ModelRequest, target: Target) -> Wire:
    custom = any(isinstance(tool, CustomTool) and tool.name == name for tool in request.tools)
    kind = "custom" if custom and (target.own or not target.compatible) else "function"
    return {"type": kind, kind: {"name": name}}
