"""Turns to the input items of an upstream's request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import msgspec
from msgspec import Raw

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.parts import (
    Control,
    HostedCall,
    Media,
    Native,
    Part,
    Reasoning,
    Refusal,
    Shape,
    Text,
    ToolCall,
    ToolResult,
)
from aiclient2api.ir.request import Turn, is_empty
from aiclient2api.protocols.drawn_images import with_image
from aiclient2api.protocols.effort_updates import ITEM, of_message
from aiclient2api.protocols.ids import legal
from aiclient2api.protocols.openai_responses.encode_parts import encode_input, encode_output
from aiclient2api.protocols.openai_responses.ext import kept
from aiclient2api.protocols.openai_responses.output_items import is_minted
from aiclient2api.protocols.openai_responses.schema import (
    CALL_ID,
    NAME,
    NATIVE_OPAQUE,
    Scope,
)
from aiclient2api.protocols.report import MESSAGE_MEMBERS
from aiclient2api.protocols.stored_items import refuse_unreadable, told_compaction
from aiclient2api.wire import json

_MessagePart = Text | Refusal | Native

_CALL_TYPES: Final = {"function": "function_call", "custom": "custom_tool_call"}
_CALL_CONTENT: Final = {"function": "arguments", "custom": "input"}


def encode_turns(turns: Sequence[Turn], scope: Scope, offset: int = 0) -> list[object]:
    """The items of the turns; `offset` is the number of the first, for paths."""
    items: list[object] = []
    for index, turn in enumerate(turns, offset):
        path = f"turns[{index}]"
        if turn.ext and turn.role == "system":
            effort, rest = of_message(turn)
            if effort is not None:
                items.append({"type": ITEM, "reasoning": {"effort": effort}})
                turn = msgspec.structs.replace(turn, ext={"anthropic": dict(rest)})
            if not turn.parts:
                scope.report.foreign_ext(turn, path)
                continue
        scope.report.foreign_ext(turn, path)
        if turn.name is not None:
            scope.report.dropped("message.name", path)
        encode = _assistant if turn.role == "assistant" else _listener
        items.extend(encode(turn, scope, path))
    return items


def _listener(turn: Turn, scope: Scope, path: str) -> list[object]:
    """What the model reads: one message, and an item of its own for each tool result."""
    items: list[object] = []
    content: list[object] = []

    def flush() -> None:
        if content:
            items.append(_message(turn, list(content), scope))
            content.clear()

    for index, part in enumerate(turn.parts):
        at = f"{path}.parts[{index}]"
        match part:
            case ToolResult():
                flush()
                items.append(_tool_result(part, scope, at))
            case HostedCall() | Control() if part.protocol == NAME:
                flush()
                items.append(part.raw)
            case Control():
                scope.report.dropped(f"control.{part.kind}", at)
            case ToolCall():
                flush()
                items.append(_tool_call(part, scope, at))
            case _:
                content.extend(encode_input(part, scope, at))
    flush()
    if not items and turn.role != "tool" and not any(isinstance(part, Control) for part in turn.parts):
        items.append(_message(turn, [], scope))
    return items


def _message(turn: Turn, content: list[object], scope: Scope) -> dict[str, object]:
    role = "user" if turn.role == "tool" else turn.role
    typed: dict[str, object] = {"type": "message"} if _is_typed(turn.shape, scope) else {}
    only = turn.parts[0] if len(turn.parts) == 1 else None
    if scope.own and turn.shape & Shape.CONTENT_STRING and isinstance(only, Text):
        return {**typed, "role": role, "content": only.text, **kept(turn)}
    if not content and not scope.own:
        return {**typed, "role": role, "content": ""}
    return {**typed, "role": role, "content": content, **kept(turn)}


def _is_typed(shape: int, scope: Scope) -> bool:
    return scope.own and not shape & Shape.EASY_MESSAGE


def _tool_result(part: ToolResult, scope: Scope, path: str) -> dict[str, object]:
    scope.report.foreign_ext(part, path)
    if part.is_error:
        scope.report.dropped("tool_result.is_error", path)
    body: dict[str, object] = {
        "type": _CALL_TYPES[part.kind] + "_output",
        "call_id": legal(part.call_id, CALL_ID) if part.call_id else None,
    }
    if part.name is not None and (scope.own or not part.call_id):
        body["name"] = part.name
    output = _output(part, scope, path)
    if part.cache is not None:
        scope.report.dropped("cache_mark", path)
    own = json.compact({"id": _own_id(part, scope), "status": part.status}) if scope.own else {}
    return {**body, "output": output, **own, **kept(part)}


def _output(part: ToolResult, scope: Scope, path: str) -> object:
    """The result's text, or a list when there is more than that."""
    parts: list[Part] = list(part.parts)
    if part.structured is not None:
        scope.report.approximated("tool_result.structured", path, "sent as JSON text")
        parts.insert(0, Text(text=bytes(part.structured).decode()))
    only = parts[0] if len(parts) == 1 else None
    if isinstance(only, Text) and (part.shape & Shape.CONTENT_STRING if scope.own else only.cache is None):
        return only.text
    if not parts and not scope.own:
        return ""
    content: list[object] = []
    for index, inner in enumerate(parts):
        content.extend(encode_input(inner, scope, f"{path}.parts[{index}]"))
    return content


def _assistant(turn: Turn, scope: Scope, path: str) -> list[object]:
    """What the model wrote: runs of text and refusals are messages, everything else is an item of its own."""
    items: list[object] = []
    run: list[tuple[str, _MessagePart]] = []

    def flush() -> None:
        if run:
            items.append(_assistant_message(list(run), scope))
            run.clear()

    for index, part in enumerate(turn.parts):
        at = f"{path}.parts[{index}]"
        if isinstance(part, Text | Refusal) or (isinstance(part, Native) and part.protocol == NAME):
            if part.new_item or (run and _other_phase(part, run[0][1])):
                flush()
            if _check_text(part, scope, at):
                run.append((at, part))
            continue
        flush()
        if isinstance(part, Media) and index and (whole := _with_image(turn.parts[index - 1], part)):
            items[-1] = whole
            continue
        items.extend(_assistant_item(part, scope, at))
    flush()
    if not items and not scope.own and is_empty(turn):
        items.append({"role": "assistant", "content": ""})
    return items


def _other_phase(part: _MessagePart, first: _MessagePart) -> bool:
    """A message has one phase; its later texts need not repeat it."""
    if not isinstance(part, Text) or part.phase is None:
        return False
    return not isinstance(first, Text) or part.phase != first.phase


def _with_image(before: Part, media: Media) -> Raw | None:
    """The block of this protocol that drew the image which the client sent back behind it."""
    return with_image(before, media) if isinstance(before, HostedCall) and before.protocol == NAME else None


def _check_text(part: _MessagePart, scope: Scope, path: str) -> bool:
    """Whether the part has content; a foreign empty text only carried a signature."""
    if part.opaque is not None:
        scope.report.dropped("reasoning.opaque", path, part.opaque.kind)
    return scope.own or not isinstance(part, Text) or bool(part.text)


def _assistant_message(run: list[tuple[str, _MessagePart]], scope: Scope) -> dict[str, object]:
    _, first = run[0]
    typed: dict[str, object] = {"type": "message"} if _is_typed(first.shape, scope) else {}
    body: dict[str, object] = {**typed, "role": "assistant"}
    if scope.own:
        body |= json.compact({"id": _own_id(first, scope), "status": first.status})
    if isinstance(first, Text) and first.shape & Shape.CONTENT_STRING and scope.own and len(run) == 1:
        body["content"] = first.text
    elif first.shape & Shape.CONTENT_NULL and scope.own:
        body["content"] = []
    else:
        content: list[object] = [
            part.raw if isinstance(part, Native) else encode_output(part, scope, at) for at, part in run
        ]
        body["content"] = content if scope.own else _plain(content)
    phase = next((part.phase for _, part in run if isinstance(part, Text) and part.phase), None)
    unknown = first.ext.get(NAME, {}).get(MESSAGE_MEMBERS) if first.ext else None
    return body | json.compact({"phase": phase}) | (json.decode(unknown, dict[str, Raw]) if unknown else {})


def _plain(content: list[object]) -> object:
    """A single text as a string: by the official type, a list of output parts is for messages that have an id."""
    only = cast("dict[str, object]", content[0])
    return only["text"] if len(content) == 1 and only.keys() == {"type", "text"} else content


def _assistant_item(part: Part, scope: Scope, path: str) -> list[object]:
    match part:
        case Reasoning():
            return _reasoning(part, scope, path)
        case ToolCall():
            return [_tool_call(part, scope, path)]
        case ToolResult():
            return [_tool_result(part, scope, path)]
        case HostedCall() | Control() if part.protocol == NAME:
            return [part.raw]
        case HostedCall() | Native() | Control():
            told = _told(part, scope, path)
            return [{"role": "assistant", "content": told}] if told else []
        case Media():
            raise Unrepresentable(
                f"{part.kind} output of the assistant cannot be sent to a Responses upstream", path
            )
        case _:
            pass
    return []


def _told(part: HostedCall | Native | Control, scope: Scope, path: str) -> str | None:
    """What an element of another protocol says, as far as it can be read."""
    if isinstance(part, Control):
        summary = told_compaction(part)
        if summary is None:
            refuse_unreadable(part, path)
            scope.report.dropped(f"control.{part.kind}", path)
        else:
            scope.report.approximated("control.compaction", path, "its summary as text")
        return summary
    shadow = part.shadow if isinstance(part, HostedCall) else None
    if shadow:
        scope.report.emulated("tool.hosted", path, part.wire_type)
    else:
        scope.report.dropped("tool.hosted", path, part.wire_type)
    return shadow


def _reasoning(part: Reasoning, scope: Scope, path: str) -> list[object]:
    """A reasoning item. Only the upstream's own state may go back; unsigned thoughts of others mean nothing to it."""
    scope.report.foreign_ext(part, path)
    opaque = part.opaque
    is_native = opaque is not None and opaque.kind == NATIVE_OPAQUE
    if opaque is not None and not is_native:
        scope.report.dropped("reasoning.opaque", path, opaque.kind)
        if part.summary or part.raw:
            scope.report.dropped("reasoning.text", path)
        return []
    if opaque is None and (not scope.own or is_minted(part.id)):
        scope.report.dropped("reasoning.text", path)
        return []
    body: dict[str, object] = {"type": "reasoning"}
    if scope.own:
        body |= json.compact({"id": _own_id(part, scope), "status": part.status})
    body["summary"] = [{"type": "summary_text", "text": text} for text in part.summary]
    if part.raw or part.shape & Shape.EMPTY_LIST:
        body["content"] = [{"type": "reasoning_text", "text": text} for text in part.raw]
    if opaque is not None:
        body["encrypted_content"] = opaque.data
    return [body | kept(part)]


def _tool_call(part: ToolCall, scope: Scope, path: str) -> dict[str, object]:
    scope.report.foreign_ext(part, path)
    if part.opaque is not None:
        scope.report.dropped("reasoning.opaque", path, part.opaque.kind)
    if part.cache is not None:
        scope.report.dropped("cache_mark", path)
    body: dict[str, object] = {
        "type": _CALL_TYPES[part.kind],
        "call_id": scope.report.call_id(part.call_id, legal(part.call_id, CALL_ID), path),
        "name": part.name,
        _CALL_CONTENT[part.kind]: part.arguments,
    }
    body |= json.compact({"namespace": part.namespace})
    if scope.own:
        body |= json.compact({"id": _own_id(part, scope), "status": part.status})
    return body | kept(part)


def _own_id(part: Part, scope: Scope) -> str | None:
    """The item's id; one that we minted for a client means nothing upstream."""
    return part.id if scope.own and not is_minted(part.id) else None
