"""`messages` to turns: one turn per message, except that consecutive tool messages make one tool turn."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import FileRef, Media, Opaque, Part, Refusal, Shape, Text, ToolCall, ToolResult
from aiclient2api.ir.request import Turn
from aiclient2api.protocols import ids
from aiclient2api.protocols.openai_chat.decode_parts import decode_annotations, decode_cache, decode_content
from aiclient2api.protocols.openai_chat.decode_tools import decode_legacy_call, decode_tool_call
from aiclient2api.protocols.openai_chat.ext import keep
from aiclient2api.protocols.openai_chat.extra_content import Extra, reorder
from aiclient2api.protocols.openai_chat.reasoning import decode_reasoning
from aiclient2api.protocols.openai_chat.schema import NAME
from aiclient2api.wire.json import Members

_Kind = Literal["function", "custom"]


class MessagesDecoder:
    """Reads the messages of one request in order, so that results find their calls."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._kinds: dict[str, _Kind] = {}
        self._legacy: list[ToolCall] = []

    def add(self, raw: Raw, path: str) -> None:
        """The next message."""
        message = Members.parse(raw, path)
        match message.require("role", str):
            case ("system" | "developer" | "user") as role:
                self._plain(role, message)
            case "assistant":
                self._assistant(message)
            case "tool":
                self._tool(message)
            case "function":
                self._function(message)
            case other:
                raise MalformedMessage(f"unknown role {other!r}", message.at("role"))

    def _plain(self, role: Literal["system", "developer", "user"], message: Members) -> None:
        parts, shape = _required_content(message)
        parts = _marked(parts, message)
        name = message.take("name", str)
        self.turns.append(Turn(role=role, parts=parts, name=name, shape=shape, ext=keep(message)))

    def _assistant(self, message: Members) -> None:
        # what the SDK's helpers leave in a message object that is sent back
        message.raw("parsed")
        message.raw("index")
        extra = Extra(message)
        reasoning = decode_reasoning(message)
        content, shape = decode_content(message)
        citations = decode_annotations(message)
        content = _marked(_with_state(content, extra.opaque), message)
        if citations and content and isinstance(content[0], Text):
            content[0] = msgspec.structs.replace(content[0], citations=citations)
        parts: list[Part] = [*reasoning, *content, *_refusal(message), *_audio(message)]
        parts.extend(self._calls(message))
        self.turns.append(
            Turn(
                role="assistant",
                parts=reorder(parts, extra.order),
                name=message.take("name", str),
                shape=shape,
                ext=keep(message, extra_content=extra.members),
            )
        )

    def _calls(self, message: Members) -> list[Part]:
        path = message.at("tool_calls")
        calls: list[Part] = []
        for index, raw in enumerate(message.array("tool_calls") or ()):
            call = decode_tool_call(raw, f"{path}[{index}]")
            if isinstance(call, ToolCall):
                self._kinds[call.call_id] = call.kind
            calls.append(call)
        legacy = decode_legacy_call(message, str(len(self.turns)))
        if legacy is not None:
            self._legacy.append(legacy)
            calls.append(legacy)
        return calls

    def _tool(self, message: Members) -> None:
        call_id = message.require("tool_call_id", str)
        parts, shape = _required_content(message)
        self._result(
            ToolResult(
                call_id=call_id,
                name=message.take("name", str),
                parts=parts,
                kind=self._kinds.get(call_id, "function"),
                cache=decode_cache(message),
                shape=shape,
                ext=keep(message),
            )
        )

    def _function(self, message: Members) -> None:
        name = message.require("name", str)
        parts, shape = _required_content(message)
        call = next((call for call in self._legacy if call.name == name), None)
        if call is not None:
            self._legacy.remove(call)
        call_id = call.call_id if call else ids.synthetic_call_id("function", str(len(self.turns)), name)
        self._result(
            ToolResult(
                call_id=call_id,
                name=name,
                parts=parts,
                shape=shape | Shape.LEGACY_FUNCTION,
                ext=keep(message),
            )
        )

    def _result(self, result: ToolResult) -> None:
        last = self.turns[-1] if self.turns else None
        if last is not None and last.role == "tool":
            last.parts.append(msgspec.structs.replace(result, new_item=True))
        else:
            self.turns.append(Turn(role="tool", parts=[result]))


def _required_content(message: Members) -> tuple[list[Part], int]:
    if "content" not in message:
        raise MalformedMessage("is required", message.at("content"))
    return decode_content(message)


def _marked(parts: list[Part], message: Members) -> list[Part]:
    """A cache mark on the message itself means its last part."""
    if not parts:
        return parts
    mark = decode_cache(message)
    if mark is None or parts[-1].cache is not None:
        return parts
    return [*parts[:-1], msgspec.structs.replace(parts[-1], cache=mark)]


def _with_state(content: list[Part], opaque: Opaque | None) -> list[Part]:
    """A message's signature belongs to its last text, or stands alone where there is none."""
    if opaque is None:
        return content
    for index in range(len(content) - 1, -1, -1):
        part = content[index]
        if isinstance(part, Text):
            return [*content[:index], msgspec.structs.replace(part, opaque=opaque), *content[index + 1 :]]
    return [*content, Text(text="", opaque=opaque)]


def _refusal(message: Members) -> list[Part]:
    text = message.take("refusal", str)
    return [Refusal(text=text)] if text else []


def _audio(message: Members) -> list[Part]:
    audio = message.object("audio")
    if audio is None:
        return []
    ref = FileRef(audio.require("id", str), protocol=NAME)
    transcript, expires_at = audio.take("transcript", str), audio.take("expires_at", int)
    return [Media(kind="audio", source=ref, transcript=transcript, expires_at=expires_at)]
