"""Turns to `contents` and `systemInstruction`."""

from __future__ import annotations

from typing import cast

import msgspec

from aiclient2api.errors import Unrepresentable
from aiclient2api.ir.parts import Media, Native, Part, Shape, Text, ToolCall, ToolResult
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.protocols.gemini.encode_parts import UPSTREAM_KINDS, PartEncoder, Wire
from aiclient2api.protocols.gemini.ext import restore
from aiclient2api.protocols.gemini.schema import NAME, SENTINEL
from aiclient2api.protocols.ids import is_synthetic
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.report import LossReport
from aiclient2api.protocols.search_results import told_result
from aiclient2api.wire import json

_SYSTEM = ("system", "developer")

Block = list[tuple[int, Turn]]
"""Turns with their indexes that become one content."""


class ContentsEncoder:
    """Encodes the turns of one request.

    A conversation of this protocol keeps its contents as they were. Others are grouped: the parts of a model
    step and the answers to its calls must stand in one content each.
    """

    def __init__(self, request: ModelRequest, profile: ModelProfile, report: LossReport) -> None:
        self._request = request
        self._profile = profile
        self._report = report
        self._own = request.protocol == NAME
        self._parts = PartEncoder(report, own=self._own, kinds=UPSTREAM_KINDS, call_ids=profile.call_ids)
        self._names: dict[str, str] = {}
        self._order: dict[str, int] = {}
        for turn in request.turns:
            for part in turn.parts:
                if isinstance(part, ToolCall):
                    self._names[part.call_id] = part.name
                    self._order.setdefault(part.call_id, len(self._order))

    def encode(self) -> tuple[Wire | None, list[Wire]]:
        """The system instruction, if any, and the contents. Raises Unrepresentable."""
        turns = list(enumerate(self._request.turns))
        leading = self._request.hoisted if self._own else _leading_system(self._request.turns)
        system = self._system(turns[:leading]) if leading else None
        blocks = [[turn] for turn in turns[leading:]] if self._own else _blocks(turns[leading:])
        contents = [content for block in blocks for content in self._contents(block)]
        return system, contents if self._own else self._opened(contents)

    def _opened(self, contents: list[Wire]) -> list[Wire]:
        """Google wants at least one content, and a call only behind something it answers."""
        if contents and (contents[0]["role"] == "user" or not _has_call(contents[0])):
            return contents
        self._report.defaulted("part.order", "turns", "the conversation must begin with the user")
        return [{"role": "user", "parts": [{"text": "."}]}, *contents]

    def _system(self, turns: Block) -> Wire:
        parts: list[Wire] = []
        for index, turn in turns:
            path = f"turns[{index}]"
            self._note_turn(turn, path)
            if turn.role == "developer" and any(isinstance(part, Text) for part in turn.parts):
                self._report.approximated("system.role", path, "developer became system")
            parts.extend(wire for _, wires in self._encoded(turn, index) for wire in wires)
        wire: Wire = {"parts": parts}
        return restore(turns[0][1], wire) if self._own else wire

    def _note_turn(self, turn: Turn, path: str) -> None:
        if self._own:
            return
        self._report.foreign_ext(turn, path)
        if turn.name is not None:
            self._report.dropped("message.name", path)

    def _contents(self, block: Block) -> list[Wire]:
        role = block[0][1].role
        for index, turn in block:
            self._note_turn(turn, f"turns[{index}]")
        if role == "tool":
            return self._tool_contents(block)
        if role in _SYSTEM:
            return self._reminders(block)
        return self._spoken(block)

    def _spoken(self, block: Block) -> list[Wire]:
        """What the user or the model said."""
        is_model = block[0][1].role == "assistant"
        encoded = [pair for index, turn in block for pair in self._encoded(turn, index) or self._silent(turn)]
        contents = self._split(encoded, "model" if is_model else "user")
        if self._own:
            restore(block[0][1], contents[0])
            return contents
        if not contents[0]["parts"]:
            return [] if is_model else [{"role": "user", "parts": [{"text": ""}]}]
        if is_model and self._profile.call_ids:
            self._stand_in(contents[0], f"turns[{block[0][0]}]")
        return contents

    def _silent(self, turn: Turn) -> list[tuple[Part, list[Wire]]]:
        """A foreign message without content; Google refuses a content without parts."""
        return [] if self._own or turn.parts else [(Text(text=""), [{"text": ""}])]

    def _encoded(self, turn: Turn, index: int) -> list[tuple[Part, list[Wire]]]:
        is_model = turn.role == "assistant"
        return [
            (part, self._parts.encode(part, f"turns[{index}].parts[{number}]", spoken_by_model=is_model))
            for number, part in enumerate(turn.parts)
        ]

    def _split(self, encoded: list[tuple[Part, list[Wire]]], role: str) -> list[Wire]:
        """One content, or several where this protocol's own client had several."""
        groups: list[list[Wire]] = [[]]
        for number, (part, wires) in enumerate(encoded):
            if self._own and part.new_item and number:
                groups.append([])
            groups[-1].extend(wires)
        return [{"role": role, "parts": group} for group in groups]

    def _stand_in(self, content: Wire, path: str) -> None:
        """Gemini 3 refuses a step whose first call is unsigned; this value says that it is not its own.

        Every such step gets it, not only those of the current turn, so that a growing conversation keeps its
        beginning and with it the upstream's cache.
        """
        for part in _parts_of(content):
            if "functionCall" in part:
                if "thoughtSignature" not in part:
                    part["thoughtSignature"] = SENTINEL
                    self._report.approximated("reasoning.opaque", path, "unsigned tool call")
                return

    def _reminders(self, block: Block) -> list[Wire]:
        """System text inside the conversation stays where it is: moving it would change the prefix."""
        parts: list[Wire] = []
        for index, turn in block:
            path = f"turns[{index}]"
            encoded = self._encoded(turn, index)
            if encoded:
                self._report.emulated("system.mid", path)
            for part, wires in encoded:
                if isinstance(part, Text):
                    parts.append({"text": f"<system-reminder>\n{part.text}\n</system-reminder>"})
                else:
                    parts.extend(wires)
        return [{"role": "user", "parts": parts}] if parts else []

    def _tool_contents(self, block: Block) -> list[Wire]:
        """Answers stand alone in their content: Gemini 3 refuses other parts beside them."""
        found = [
            (part, f"turns[{index}].parts[{number}]")
            for index, turn in block
            for number, part in enumerate(turn.parts)
        ]
        if self._needs_call_order([part for part, _ in found]):
            found.sort(key=self._rank)
        encoded: list[tuple[Part, list[Wire]]] = []
        behind: list[Wire] = []
        for part, path in found:
            if not isinstance(part, ToolResult):
                behind.extend(self._parts.encode(part, path))
                continue
            wire, media = self._result(part, path)
            encoded.append((part, [wire]))
            behind.extend(media)
        contents = self._split(encoded, "user") if encoded else []
        if self._own and contents:
            restore(block[0][1], contents[0])
        return [*contents, {"role": "user", "parts": behind}] if behind else contents

    def _needs_call_order(self, parts: list[Part]) -> bool:
        """Answers without ids are matched by position, so they must follow the order of the calls."""
        results = [part for part in parts if isinstance(part, ToolResult)]
        if self._own:
            return not self._profile.call_ids and any(not is_synthetic(part.call_id) for part in results)
        return any(not self._shows_id(part) for part in results)

    def _shows_id(self, part: ToolResult) -> bool:
        return self._profile.call_ids and not is_synthetic(part.call_id)

    def _rank(self, found: tuple[Part, str]) -> int:
        part = found[0]
        return self._order.get(part.call_id, len(self._order)) if isinstance(part, ToolResult) else -1

    def _result(self, part: ToolResult, path: str) -> tuple[Wire, list[Wire]]:
        """A functionResponse, and the media that has no room in it."""
        if any(isinstance(inner, Native) for inner in part.parts):
            told = [self._told(inner, f"{path}.parts[{index}]") for index, inner in enumerate(part.parts)]
            part = msgspec.structs.replace(part, parts=told)
        name = part.name or self._names.get(part.call_id)
        if name is None:
            raise Unrepresentable(f"no tool call has the id {part.call_id!r}", path)
        if not self._own:
            self._name_members(part, path)
        result: Wire = {"name": self._names.get(part.call_id, name) if not self._own else name}
        if self._shows_id(part):
            result = {"id": part.call_id, **result}
        if not (self._own and part.shape & Shape.CONTENT_ABSENT):
            result["response"] = self._response(part, path)
        media = [
            wire
            for index, inner in enumerate(part.parts)
            if not isinstance(inner, Text)
            for wire in self._inner(inner, f"{path}.parts[{index}]")
        ]
        behind: list[Wire] = []
        if media and self._profile.tool_result_media:
            result["parts"] = media
        elif media:
            self._report.emulated("tool_result.media", path, "sent as user parts")
            behind = [{"text": f"[media of the tool result {name}]"}, *media]
        wire = restore(part, {"functionResponse": result})
        signature = self._parts.signature(part.opaque, path)
        if signature is not None:
            wire["thoughtSignature"] = signature
        return wire, behind

    def _name_members(self, result: ToolResult, path: str) -> None:
        """What a foreign result and its texts hold beside what is sent; its media are told by their own encoder."""
        texts = {
            f"{path}.parts[{index}]": inner
            for index, inner in enumerate(result.parts)
            if isinstance(inner, Text)
        }
        for where, part in ({path: result} | texts).items():
            self._report.foreign_ext(part, where)
            if part.cache is not None:
                self._report.dropped("cache_mark", where)

    def _told(self, part: Part, path: str) -> Part:
        """A search result in a tool's result as text."""
        text = told_result(part, self._report, path)
        return part if text is None else Text(text=text)

    def _inner(self, part: Part, path: str) -> list[Wire]:
        """Media of a result; whatever else a foreign result holds has no form here."""
        if self._own or isinstance(part, Media):
            return self._parts.encode(part, path)
        raise Unrepresentable(f"a tool result with {type(part).__name__.lower()} content", path)

    def _response(self, part: ToolResult, path: str) -> object:
        """`output` or `error` is Google's convention for plain text."""
        if part.structured is not None:
            is_object = json.is_object(bytes(part.structured))
            return part.structured if is_object else {"output": part.structured}
        texts = [inner.text for inner in part.parts if isinstance(inner, Text)]
        if len(texts) > 1:
            self._report.approximated("tool_result.structured", path, "several texts became one")
        return {"error" if part.is_error else "output": "\n\n".join(texts)}


def _leading_system(turns: list[Turn]) -> int:
    for count, turn in enumerate(turns):
        if turn.role not in _SYSTEM:
            return count
    return len(turns)


def _blocks(turns: Block) -> list[Block]:
    """Turns by content: a run of the model or of tools is one; system text never parts a call from its answer."""
    blocks: list[Block] = []
    waiting: list[Block] = []
    for position, (index, turn) in enumerate(turns):
        if turn.role in _SYSTEM and _is_before_answer(turns[position + 1 :]):
            waiting.append([(index, turn)])
            continue
        if turn.role != "tool":
            blocks.extend(waiting)
            waiting.clear()
        if blocks and turn.role in ("assistant", "tool") and blocks[-1][-1][1].role == turn.role:
            blocks[-1].append((index, turn))
        else:
            blocks.append([(index, turn)])
    return [*blocks, *waiting]


def _is_before_answer(turns: Block) -> bool:
    following = next((turn for _, turn in turns if turn.role not in _SYSTEM), None)
    return following is not None and following.role == "tool"


def _has_call(content: Wire) -> bool:
    return any("functionCall" in part for part in _parts_of(content))


def _parts_of(content: Wire) -> list[Wire]:
    return cast("list[Wire]", content["parts"])
