"""System text and messages."""

from __future__ import annotations

import msgspec

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Part, Shape, ToolResult
from aiclient2api.ir.request import (
    Turn,
)
from aiclient2api.protocols.anthropic.decode_parts import decode_content
from aiclient2api.protocols.anthropic.ext import keep
from aiclient2api.wire.json import Members


def decode_system(members: Members) -> list[Turn]:
    """The top-level system text."""
    content = members.value("system")
    if content is None:
        return []
    parts, shape = decode_content(content, "system")
    return [Turn(role="system", parts=parts, shape=shape)]


def decode_messages(members: Members) -> list[Turn]:
    """The conversation."""
    messages = members.array("messages")
    if messages is None:
        raise MalformedMessage("is required", "messages")
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        turns += decode_message(Members.parse(message, f"messages[{index}]"))
    return turns


def decode_message(message: Members) -> list[Turn]:
    """One turn, or several where a user message mixes tool results with other content."""
    role = message.require("role", str)
    content, path = message.value("content"), f"{message.path}.content"
    if content is None:
        raise MalformedMessage("is required", path)
    parts, shape = decode_content(content, path)
    ext = keep(message)
    match role:
        case "assistant" | "system":
            return [Turn(role=role, parts=parts, shape=shape, ext=ext)]
        case "user":
            turns = _split(parts)
            turns[0] = msgspec.structs.replace(turns[0], shape=shape, ext=ext)
            return turns
        case _:
            raise MalformedMessage("must be user, assistant or system", message.at("role"))


def _split(parts: list[Part]) -> list[Turn]:
    """Runs of tool results and of other parts; all but the first continue the same message."""
    turns: list[Turn] = []
    for part in parts:
        role = "tool" if isinstance(part, ToolResult) else "user"
        if not turns or turns[-1].role != role:
            turns.append(Turn(role=role, parts=[], shape=Shape.CONTINUES if turns else 0))
        turns[-1].parts.append(part)
    return turns or [Turn(role="user", parts=[])]
