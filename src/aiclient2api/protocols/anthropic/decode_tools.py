"""Tools and the choice among them."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.request import (
    FunctionTool,
    HostedTool,
    Schema,
    Tool,
    ToolChoice,
)
from aiclient2api.protocols.anthropic.decode_parts import decode_cache
from aiclient2api.protocols.anthropic.ext import keep
from aiclient2api.protocols.anthropic.schema import (
    EXPLICIT_TYPE,
    NAME,
    family,
)
from aiclient2api.wire import json
from aiclient2api.wire.json import NULL, Members

_CHOICES: dict[str, Literal["auto", "required", "none", "tool"]] = {
    "auto": "auto",
    "any": "required",
    "none": "none",
    "tool": "tool",
}


def decode_tools(tools: list[Raw]) -> list[Tool]:
    """All tools of a request."""
    return [_decode_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]


def _decode_tool(tool: Raw, path: str) -> Tool:
    """One tool."""
    members = Members.parse(tool, path)
    kind = members.peek("type")
    wire_type = "custom" if kind is None or kind == NULL else json.decode(kind, str, members.at("type"))
    if wire_type != "custom":
        return HostedTool(protocol=NAME, wire_type=wire_type, raw=tool, family=family(wire_type))
    members.raw("type")
    return FunctionTool(
        name=members.require("name", str),
        description=members.take("description", str),
        parameters=Schema(decode_schema(members, "input_schema")),
        strict=members.take("strict", bool),
        cache=decode_cache(members),
        shape=EXPLICIT_TYPE if kind is not None else 0,
        ext=keep(members),
    )


def decode_schema(members: Members, key: str) -> Raw:
    """A schema, verbatim; it must be an object."""
    schema = members.peek(key)
    if members.object(key) is None or schema is None:
        raise MalformedMessage("is required", members.at(key))
    return schema


def decode_tool_choice(members: Members) -> tuple[ToolChoice | None, bool | None]:
    """Which tool may be called, and whether several at once."""
    whole = members.peek("tool_choice")
    choice = members.object("tool_choice")
    if choice is None:
        return None, None
    kind = choice.require("type", str)
    mode = _CHOICES.get(kind)
    if mode is None:
        return ToolChoice(mode="hosted", raw=whole), None
    names = [choice.require("name", str)] if mode == "tool" else None
    serial = choice.take("disable_parallel_tool_use", bool)
    return ToolChoice(mode=mode, names=names, ext=keep(choice)), None if serial is None else not serial
