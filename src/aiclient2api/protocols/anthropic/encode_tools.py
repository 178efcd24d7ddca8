"""Tools and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Raw

from aiclient2api.ir.request import (
    CustomTool,
    FunctionTool,
    HostedTool,
    ModelRequest,
    Schema,
    Tool,
    ToolChoice,
)
from aiclient2api.protocols.anthropic.encode_parts import PartWriter
from aiclient2api.protocols.anthropic.ext import kept
from aiclient2api.protocols.anthropic.input_schema import is_recursive, object_schema
from aiclient2api.protocols.anthropic.schema import EXPLICIT_TYPE, NAME
from aiclient2api.protocols.anthropic.schema_dialect import claude_schema
from aiclient2api.protocols.openapi_schema import to_json_schema
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire.json import Members

_NO_PARAMETERS = Raw(b'{"type":"object","properties":{}}')
_FREE_TEXT = Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}'
)


def encode_tools(tools: list[Tool], writer: PartWriter) -> list[object]:
    """The member `tools`."""
    written = (_tool(tool, f"tools[{index}]", writer) for index, tool in enumerate(tools))
    return [tool for tool in written if tool is not None]


def _tool(tool: Tool, path: str, writer: PartWriter) -> object:
    report = writer.report
    report.foreign_ext(tool, path)
    match tool:
        case FunctionTool():
            return _function(tool, path, writer)
        case CustomTool():
            report.emulated("tool.custom", path, "sent as a function with one text")
            grammar = _grammar(tool)
            if grammar is not None:
                report.approximated("tool.custom", f"{path}.format", "told in the description, not enforced")
            told = "\n".join(text for text in (tool.description, grammar) if text) or None
            return {"name": tool.name, **_described(told), "input_schema": _FREE_TEXT}
        case HostedTool():
            if tool.protocol == NAME:
                return tool.raw
            report.dropped("tool.hosted", path, tool.wire_type)
            return None


def _described(description: str | None) -> dict[str, object]:
    return {} if description is None else {"description": description}


def _function(tool: FunctionTool, path: str, writer: PartWriter) -> dict[str, object]:
    wire: dict[str, object] = {"type": "custom"} if tool.shape & EXPLICIT_TYPE else {}
    wire |= {"name": tool.name, **_described(tool.description)}
    strict = _strict(tool, path, writer)
    wire["input_schema"] = _parameters(tool, path, writer, strict=bool(strict))
    if strict is not None:
        wire["strict"] = strict
    if tool.output is not None:
        writer.report.dropped("tool.output", path)
    return {**writer.marked(wire, tool.cache, path), **kept(tool)}


def _strict(tool: FunctionTool, path: str, writer: PartWriter) -> bool | None:
    """A schema that refers to itself is refused in a strict tool."""
    if writer.native:
        return tool.strict
    if not tool.strict:
        return None
    if tool.parameters is not None and is_recursive(tool.parameters.raw):
        writer.report.approximated("tool.strict", path, "not strict: its schema refers to itself")
        return None
    return True


def _parameters(tool: FunctionTool, path: str, writer: PartWriter, *, strict: bool) -> Raw:
    """Verbatim from a client of this protocol; only a strict tool's has to keep to the provider's rules."""
    if writer.native and tool.parameters:
        return tool.parameters.raw
    schema = _input_schema(tool.parameters, path, writer)
    return claude_schema(schema, writer.report, "tool.schema", path) if strict else schema


def _input_schema(parameters: Schema | None, path: str, writer: PartWriter) -> Raw:
    """The schema as the provider requires it: an object's, verbatim where it is one."""
    if parameters is None:
        return _NO_PARAMETERS
    schema = to_json_schema(parameters.raw) if parameters.dialect == "openapi" else parameters.raw
    return object_schema(schema, writer.report, path)


def _grammar(tool: CustomTool) -> str | None:
    """The grammar that the model has to keep to by itself; free text has none."""
    if tool.format is None:
        return None
    form = Members.parse(tool.format, "format")
    inner = form.object("grammar") or form
    definition, syntax = inner.take("definition", str), inner.take("syntax", str)
    return f"The input must match this {syntax or 'regular'} grammar:\n{definition}" if definition else None


Kind = Literal["auto", "any", "none", "tool"]
_KINDS: dict[str, Kind] = {
    "auto": "auto",
    "required": "any",
    "none": "none",
    "tool": "tool",
    "hosted": "auto",
}


def encode_tool_choice(
    request: ModelRequest, profile: ModelProfile, writer: PartWriter
) -> dict[str, object] | Raw | None:
    """The member `tool_choice`, which also says whether calls may come in parallel."""
    choice, parallel = request.tool_choice, request.parallel_tools
    if choice is not None and choice.mode == "hosted" and writer.native and choice.raw is not None:
        return choice.raw
    kind = _kind(choice, profile, writer)
    serial = parallel is False or (parallel is not None and writer.native)
    if kind is None and parallel is not False:
        return None
    wire: dict[str, object] = {"type": kind or "auto"}
    if kind == "tool" and choice is not None and choice.names:
        wire["name"] = choice.names[0]
    if serial and kind != "none":
        wire["disable_parallel_tool_use"] = not parallel
    return {**wire, **(kept(choice) if choice else {})}


def _kind(choice: ToolChoice | None, profile: ModelProfile, writer: PartWriter) -> Kind | None:
    if choice is None:
        return None
    report = writer.report
    report.foreign_ext(choice, "tool_choice")
    kind = _KINDS[choice.mode]
    if choice.mode == "hosted":
        report.approximated("tool_choice", "tool_choice", "sent as auto")
    if choice.names and kind != "tool":
        # sending only the subset would change the prompt's prefix, and with it every cache hit
        report.approximated("tool_choice.subset", "tool_choice", "all tools stay available")
    if kind in ("any", "tool") and not (writer.native or profile.forced_tool_choice):
        report.approximated("tool_choice", "tool_choice", "this model cannot be forced: sent as auto")
        return "auto"
    return kind


def is_forced(choice: Mapping[str, object] | Raw | None) -> bool:
    """Whether an encoded choice makes the model call a tool."""
    return isinstance(choice, Mapping) and choice["type"] in ("any", "tool")
