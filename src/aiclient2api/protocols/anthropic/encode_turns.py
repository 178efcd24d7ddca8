"""Turns to `system` and `messages`, under the provider's rules of order.

The first message is the user's; the results of a message's tool calls come first in the very next user message;
`system` messages are legal only on newer models, after a user message. What came in this protocol is written
back message by message. Nothing here looks further back than to the previous assistant turn, so that a longer
conversation encodes to an extension of the shorter one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from msgspec import Raw

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.parts import Control, Shape, Text
from aiclient2api.ir.request import ModelRequest, Turn, is_empty
from aiclient2api.protocols.anthropic.blocks import Block
from aiclient2api.protocols.anthropic.encode_parts import Content, PartWriter
from aiclient2api.protocols.anthropic.ext import kept
from aiclient2api.protocols.anthropic.schema import EFFORT_BETA, EFFORT_WORDS, NAME
from aiclient2api.protocols.effort_updates import ITEM, of_item
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire import json

_FILLER = "."
"""Stands where the provider demands a user message and the conversation has none (its own compat layer does so)."""

_SYSTEM_ROLES = ("system", "developer")


@dataclass(slots=True)
class _Placed:
    """A turn at its place; `role` is how it is sent, a `reminder` is system text inside a user message."""

    turn: Turn
    path: str
    role: Literal["assistant", "user", "tool", "system", "reminder"]
    steers: bool = False
    """It has no text: it changes the effort from here on."""


@dataclass(slots=True)
class _Message:
    role: Literal["assistant", "user", "system"]
    blocks: list[Block]
    text: str | None = None
    """The content as a string, where the source had it so."""
    takes_user: bool = False
    """Tool results and reminders so far: the user's own words may follow in the same message."""
    members: dict[str, Raw] = field(default_factory=dict[str, Raw])
    bare: bool = False
    """The source itself had no content."""

    def wire(self) -> dict[str, object]:
        content = self.blocks if self.text is None else self.text
        return {"role": self.role, "content": content, **self.members}


def encode_turns(
    request: ModelRequest, profile: ModelProfile, writer: PartWriter
) -> tuple[Content | None, list[dict[str, object]]]:
    """The members `system` and `messages`."""
    turns = request.turns
    leading = request.hoisted
    if not writer.native:
        leading = 0
        while leading < len(turns) and turns[leading].role in _SYSTEM_ROLES and not _steers(turns[leading]):
            leading += 1
    system = _system(turns[:leading], writer)
    rest = [(f"turns[{index}]", turn) for index, turn in enumerate(turns) if index >= leading]
    if writer.native:
        return system, [message.wire() for message in _native_messages(rest, writer)]
    messages = _messages(_arranged(rest, profile, writer), writer)
    _repair(messages, profile, writer)
    return system, [message.wire() for message in messages]


def _system(turns: list[Turn], writer: PartWriter) -> Content | None:
    if not turns:
        return None
    blocks: list[Block] = []
    for index, turn in enumerate(turns):
        path = f"turns[{index}]"
        _report_turn(turn, path, writer)
        _require_text(turn, path)
        if len(turns) == 1:
            as_string = bool(turn.shape & Shape.CONTENT_STRING) or not writer.native
            content = writer.content(turn.parts, path, "system", as_string=as_string)
            return content if content or writer.native else None
        blocks.extend(writer.write_all(turn.parts, path, "system"))
    return blocks or None


def _require_text(turn: Turn, path: str) -> None:
    if turn.role in _SYSTEM_ROLES and not all(isinstance(part, Text) for part in turn.parts):
        raise Unrepresentable("system instructions of Messages can only be text", path)


def _report_turn(turn: Turn, path: str, writer: PartWriter) -> None:
    writer.report.foreign_ext(turn, path)
    if turn.name is not None:
        writer.report.dropped("message.name", path)
    if turn.role == "developer":
        writer.report.approximated("system.role", path, "developer sent as system")


def _native_messages(turns: list[tuple[str, Turn]], writer: PartWriter) -> list[_Message]:
    """Message by message as the client wrote them; a message that only held foreign state disappears."""
    messages: list[_Message] = []
    for path, turn in turns:
        blocks = writer.write_all(turn.parts, path, turn.role)
        if turn.shape & Shape.CONTINUES and messages:
            messages[-1].blocks.extend(blocks)
            continue
        text: str | None = None
        if turn.shape & Shape.CONTENT_STRING and len(turn.parts) == 1 and isinstance(turn.parts[0], Text):
            text = turn.parts[0].text
        role = turn.role if turn.role in ("assistant", "system") else "user"
        messages.append(_Message(role, blocks, text, members=kept(turn), bare=not turn.parts))
    return [message for message in messages if message.blocks or message.text is not None or message.bare]


def _arranged(turns: list[tuple[str, Turn]], profile: ModelProfile, writer: PartWriter) -> list[_Placed]:
    """The turns between two assistant turns in legal order: results, then the user's words and reminders."""
    placed: list[_Placed] = []
    run: list[_Placed] = []
    for path, turn in turns:
        if turn.role in ("user", "assistant", "tool") or not _steers(turn):
            _report_turn(turn, path, writer)
        match turn.role:
            case "assistant":
                placed.extend(_run_in_order(run, profile, writer))
                placed.append(_Placed(turn, path, "assistant"))
                run = []
            case "user" | "tool":
                run.append(_Placed(turn, path, turn.role))
            case "system" | "developer" if _steers(turn):
                update = _effort_update(turn, path, profile, writer)
                if update is not None:
                    run.append(_Placed(update, path, "system", steers=True))
            case "system" | "developer":
                _require_text(turn, path)
                run.append(_Placed(turn, path, "system"))
    return [*placed, *_run_in_order(run, profile, writer)]


def _steers(turn: Turn) -> bool:
    """Whether a turn only holds what steers another protocol's conversation."""
    return bool(turn.parts) and all(isinstance(part, Control) for part in turn.parts)


def _effort_update(turn: Turn, path: str, profile: ModelProfile, writer: PartWriter) -> Turn | None:
    """A `system` message without text that sets the effort as the items of Responses do; None with a word about why."""
    updates = [of_item(part) for part in turn.parts if isinstance(part, Control)]
    effort = EFFORT_WORDS.get(updates[0].effort) if len(updates) == 1 and updates[0] is not None else None
    if effort is None or not (profile.mid_system and profile.thinking == "effort"):
        writer.write_all(turn.parts, path, turn.role)  # into the report
        return None
    only = updates[0]
    assert only is not None, "an effort comes from an update"
    if effort != only.effort or only.more:
        note = "nothing but the effort" if only.more else f"{only.effort} sent as {effort}"
        writer.report.approximated(f"control.{ITEM}", path, note)
    writer.betas.add(EFFORT_BETA)
    return Turn(role="system", parts=[], ext={NAME: {"output_config": json.raw({"effort": effort})}})


def _run_in_order(run: list[_Placed], profile: ModelProfile, writer: PartWriter) -> list[_Placed]:
    results = [item for item in run if item.role == "tool"]
    others = [item for item in run if item.role != "tool"]
    spoken = [item for item in run if item.role == "tool" or not is_empty(item.turn)]
    if results and any(one is not other for one, other in zip(results, spoken, strict=False)):
        writer.report.approximated("part.order", results[0].path, "tool results first")
    systems = [item for item in others if item.role == "system"]
    if not systems:
        return [*results, *others]
    if profile.mid_system and len(run) > len(systems):
        spoken = [item for item in run if not item.steers]
        told = [item for item in systems if not item.steers]
        # legal only behind the user's message: slide forward, never to the top, which would break the prefix
        if told and spoken[-len(told) :] != told:
            writer.report.approximated("system.mid", told[0].path, "moved behind the user's message")
        return [*results, *(item for item in others if item.role != "system"), *systems]
    for item in systems:
        if item.steers:
            writer.report.dropped(
                f"control.{ITEM}", item.path, "there is no place for it between these messages"
            )
            continue
        item.role = "reminder"
        writer.report.emulated("system.mid", item.path, "sent as a reminder in a user message")
    return [*results, *(item for item in others if not item.steers)]


def _messages(placed: list[_Placed], writer: PartWriter) -> list[_Message]:
    messages: list[_Message] = []
    for item in placed:
        blocks: list[Block] = writer.write_all(item.turn.parts, item.path, item.role)
        if item.role == "reminder":
            blocks = [_reminder(item.turn)]
        if item.steers:
            messages.append(_Message("system", [], members=kept(item.turn)))
            continue
        last = messages[-1] if messages else None
        if last is not None and last.takes_user and item.role in ("tool", "reminder", "user"):
            last.blocks.extend(blocks)
            last.takes_user = item.role != "user"
            continue
        if not blocks:
            if item.role != "user":
                if is_empty(item.turn):
                    writer.report.dropped("message.empty", item.path)
                continue
            # an empty message is refused; leaving it out could put two assistant turns next to each other
            writer.report.defaulted("message.empty", item.path)
            blocks = [_text_block(_FILLER)]
        role = "user" if item.role in ("tool", "reminder") else item.role
        messages.append(_Message(role, blocks, takes_user=item.role in ("tool", "reminder")))
    for message in messages:
        message.text = _plain_text(message)
    return messages


def _reminder(turn: Turn) -> Block:
    text = "\n\n".join(part.text for part in turn.parts if isinstance(part, Text))
    return _text_block(f"<system-reminder>\n{text}\n</system-reminder>")


def _text_block(text: str) -> Block:
    return {"type": "text", "text": text}


def _plain_text(message: _Message) -> str | None:
    """The short form of a message that is one plain text."""
    if len(message.blocks) != 1:
        return None
    block = message.blocks[0]
    if isinstance(block, Raw) or block.keys() != {"type", "text"}:
        return None
    return str(block["text"])


def _repair(messages: list[_Message], profile: ModelProfile, writer: PartWriter) -> None:
    """A user message at the start, and at the end where the model does not continue its own words.

    A conversation without any message is refused: an invented one would be paid for.
    """
    if not messages:
        raise Unrepresentable("there is nothing to answer", "turns")
    if messages[0].role != "user":
        messages.insert(0, _Message("user", [], _FILLER))
        writer.report.defaulted("part.order", "turns", "the first message must be the user's")
    if messages[-1].role == "assistant" and not profile.prefill:
        messages.append(_Message("user", [], _FILLER))
        writer.report.emulated("part.order", "turns", "this model does not continue an assistant message")
