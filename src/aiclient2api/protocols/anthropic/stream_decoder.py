"""An upstream's stream to events.

Blocks come one after the other: start, deltas, stop. A block that only this protocol has is collected and
becomes one whole part at its stop. Reason and usage arrive in `message_delta` and are reported at the end, since
some servers repeat or correct them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from aiclient2api.errors import TRUNCATED, MalformedMessage
from aiclient2api.ir.events import (
    CandidateEnd,
    Failure,
    NativeEvent,
    PartDelta,
    PartEnd,
    PartStart,
    Ping,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    UsageReport,
)
from aiclient2api.ir.parts import Ext, Part, Reasoning, Text, ToolCall
from aiclient2api.ir.response import Finish
from aiclient2api.protocols import carrier
from aiclient2api.protocols.anthropic.decode_parts import decode_arguments, decode_block, decode_citation
from aiclient2api.protocols.anthropic.errors import error_of
from aiclient2api.protocols.anthropic.ext import keep
from aiclient2api.protocols.anthropic.finish import decode_finish
from aiclient2api.protocols.anthropic.schema import NAME
from aiclient2api.protocols.anthropic.stream_schema import (
    NOTHING,
    BlockDelta,
    WireEvent,
    parse_event,
    text_in,
)
from aiclient2api.protocols.anthropic.usage import UsageTally
from aiclient2api.wire import json
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.json import Members


class _Open:
    """A block that has begun: its part's number and what its end needs."""

    __slots__ = ("block", "deltas", "number", "part", "pieces", "signature")

    def __init__(self, number: int, part: Part | None, block: Raw) -> None:
        self.number = number
        self.part = part
        """None for a block that is collected whole."""
        self.block = block
        self.pieces: list[str] = []
        self.deltas: dict[str, Raw] = {}
        self.signature: str | None = None


class MessageStreamDecoder:
    """See the module."""

    def __init__(self) -> None:
        self.finished = False
        self.goes_on = False
        self._open: dict[int, _Open] = {}
        self._next = 0
        self._started = False
        self._ended = False
        self._tally = UsageTally()
        self._finish: Finish | None = None
        self._early: Finish | None = None
        """A reason in message_start: no end, because the content comes behind it."""
        self._ext: dict[str, Raw] = {}
        self._talks: int | None = None
        """The block whose text the last event added to: the next may only do the same."""

    def feed(self, frame: Frame) -> list[StreamEvent]:
        """The events of one frame. Raises MalformedMessage."""
        if self._ended or not frame.data or frame.data == b"[DONE]":
            return []
        event = parse_event(frame)
        events: list[StreamEvent]
        self._talks = None
        match event.type:
            case "content_block_start" | "content_block_delta" if self.finished:
                events = []  # what comes behind the end is no part of the answer
            case "content_block_delta":
                events = self._delta(event, frame)
            case "content_block_start":
                # some servers end no block
                events = [*self._stop_block(event.index), *self._start_block(event)]
            case "content_block_stop":
                events = self._stop_block(event.index)
            case "message_start":
                events = self._start(frame)
            case "message_delta":
                events = self._message_delta(frame)
            case "message_stop":
                events = self._end()
            case "ping":
                events = [Ping()]
            case "error":
                self._ended = True
                events = [Failure(error_of(frame.data))]
            case _:
                events = [NativeEvent(NAME, frame.event or event.type, Raw(frame.data))]
        return events

    def more_text(self, frame: Frame) -> str | None:
        """See base.TextDecoder."""
        found = text_in(frame.data)
        return found.delta.text if found is not None and found.index == self._talks else None

    def more_texts(self, frames: Sequence[Frame]) -> list[str]:
        """See base.TextDecoder."""
        texts: list[str] = []
        for frame in frames:
            found = text_in(frame.data)
            if found is None or found.index != self._talks:
                break
            texts.append(found.delta.text)
        return texts

    def close(self) -> list[StreamEvent]:
        """The end, if the reason was already told; else the answer was cut off."""
        if self._ended:
            return []
        if self._finish is not None:
            return self._end()
        self._ended = True
        return [Failure(TRUNCATED)]

    def _start(self, frame: Frame) -> list[StreamEvent]:
        if self._started:
            return []
        message = Members.parse(frame.data).object("message")
        if message is None:
            raise MalformedMessage("is required", "message")
        self._started = True
        self._tally.add(message.raw("usage"))
        usage, tier = self._tally.total()
        for name in ("type", "role"):
            message.raw(name)
        content = message.array("content") or []
        self._early = decode_finish(message)
        start_id, model = message.take("id", str) or "", message.take("model", str) or ""
        self._ext.update(message.rest)
        start = ResponseStart(id=start_id, model=model, usage=usage, tier=tier, ext=keep(message))
        return [start, *(event for block in content for event in self._whole_block(block))]

    def _whole_block(self, block: Raw) -> list[StreamEvent]:
        """Calls from inside a running program come complete, in message_start."""
        return [*self._start_block(WireEvent(index=-1, content_block=block)), *self._stop_block(-1)]

    def _start_block(self, event: WireEvent) -> list[StreamEvent]:
        if not self._started:
            raise MalformedMessage("comes before message_start", "content_block_start")
        if event.content_block == NOTHING:
            raise MalformedMessage("is required", "content_block")
        number, self._next = self._next, self._next + 1
        whole = _complete(event.content_block)
        part = decode_block(whole, "content_block")
        opened = self._open[event.index] = _Open(number, part, whole)
        match part:
            case Text():
                header = msgspec.structs.replace(part, text="", citations=[])
                deltas = [PartDelta(number, part.text)] if part.text else []
                deltas += [PartDelta(number, "", "citation", 0, item) for item in part.citations]
                return [PartStart(number, header), *deltas]
            case Reasoning(redacted=True):
                return [PartStart(number, part)]
            case Reasoning():
                # an early signature may still be replaced: it is reported once, at the end
                opened.signature = part.opaque.data if part.opaque else None
                header = msgspec.structs.replace(part, summary=[], opaque=None)
                return [
                    PartStart(number, header),
                    *(PartDelta(number, text, "summary") for text in part.summary),
                ]
            case ToolCall():
                return [PartStart(number, msgspec.structs.replace(part, arguments=""))]
            case _:
                opened.part = None
                return []

    def _delta(self, event: WireEvent, frame: Frame) -> list[StreamEvent]:
        opened, delta = self._open.get(event.index), event.delta
        if opened is None or delta is None:
            raise MalformedMessage("belongs to no open block", "content_block_delta")
        if opened.part is None:
            _collect(opened, delta, frame)
            return []
        if delta.type == "signature_delta":
            # a second one replaces the first
            opened.signature = delta.signature
            return []
        piece = _piece(opened.part, opened.number, delta)
        if piece is None:
            return [NativeEvent(NAME, "content_block_delta", Raw(frame.data))]
        if piece.channel == "arguments":
            opened.pieces.append(piece.text)
        elif piece.text and piece.channel == "text":
            self._talks = event.index
        return [piece]

    def _stop_block(self, index: int) -> list[StreamEvent]:
        opened = self._open.pop(index, None)
        if opened is None:
            return []
        number = opened.number
        match opened.part:
            case None:
                part = decode_block(_whole(opened), "content_block")
                return [PartStart(number, part), PartEnd(number, part)]
            case ToolCall() if not "".join(opened.pieces):
                arguments = decode_arguments(Members.parse(opened.block).raw("input"), "content_block.input")
                return [PartDelta(number, arguments, "arguments"), PartEnd(number)]
            case Reasoning() if opened.signature:
                state = carrier.opaque("anthropic.signature", opened.signature)
                return [PartDelta(number, "", "opaque", 0, state), PartEnd(number)]
            case _:
                return [PartEnd(number)]

    def _message_delta(self, frame: Frame) -> list[StreamEvent]:
        members = Members.parse(frame.data)
        members.raw("type")
        self._tally.add(members.raw("usage"))
        delta = members.object("delta")
        if delta is not None:
            self._finish = decode_finish(delta) or self._finish
            self.finished = self._finish is not None
            self._ext.update(delta.rest)
        self._ext.update(members.rest)
        return []

    def _end(self) -> list[StreamEvent]:
        if not self._started:
            raise MalformedMessage("comes before message_start", "message_stop")
        self._ended = True
        events = [event for index in tuple(self._open) for event in self._stop_block(index)]
        usage, tier = self._tally.total()
        if usage is not None:
            events.append(UsageReport(usage, final=True))
        finish = self._finish or self._early
        if finish is None:
            return [*events, Failure(TRUNCATED)]
        events.append(CandidateEnd(finish))
        ext: Ext | None = {NAME: self._ext} if self._ext else None
        events.append(ResponseEnd(ext=ext, tier=tier))
        return events


def _piece(part: Part, number: int, delta: BlockDelta) -> PartDelta | None:
    """The event of a delta; None for a type that nobody knows, or none of its block: SDKs pass over both."""
    piece: PartDelta | None = None
    match part:
        case Text():
            if delta.text is not None:
                piece = PartDelta(number, delta.text)
            elif delta.citation != NOTHING:
                cited = decode_citation(delta.citation, "delta.citation")
                piece = PartDelta(number, "", "citation", 0, cited)
        case ToolCall() if delta.partial_json is not None:
            piece = PartDelta(number, delta.partial_json, "arguments")
        case Reasoning(redacted=False) if delta.thinking is not None:
            piece = PartDelta(number, delta.thinking, "summary")
        case _:
            pass
    return piece


def _complete(block: Raw) -> Raw:
    """A tool_use that begins without its `input` gets the empty one that its deltas replace."""
    members = Members.parse(block, "content_block")
    if members.peek("type") == Raw(b'"tool_use"') and "input" not in members:
        return json.raw({**members.rest, "input": {}})
    return block


def _collect(opened: _Open, delta: BlockDelta, frame: Frame) -> None:
    """Remember a delta of a block that is kept whole: JSON pieces, or members that replace the block's."""
    if delta.partial_json is not None:
        opened.pieces.append(delta.partial_json)
        return
    members = Members.parse(frame.data).object("delta")
    if members is not None:
        members.raw("type")
        opened.deltas.update(members.rest)


def _whole(opened: _Open) -> Raw:
    if not opened.pieces and not opened.deltas:
        return opened.block
    members = {**Members.parse(opened.block, "content_block").rest, **opened.deltas}
    text = "".join(opened.pieces)
    if text:
        if not json.is_object(text.encode()):
            raise MalformedMessage("is not valid JSON", "content_block.input")
        members["input"] = Raw(text.encode())
    return json.raw(members)
