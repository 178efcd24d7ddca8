"""Items to turns: input items of a request, output items of a response.

An item is decoded to a turn of its own; consecutive items of the assistant (message, reasoning, calls) and
consecutive tool outputs are then one turn, with `new_item` where an item begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import (
    Control,
    HostedCall,
    Part,
    Reasoning,
    Shape,
    Text,
    ToolCall,
    ToolResult,
)
from aiclient2api.ir.request import Role, Turn
from aiclient2api.protocols import carrier
from aiclient2api.protocols.openai_responses.decode_parts import (
    decode_input_content,
    decode_output_content,
)
from aiclient2api.protocols.openai_responses.ext import keep
from aiclient2api.protocols.openai_responses.schema import (
    CONTROL_ROLES,
    FAMILIES,
    NAME,
    NATIVE_OPAQUE,
)
from aiclient2api.protocols.report import MESSAGE_MEMBERS
from aiclient2api.wire import json
from aiclient2api.wire.json import Members

_LISTENERS: Final[dict[str, Role]] = {"user": "user", "system": "system", "developer": "developer"}


class _TextEntry(Struct):
    text: str


def decode_input_items(items: Sequence[Raw], path: str) -> list[Turn]:
    """The turns of a request's `input` list."""
    turns: list[Turn] = []
    for index, raw in enumerate(items):
        turn = _decode_item(raw, f"{path}[{index}]")
        if turns and turn.role == turns[-1].role and turn.role in ("assistant", "tool"):
            turns[-1].parts.extend(turn.parts)
        else:
            turns.append(turn)
    return turns


def decode_output_item(raw: Raw, path: str) -> list[Part]:
    """The parts of one item of a response."""
    return _decode_item(raw, path).parts


def _decode_item(raw: Raw, path: str) -> Turn:
    members = Members.parse(raw, path)
    wire_type = members.take("type", str) or _untyped(members)
    if wire_type == "message":
        return _message(members, "type" not in Members.parse(raw, path))
    decode = _ITEMS.get(wire_type)
    if decode is not None:
        return decode(members)
    role = CONTROL_ROLES.get(wire_type)
    if role is not None:
        control = Control(protocol=NAME, kind=wire_type, raw=raw, new_item=True)
        return Turn(role=_control_role(role), parts=[control])
    return _hosted(wire_type, raw)


def _untyped(members: Members) -> str:
    """`type` may be left out of a message and of a reference."""
    if "role" in members:
        return "message"
    if "id" in members:
        return "item_reference"
    raise MalformedMessage("is required", members.at("type"))


def _control_role(role: str) -> Role:
    match role:
        case "assistant" | "tool":
            return role
        case _:
            return "developer"


def _hosted(wire_type: str, raw: Raw) -> Turn:
    is_result = wire_type.endswith("_output")
    stem = wire_type.removesuffix("_output").removesuffix("_call")
    part = HostedCall(
        protocol=NAME,
        wire_type=wire_type,
        raw=raw,
        family=FAMILIES.get(stem, "other"),
        side="result" if is_result else "both",
        new_item=True,
    )
    return Turn(role="tool" if is_result else "assistant", parts=[part])


def _message(members: Members, is_easy: bool) -> Turn:
    role = members.require("role", str)
    shape = Shape.EASY_MESSAGE if is_easy else 0
    if role == "assistant":
        return Turn(role="assistant", parts=_assistant_message(members, shape))
    listener = _LISTENERS.get(role)
    if listener is None:
        raise MalformedMessage(
            f"{role!r} is not one of user, assistant, system, developer", members.at("role")
        )
    text = _string_content(members)
    if text is None:
        return Turn(
            role=listener,
            parts=decode_input_content(members, "content"),
            shape=shape,
            ext=keep(members),
        )
    return Turn(role=listener, parts=[Text(text=text)], shape=shape | Shape.CONTENT_STRING, ext=keep(members))


def _string_content(members: Members) -> str | None:
    """`content` when it is a string; it must be there."""
    raw = members.peek("content")
    if raw is None or raw == json.NULL:
        raise MalformedMessage("is required", members.at("content"))
    return members.take("content", str) if json.is_string(raw) else None


def _assistant_message(members: Members, shape: int) -> list[Part]:
    """The parts of an output message; what belongs to the item as a whole is with the first."""
    text = _string_content(members)
    parts: list[Part] = []
    if text is not None:
        parts.append(Text(text=text, shape=Shape.CONTENT_STRING))
    else:
        parts.extend(decode_output_content(members, "content"))
        if not parts:
            parts.append(Text(text="", shape=Shape.CONTENT_NULL))
    phase = members.take("phase", str) if any(isinstance(part, Text) for part in parts) else None
    if phase is not None:
        parts = [
            msgspec.structs.replace(part, phase=phase) if isinstance(part, Text) else part for part in parts
        ]
    id_, status = members.take("id", str), members.take("status", str)
    first = parts[0]
    ext = first.ext
    unknown = keep(members)
    if unknown is not None:
        own = ext.get(NAME, {}) if ext else {}
        ext = {NAME: {**own, MESSAGE_MEMBERS: json.raw(unknown[NAME])}}
    parts[0] = msgspec.structs.replace(
        first, id=id_, status=status, new_item=True, shape=first.shape | shape, ext=ext
    )
    return parts


def _reasoning(members: Members) -> Turn:
    encrypted = members.take("encrypted_content", str)
    content = _texts(members, "content")
    part = Reasoning(
        summary=_texts(members, "summary") or [],
        raw=content or [],
        opaque=carrier.opaque(NATIVE_OPAQUE, encrypted) if encrypted else None,
        id=members.take("id", str),
        status=members.take("status", str),
        shape=Shape.EMPTY_LIST if content == [] else 0,
        new_item=True,
        ext=keep(members),
    )
    return Turn(role="assistant", parts=[part])


def _texts(members: Members, key: str) -> list[str] | None:
    raw = members.peek(key)
    entries = members.take(key, list[_TextEntry])
    if entries is None or raw is None:
        return None
    if any(one.keys() - {"type", "text"} for one in json.decode(raw, list[dict[str, Raw]])):
        members.rest[key] = raw  # somebody knows more of a text than we do
    return [entry.text for entry in entries]


def _function_call(members: Members) -> Turn:
    part = ToolCall(
        call_id=members.require("call_id", str),
        name=members.require("name", str),
        arguments=members.require("arguments", str),
        namespace=members.take("namespace", str),
        id=members.take("id", str),
        status=members.take("status", str),
        new_item=True,
        ext=keep(members),
    )
    return Turn(role="assistant", parts=[part])


def _custom_tool_call(members: Members) -> Turn:
    part = ToolCall(
        kind="custom",
        call_id=members.require("call_id", str),
        name=members.require("name", str),
        arguments=members.require("input", str),
        namespace=members.take("namespace", str),
        id=members.take("id", str),
        status=members.take("status", str),
        new_item=True,
        ext=keep(members),
    )
    return Turn(role="assistant", parts=[part])


def _function_call_output(members: Members) -> Turn:
    return Turn(role="tool", parts=[_tool_result(members)])


def _custom_tool_call_output(members: Members) -> Turn:
    return Turn(role="tool", parts=[msgspec.structs.replace(_tool_result(members), kind="custom")])


def _tool_result(members: Members) -> ToolResult:
    raw = members.peek("output")
    if raw is None or raw == json.NULL:
        raise MalformedMessage("is required", members.at("output"))
    shape = Shape.CONTENT_STRING if json.is_string(raw) else 0
    parts: list[Part] = []
    if shape:
        parts.append(Text(text=members.require("output", str)))
    else:
        parts.extend(decode_input_content(members, "output"))
    # a null call_id comes with a name instead
    call_id, name = members.take("call_id", str), members.take("name", str)
    if call_id is None and name is None:
        raise MalformedMessage("is required", members.at("call_id"))
    return ToolResult(
        call_id=call_id or "",
        name=name,
        parts=parts,
        shape=shape,
        id=members.take("id", str),
        status=members.take("status", str),
        new_item=True,
        ext=keep(members),
    )


_ITEMS: Final[dict[str, Callable[[Members], Turn]]] = {
    "reasoning": _reasoning,
    "function_call": _function_call,
    "custom_tool_call": _custom_tool_call,
    "function_call_output": _function_call_output,
    "custom_tool_call_output": _custom_tool_call_output,
}
