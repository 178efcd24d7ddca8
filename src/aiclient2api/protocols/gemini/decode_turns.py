"""`contents` to turns: runs of contents by one speaker become one turn, and results find their calls."""

from __future__ import annotations

from collections import defaultdict, deque

import msgspec
from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Part, Reasoning, Shape, Text, ToolCall, ToolResult
from aiclient2api.ir.request import Role, Turn
from aiclient2api.protocols import ids
from aiclient2api.protocols.gemini.decode_parts import decode_part
from aiclient2api.protocols.gemini.ext import keep
from aiclient2api.protocols.gemini.fields import SILENT, elements, fields
from aiclient2api.wire.json import Members

_ROLES: dict[str, Role] = {"user": "user", "function": "user", "tool": "user", "model": "assistant"}


def decode_system(content: Members) -> Turn:
    """The system instruction as a turn. Google reads no role there, but its SDK sends one: no loss without it."""
    role = content.raw("role")
    parts = [decode_part(raw, path) for raw, path in elements(content, "parts")]
    ext = keep(content)
    if role is not None:
        ext = {**(ext or {}), SILENT: {"role": role}}
    return Turn(role="system", parts=parts, ext=ext)


class ContentsDecoder:
    """Builds the turns of one request."""

    def __init__(self, turns: list[Turn]) -> None:
        self._turns = turns
        self._open: defaultdict[str, deque[str]] = defaultdict(deque)
        self._calls = 0

    def add(self, raw: Raw, path: str) -> None:
        """The next content."""
        content = fields(raw, path)
        role = _ROLES.get(content.take("role", str) or "user")
        if role is None:
            raise MalformedMessage("must be user or model", content.at("role"))
        parts = [decode_part(part, where) for part, where in elements(content, "parts")]
        segments = _segments(role, parts)
        ext = keep(content)
        if ext is not None or not parts:
            self._turns.append(Turn(role=segments[0][0] if segments else role, parts=[], ext=ext))
            self._calls = 0
        for speaker, segment in segments:
            self._join(speaker, segment, in_place=ext is not None)

    def _join(self, role: Role, parts: list[Part], *, in_place: bool) -> None:
        """Add parts of one content: to the running turn of the same speaker, or as a new turn."""
        last = self._turns[-1] if self._turns else None
        if last is not None and in_place and not last.parts and last.role == role:
            self._turns[-1] = msgspec.structs.replace(
                last, parts=self._identified(parts, len(self._turns) - 1)
            )
            return
        if last is None or last.role != role or not last.parts:
            self._calls = 0
            self._turns.append(Turn(role=role, parts=self._identified(parts, len(self._turns))))
            return
        parts = self._identified(parts, len(self._turns) - 1)
        shape = parts[0].shape
        if role == "assistant" and _continues(last.parts[-1], parts[0]):
            shape |= Shape.CONTINUES
        parts[0] = msgspec.structs.replace(parts[0], new_item=True, shape=shape)
        self._turns[-1] = msgspec.structs.replace(last, parts=[*last.parts, *parts])

    def _identified(self, parts: list[Part], turn: int) -> list[Part]:
        return [self._identify(part, turn) for part in parts]

    def _identify(self, part: Part, turn: int) -> Part:
        """Give calls without id one that is the same in every longer version of the conversation."""
        match part:
            case ToolCall():
                call_id = part.call_id or ids.synthetic_call_id(
                    str(turn), str(self._calls), part.name, part.arguments
                )
                self._calls += 1
                self._open[part.name].append(call_id)
                return msgspec.structs.replace(part, call_id=call_id)
            case ToolResult():
                return msgspec.structs.replace(part, call_id=self._answered(part, turn))
            case _:
                return part

    def _answered(self, result: ToolResult, turn: int) -> str:
        """The id of the call that a result belongs to: its own, or that of the oldest open call of its name."""
        name = result.name or ""
        waiting = self._open[name]
        if result.call_id:
            if result.call_id in waiting:
                waiting.remove(result.call_id)
            return result.call_id
        return waiting.popleft() if waiting else ids.synthetic_call_id("unasked", str(turn), name)


def _segments(role: Role, parts: list[Part]) -> list[tuple[Role, list[Part]]]:
    """A user content may mix results and other parts: results are a turn of their own in the IR."""
    segments: list[tuple[Role, list[Part]]] = []
    for part in parts:
        speaker: Role = "tool" if isinstance(part, ToolResult) else role
        if segments and segments[-1][0] == speaker:
            segments[-1][1].append(part)
        else:
            segments.append((speaker, [part]))
    return segments


def _continues(before: Part, part: Part) -> bool:
    """Whether a content goes on with the text of the one before (a chat session keeps every chunk apart)."""
    if before.opaque is not None:
        return False
    return (isinstance(before, Text) and isinstance(part, Text)) or (
        isinstance(before, Reasoning) and isinstance(part, Reasoning)
    )
