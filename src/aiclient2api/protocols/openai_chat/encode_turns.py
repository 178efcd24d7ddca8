"""Turns to `messages`."""

from __future__ import annotations

from typing import Final

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.parts import (
    Control,
    FileRef,
    HostedCall,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Shape,
    Text,
    ToolCall,
    ToolResult,
)
from aiclient2api.ir.request import Turn
from aiclient2api.protocols import ids
from aiclient2api.protocols.openai_chat.encode_parts import (
    ContentEncoder,
    Target,
    Wire,
    encode_call,
    encode_legacy_call,
    kept_signature,
    string_or_list,
)
from aiclient2api.protocols.openai_chat.ext import kept, restore
from aiclient2api.protocols.openai_chat.reasoning import encode_details, shown_text
from aiclient2api.protocols.openai_chat.schema import CALL_ID, CONTENT_LIST, NAME, REFUSAL_PART

_PLAIN_ROLES: Final = frozenset(("user", "assistant", "system"))


def encode_messages(turns: list[Turn], target: Target) -> list[Wire]:
    """The messages of a request for an upstream."""
    plain = _plain_messages(turns)
    if plain is not None:
        return plain
    marks = 0
    for turn in turns:
        for part in turn.parts:
            if part.cache is not None:
                marks += 1
    encoder = _MessagesEncoder(target, ContentEncoder(target, marks))
    for index, turn in enumerate(turns):
        encoder.add(turn, f"turns[{index}]")
    return encoder.close()


def _plain_messages(turns: list[Turn]) -> list[Wire] | None:
    """The messages of a conversation of bare texts, one per turn; None for any other."""
    messages: list[Wire] = []
    for turn in turns:
        role, shape = turn.role, turn.shape
        if role not in _PLAIN_ROLES or shape & CONTENT_LIST or len(turn.parts) != 1:
            return None
        only = turn.parts[0]
        if type(only) is not Text or not only.text or only != Text(text=only.text):
            return None
        if turn.ext or turn.name is not None:
            return None
        messages.append({"role": role, "content": only.text})
    return messages


class _MessagesEncoder:
    """Collects the messages; media of tool results wait until the last result of their step."""

    def __init__(self, target: Target, content: ContentEncoder) -> None:
        self._target = target
        self._content = content
        self._messages: list[Wire] = []
        self._waiting: list[Wire] = []

    def add(self, turn: Turn, path: str) -> None:
        if turn.ext:
            self._target.report.foreign_ext(turn, path)
        if _steers(turn) and not self._encoded(turn.parts, path):
            return  # nothing of it can be said here: only the report hears of it
        if turn.ext and not turn.parts and turn.role == "system" and not self._target.own:
            return  # it only steers: an empty message would be invented
        if turn.role == "assistant":
            self._flush()
            self._messages.append(self._assistant(turn, path))
            return
        results = 0
        others: list[Part] = []
        for part in turn.parts:
            if isinstance(part, ToolResult):
                self._result(part, f"{path}.parts[{results}]")
                results += 1
            else:
                others.append(part)
        if others or not results:
            self._flush()
            self._messages.append(self._plain(turn, others, path))

    def close(self) -> list[Wire]:
        self._flush()
        return self._messages

    def _flush(self) -> None:
        if self._waiting:
            self._messages.append({"role": "user", "content": self._waiting})
            self._waiting = []

    def _encoded(self, parts: list[Part], path: str) -> list[Wire]:
        encoded: list[Wire] = []
        for index, part in enumerate(parts):
            encoded += self._content.parts(part, f"{path}.parts[{index}]")
        return encoded

    def _plain(self, turn: Turn, parts: list[Part], path: str) -> Wire:
        role = "user" if turn.role == "tool" else turn.role
        if role == "developer" and self._target.compatible and not self._target.own:
            role = "system"
            self._target.report.approximated("system.role", path)
        if role != "user" and any(isinstance(part, Media) for part in parts):
            raise Unrepresentable(f"a Chat {role} message can only carry text", path)
        content = self._shaped(self._encoded(parts, path), turn.shape)
        known: Wire = {"role": role} if turn.name is None else {"role": role, "name": turn.name}
        known["content"] = content
        return restore(turn, known)

    def _shaped(self, content: list[Wire], shape: int) -> object:
        if content and shape & CONTENT_LIST:
            return content
        return string_or_list(content, shape)

    def _assistant(self, turn: Turn, path: str) -> Wire:
        self._report_order(turn, path)
        thoughts = [part for part in turn.parts if isinstance(part, Reasoning)]
        known: Wire = {"role": "assistant"}
        if turn.name is not None:
            known["name"] = turn.name
        self._content_of(turn, path, known)
        known |= self._reasoning(thoughts, path) | self._calls(turn, path)
        return restore(turn, known)

    def _content_of(self, turn: Turn, path: str, known: Wire) -> None:
        """Text, refusal and audio of an assistant message."""
        content: list[Wire] = []
        for index, part in enumerate(turn.parts):
            at = f"{path}.parts[{index}]"
            match part:
                case Reasoning() | ToolCall() | HostedCall(protocol="openai_chat"):
                    continue
                case Media(kind="audio", source=FileRef(ref=ref, protocol="openai_chat")):
                    known["audio"] = {"id": ref}
                case Media(thought=True):
                    self._target.report.dropped("media.image", at)
                case Media():
                    raise Unrepresentable(f"an assistant's Chat message cannot carry {part.kind} data", at)
                case Refusal() if not part.shape & REFUSAL_PART and self._target.own:
                    known["refusal"] = part.text
                case Text():
                    content.extend(self._text(part, at, known))
                case _:
                    content.extend(self._content.parts(part, at))
        has_calls = any(isinstance(part, ToolCall | HostedCall) for part in turn.parts)
        if content or not turn.shape & Shape.CONTENT_ABSENT:
            no_text = not content and not turn.shape and (has_calls or "audio" in known)
            known["content"] = None if no_text else self._assistant_content(content, turn.shape)

    def _text(self, text: Text, path: str, known: Wire) -> list[Wire]:
        if text.citations and not self._target.own:
            self._target.report.dropped("citation", path)
        self._target.report.phase(text, path)
        known |= kept_signature(text, self._target, path)
        if not text.text and not self._target.own:
            self._target.report.foreign_ext(text, path)
            return []
        if not text.text and text.opaque is not None:
            return []
        return self._content.parts(text, path)

    def _assistant_content(self, content: list[Wire], shape: int) -> object:
        # compatible servers want a string from the assistant
        wants_string = self._target.compatible and not self._target.own
        if len(content) > 1 and wants_string and all(wire["type"] == "text" for wire in content):
            return "".join(str(wire["text"]) for wire in content)
        return self._shaped(content, shape)

    def _calls(self, turn: Turn, path: str) -> Wire:
        calls: list[object] = []
        known: Wire = {}
        for index, part in enumerate(turn.parts):
            match part:
                case ToolCall() if part.shape & Shape.LEGACY_FUNCTION:
                    known["function_call"] = encode_legacy_call(part)
                case ToolCall():
                    calls.append(encode_call(part, self._target, f"{path}.parts[{index}]"))
                case HostedCall(protocol="openai_chat", raw=raw):
                    calls.append(raw)
                case _:
                    pass
        return known | {"tool_calls": calls} if calls else known

    def _reasoning(self, thoughts: list[Reasoning], path: str) -> Wire:
        """Thinking goes back to the upstream that made it, or as plain text to one that reads it."""
        native: list[Reasoning] = []
        plain: list[str] = []
        for part in thoughts:
            self._target.report.foreign_ext(part, path)
            match part.opaque:
                case Opaque(kind="openai_chat.details"):
                    native.append(part)
                    continue
                case Opaque():
                    self._target.report.dropped("reasoning.opaque", path)
                case None:
                    pass
            text = shown_text(part)
            if text and self._target.profile.reasoning_content:
                plain.append(text)
            elif text:
                self._target.report.dropped("reasoning.text", path)
        known: Wire = {"reasoning_content": "\n\n".join(plain)} if plain else {}
        return known | {"reasoning_details": encode_details(native)} if native else known

    def _report_order(self, turn: Turn, path: str) -> None:
        ranks = [
            0 if isinstance(part, Reasoning) else 2 if isinstance(part, ToolCall) else 1
            for part in turn.parts
            if not isinstance(part, Text) or part.text  # Gemini streams end with an empty text
        ]
        if ranks != sorted(ranks):
            self._target.report.approximated("part.order", path)

    def _result(self, result: ToolResult, path: str) -> None:
        report = self._target.report
        report.foreign_ext(result, path)
        if result.is_error:
            report.dropped("tool_result.is_error", path)
        content = self._result_content(result, path)
        if result.shape & Shape.LEGACY_FUNCTION:
            known: Wire = {"role": "function", "name": result.name, "content": content}
        else:
            own = self._target.own
            call_id = result.call_id if own else ids.legal(result.call_id, CALL_ID)
            known = {"role": "tool", "tool_call_id": call_id, "content": content}
            if own and result.name is not None:
                known["name"] = result.name
        if result.cache is not None and (mark := kept(result.cache)):
            known |= mark
        elif result.cache is not None:
            report.dropped("cache_mark", path)
        self._messages.append(restore(result, known))

    def _result_content(self, result: ToolResult, path: str) -> object:
        report = self._target.report
        texts: list[Part] = [part for part in result.parts if not isinstance(part, Media)]
        if result.structured is not None and not texts:
            report.approximated("tool_result.structured", path, "sent as its JSON text")
            value = bytes(result.structured).decode()
            if not result.parts:
                return value
            texts = [Text(text=value)]
        media = [part for part in result.parts if isinstance(part, Media)]
        content = self._encoded(texts, path)
        if not media:
            if len(content) > 1 and self._target.compatible and not self._target.own:
                return "\n".join(str(wire.get("text", "")) for wire in content)
            return self._shaped(content, result.shape)
        report.emulated("tool_result.media", path, "follows in a user message")
        lines = [str(wire.get("text", "")) for wire in content]
        for number, part in enumerate(media, 1):
            label = f"{part.kind} {number} of tool result {result.call_id}"
            lines.append(f"[{label} follows]")
            self._waiting.append({"type": "text", "text": f"[{label}]"})
            self._waiting.extend(self._content.parts(part, f"{path}.parts[{len(texts) + number - 1}]"))
        return "\n".join(lines)


def _steers(turn: Turn) -> bool:
    """Whether a turn holds nothing but what steers another protocol's conversation."""
    for part in turn.parts:
        if not isinstance(part, Control) or part.protocol == NAME:
            return False
    return bool(turn.parts)
