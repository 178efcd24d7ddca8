"""Tools and the choice between them, for an upstream."""

from __future__ import annotations

from msgspec import Raw, Struct

from aiclient2api.ir.parts import Shape
from aiclient2api.ir.request import CustomTool, FunctionTool, HostedTool, ModelRequest, Schema, ToolChoice
from aiclient2api.protocols.gemini.encode_parts import Wire
from aiclient2api.protocols.gemini.ext import kept, restore
from aiclient2api.protocols.gemini.schema import NAME
from aiclient2api.protocols.gemini.schema_writer import SchemaWriter
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json


class _Format(Struct):
    """The format of a custom tool: Chat nests the grammar, Responses does not."""

    syntax: str = ""
    definition: str | None = None
    grammar: _Format | None = None


class ToolsEncoder:
    """Encodes `tools` and `toolConfig` of one request."""

    def __init__(self, request: ModelRequest, profile: ModelProfile, report: LossReport) -> None:
        self._request = request
        self._profile = profile
        self._report = report
        self._own = request.protocol == NAME
        self._schemas = SchemaWriter(profile, report, own=self._own)

    def tools(self) -> list[Wire]:
        """The functions in one entry, each hosted tool in its own."""
        entries: list[Wire] = []
        declarations: list[Wire] = []
        for index, tool in enumerate(self._request.tools):
            path = f"tools[{index}]"
            if isinstance(tool, HostedTool):
                if tool.protocol == NAME:
                    entries.append({tool.wire_type: tool.raw})
                else:
                    self._report.dropped("tool.hosted", path, tool.wire_type)
                continue
            if not declarations:
                entries.append({"functionDeclarations": declarations})
            declarations.append(
                self._function(tool, path) if isinstance(tool, FunctionTool) else self._custom(tool, path)
            )
        return entries

    def _function(self, tool: FunctionTool, path: str) -> Wire:
        wire: Wire = {"name": tool.name}
        if tool.description is not None:
            wire["description"] = tool.description
        for schema, name, key in (
            (tool.parameters, "parametersJsonSchema", "parameters"),
            (tool.output, "responseJsonSchema", "response"),
        ):
            if schema is not None:
                self._schemas.put(wire, (name, key), schema, path, "tool.schema")
        if not self._own:
            self._report.foreign_ext(tool, path)
            if tool.cache is not None:
                self._report.dropped("cache_mark", path)
            if tool.strict:
                self._report.approximated("tool.strict", path, "by the mode of calls, for all functions")
        return restore(tool, wire)

    def _custom(self, tool: CustomTool, path: str) -> Wire:
        """A free-text tool as a function with one string."""
        self._report.emulated("tool.custom", path)
        self._report.foreign_ext(tool, path)
        told = [tool.description or "", self._grammar(tool, path)]
        description = "\n".join(line for line in told if line)
        wire: Wire = {"name": tool.name}
        if description:
            wire["description"] = description
        members: Wire = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
        if self._profile.json_schema:  # the smaller dialect has no word for it
            members["additionalProperties"] = False
        schema = Schema(json.raw(members))
        self._schemas.put(wire, ("parametersJsonSchema", "parameters"), schema, path, "tool.schema")
        return wire

    def _grammar(self, tool: CustomTool, path: str) -> str:
        if tool.format is None:
            return ""
        given = json.decode(tool.format, _Format)
        grammar = given.grammar or given
        if grammar.definition is None:
            return ""
        self._report.approximated("tool.custom", f"{path}.format", "the grammar is only told to the model")
        return f"The input must match this {grammar.syntax} grammar:\n{grammar.definition}"

    def tool_config(self) -> Wire | None:
        """How functions may be called."""
        calling = self._calling()
        wire: Wire = {"functionCallingConfig": calling} if calling is not None else {}
        if self._request.parallel_tools is False and self._request.tools:
            self._report.dropped("parallel_tools", "parallel_tools")
        own = kept(self._request).get("toolConfig")
        if own is not None:
            wire.update(json.decode(own, dict[str, Raw]))
        return wire or None

    def _calling(self) -> Wire | None:
        choice, tools = self._request.tool_choice, self._request.tools
        strict = any(isinstance(tool, FunctionTool) and tool.strict for tool in tools) and not self._own
        if choice is None:
            return {"mode": "VALIDATED"} if strict else None
        if self._own:
            return self._own_calling(choice)
        if not any(isinstance(tool, FunctionTool | CustomTool) for tool in tools):
            self._report.idle_choice(choice)
            return None  # a mode without functions is refused
        self._report.foreign_ext(choice, "tool_choice")
        return self._mode(choice, strict=strict)

    def _mode(self, choice: ToolChoice, *, strict: bool) -> Wire | None:
        match choice.mode:
            case "hosted":
                self._report.dropped("tool_choice", "tool_choice", "a hosted tool")
                return None
            case "none":
                return {"mode": "NONE"}
            case "auto":
                wire: Wire = {"mode": "VALIDATED" if strict or choice.validated or choice.names else "AUTO"}
            case "required" | "tool":
                if not self._profile.forced_tool_choice:
                    self._report.approximated("tool_choice", "tool_choice", "auto")
                    return {"mode": "AUTO"}
                wire = {"mode": "ANY"}
        if choice.names:
            wire["allowedFunctionNames"] = choice.names
        return wire

    def _own_calling(self, choice: ToolChoice) -> Wire:
        modes = {"none": "NONE", "required": "ANY", "tool": "ANY"}
        wire: Wire = {}
        if not choice.shape & Shape.CONTENT_ABSENT:
            wire["mode"] = "VALIDATED" if choice.validated else modes.get(choice.mode, "AUTO")
        if choice.names is not None:
            wire["allowedFunctionNames"] = choice.names
        return restore(choice, wire)
