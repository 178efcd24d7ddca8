"""Tools and the choice among them, to an upstream and as a response repeats them."""

from __future__ import annotations

from aiclient2api.ir.parts import Shape
from aiclient2api.ir.request import (
    CustomTool,
    FunctionTool,
    HostedTool,
    ModelRequest,
    Tool,
    ToolChoice,
)
from aiclient2api.protocols.openai_responses.ext import kept
from aiclient2api.protocols.openai_responses.schema import (
    NAME,
    Scope,
    schema_text,
)
from aiclient2api.wire import json


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
    return body | json.compact({"description": tool.description, "format": tool.format}) | kept(tool)


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
    return body | kept(tool)


Customs = frozenset[tuple[str | None, str]]
"""Free-text tools by namespace and name."""


def custom_names(request: ModelRequest) -> Customs:
    """The client's free-text tools: a function call of that name comes back as a custom call."""
    return frozenset(
        (space.namespace if isinstance(space, HostedTool) else None, tool.name)
        for space in request.tools
        for tool in (space.tools if isinstance(space, HostedTool) else (space,))
        if isinstance(tool, CustomTool)
    )


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
