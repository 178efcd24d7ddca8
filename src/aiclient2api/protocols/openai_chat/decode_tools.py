"""Tools, the tool choice and tool calls, wire to IR."""

from __future__ import annotations

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import HostedCall, Shape, ToolCall
from aiclient2api.ir.request import CustomTool, FunctionTool, HostedTool, Schema, Tool, ToolChoice
from aiclient2api.protocols import ids
from aiclient2api.protocols.openai_chat.decode_parts import decode_cache
from aiclient2api.protocols.openai_chat.ext import keep
from aiclient2api.protocols.openai_chat.extra_content import Extra
from aiclient2api.protocols.openai_chat.schema import NAME
from aiclient2api.wire import json
from aiclient2api.wire.json import NULL, Members

WEB_SEARCH = "web_search_options"
"""OpenAI's search models take the search tool as a member of the request."""


def decode_tools(request: Members) -> list[Tool]:
    """All tools of a request: `tools`, the legacy `functions`, and the search of search models."""
    path = request.at("tools")
    tools = [_decode_tool(raw, f"{path}[{i}]") for i, raw in enumerate(request.array("tools") or ())]
    tools.extend(
        _decode_function(function, function, Shape.LEGACY_FUNCTION)
        for function in request.objects("functions")
    )
    search = request.raw(WEB_SEARCH)
    if search is not None and search != NULL:
        tools.append(HostedTool(protocol=NAME, wire_type=WEB_SEARCH, raw=search, family="web_search"))
    return tools


def decode_tool_choice(request: Members) -> ToolChoice | None:
    """`tool_choice`, or the legacy `function_call`."""
    raw, shape = request.raw("tool_choice"), 0
    path = request.at("tool_choice")
    if raw is None or raw == NULL:
        raw, shape, path = request.raw("function_call"), Shape.LEGACY_FUNCTION, request.at("function_call")
    if raw is None or raw == NULL:
        return None
    if json.is_string(raw):
        match json.decode(raw, str, path):
            case ("none" | "auto" | "required") as mode:
                return ToolChoice(mode=mode, shape=shape)
            case other:
                raise MalformedMessage(f"unknown value {other!r}", path)
    choice = Members.parse(raw, path)
    if shape:
        return ToolChoice(mode="tool", names=[choice.require("name", str)], shape=shape)
    return _decode_choice(choice, raw)


def decode_tool_call(raw: Raw, path: str, fallback_id: str = "") -> ToolCall | HostedCall:
    """One entry of `tool_calls`. One without an id gets `fallback_id`, or is malformed when that is empty."""
    call = Members.parse(raw, path)
    kind = call.take("type", str) or "function"
    call.raw("index")  # the SDK's stream helper leaves its own members in the echo
    extra = Extra(call)
    call_id = call.take("id", str)
    inner = call.object(kind) if kind in ("function", "custom") else None
    if inner is None:
        if kind == "function":
            raise MalformedMessage("is required", call.at("function"))
        return HostedCall(protocol=NAME, wire_type=kind, raw=raw, side="call")
    if not call_id and not fallback_id:
        raise MalformedMessage("is required", call.at("id"))
    inner.raw("parsed_arguments")
    custom = kind == "custom"
    return ToolCall(
        call_id=call_id or fallback_id,
        synthetic_id=not call_id,
        name=inner.require("name", str),
        arguments=_exact_text(inner, "input" if custom else "arguments"),
        kind="custom" if custom else "function",
        opaque=extra.opaque,
        ext=keep(call, **{kind: inner}, extra_content=extra.members),
    )


def decode_legacy_call(message: Members, *position: str) -> ToolCall | None:
    """A message's `function_call`, which has no id."""
    call = message.object("function_call")
    if call is None:
        return None
    name, arguments = call.require("name", str), _exact_text(call, "arguments")
    return ToolCall(
        call_id=ids.synthetic_call_id("function_call", *position, name, arguments),
        synthetic_id=True,
        name=name,
        arguments=arguments,
        shape=Shape.LEGACY_FUNCTION,
    )


def _decode_tool(raw: Raw, path: str) -> Tool:
    outer = Members.parse(raw, path)
    match outer.take("type", str):
        case "function":
            return _decode_function(_inner(outer, "function"), outer, 0)
        case "custom":
            inner = _inner(outer, "custom")
            return CustomTool(
                name=inner.require("name", str),
                description=inner.take("description", str),
                format=inner.raw("format"),
                ext=keep(outer, custom=inner),
            )
        case None:
            raise MalformedMessage("is required", outer.at("type"))
        case other:
            return HostedTool(protocol=NAME, wire_type=other, raw=raw)


def _decode_function(function: Members, outer: Members, shape: int) -> FunctionTool:
    parameters = function.raw("parameters")
    if parameters is not None and parameters != NULL and not json.is_object(bytes(parameters)):
        raise MalformedMessage("must be an object", function.at("parameters"))
    nested = {} if function is outer else {"function": function}
    return FunctionTool(
        name=function.require("name", str),
        description=function.take("description", str),
        parameters=None if parameters is None or parameters == NULL else Schema(parameters),
        strict=function.take("strict", bool),
        cache=decode_cache(outer),
        shape=shape,
        ext=keep(outer, **nested),
    )


def _decode_choice(choice: Members, raw: Raw) -> ToolChoice:
    match choice.take("type", str):
        case ("function" | "custom") as kind:
            inner = _inner(choice, kind)
            names = [inner.require("name", str)]
            return ToolChoice(mode="tool", names=names, kind=kind, raw=raw, ext=keep(choice, **{kind: inner}))
        case "allowed_tools":
            return _decode_subset(choice, raw)
        case _:
            return ToolChoice(mode="hosted", raw=raw)


def _decode_subset(choice: Members, raw: Raw) -> ToolChoice:
    allowed = _inner(choice, "allowed_tools")
    names: list[str] = []
    tools, is_known = allowed.peek("tools"), True
    for tool in allowed.objects("tools"):
        tool.take("type", str)
        inner = tool.object("function") or tool.object("custom")
        if inner is not None:
            names.append(inner.require("name", str))
            is_known = is_known and not inner.rest and not tool.rest
    mode = "required" if allowed.take("mode", str) == "required" else "auto"
    if tools is not None and not is_known:
        allowed.rest["tools"] = tools
    return ToolChoice(mode=mode, names=names, raw=raw, ext=keep(choice, allowed_tools=allowed))


def _inner(outer: Members, key: str) -> Members:
    inner = outer.object(key)
    if inner is None:
        raise MalformedMessage("is required", outer.at(key))
    return inner


def _exact_text(call: Members, key: str) -> str:
    """Arguments as text. Some servers send the object itself."""
    raw = call.raw(key)
    if raw is None or raw == NULL:
        return ""
    if json.is_string(raw):
        return json.decode(raw, str, call.at(key))
    return bytes(raw).decode()
