"""An upstream's stream to events.

Items are told apart by `output_index` (some servers give every event another item id). A part stays open until
its item is done, because only then its final ids, status and sealed state are known. What an item's last word
has beyond its deltas is sent as deltas of our own, so that nobody has to read `PartEnd.part` for content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import msgspec
from msgspec import Raw, Struct

from aiclient2api.errors import TRUNCATED, MalformedMessage
from aiclient2api.ir.events import (
    CandidateEnd,
    Channel,
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
from aiclient2api.ir.parts import Part, Reasoning, Refusal, Text, ToolCall
from aiclient2api.protocols.openai_responses.citations import decode_citation
from aiclient2api.protocols.openai_responses.decode_response import decode_envelope
from aiclient2api.protocols.openai_responses.decode_turns import decode_output_item
from aiclient2api.protocols.openai_responses.errors import decode_failure
from aiclient2api.protocols.openai_responses.logprobs import decode_logprobs
from aiclient2api.protocols.openai_responses.schema import NAME, Event, decode_event
from aiclient2api.wire import json
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.json import Members


class _Head(Struct):
    """What is known of a message when it begins."""

    type: str = "message"
    id: str | None = None
    phase: str | None = None


class _OpenPart:
    """A part on its way: its number, and what of its content has been sent."""

    __slots__ = ("citations", "has_logprobs", "header", "number", "sent")

    def __init__(self, number: int, header: Part) -> None:
        self.number = number
        self.header = header
        self.sent: dict[tuple[Channel, int], list[str]] = {}
        self.citations = 0
        self.has_logprobs = False


class _OpenItem:
    """An item on its way: its parts by content index (calls and thoughts have one)."""

    __slots__ = ("head", "parts")

    def __init__(self, head: _Head) -> None:
        self.head = head
        self.parts: dict[int, _OpenPart] = {}


class ResponsesStreamDecoder:
    """One stream of an upstream."""

    def __init__(self) -> None:
        self.goes_on = False
        self._out: list[StreamEvent] = []
        self._items: dict[int, _OpenItem] = {}
        self._parts: list[Part] = []
        self._next = 0
        self._started = False
        self._ended = False

    @property
    def finished(self) -> bool:
        """Finish and terminal are one event."""
        return self._ended

    def feed(self, frame: Frame) -> list[StreamEvent]:
        """The events of one frame."""
        if self._ended or frame.data == b"[DONE]":
            return []
        if not frame.data:
            return [Ping()]
        try:
            event = decode_event(frame.data)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedMessage(f"not a stream event: {error}") from None
        except RecursionError:
            raise MalformedMessage("a stream event is nested too deeply") from None
        handler = self._HANDLERS.get(event.type)
        if handler is not None:
            handler(self, event)
        elif event.type == "error" or (not event.type and memoryview(event.error)):
            self._fail(event, frame.data)
        elif self._started:
            self._out.append(NativeEvent(NAME, event.type or None, Raw(frame.data)))
        out, self._out = self._out, []
        return out

    def close(self) -> list[StreamEvent]:
        """A Failure when the stream was cut before its terminal event."""
        if self._ended:
            return []
        self._ended = True
        return [Failure(TRUNCATED)]

    # ------------------------------------------------------------------------------------ the response

    def _snapshot(self, event: Event) -> None:
        if self._started:
            return
        members = Members.parse(event.response, "response")
        self._start(
            ResponseStart(
                id=members.take("id", str) or "",
                model=members.take("model", str) or "",
                created=members.take("created_at", float),
                tier=members.take("service_tier", str),
            )
        )

    def _start(self, start: ResponseStart) -> None:
        self._started = True
        self._out.append(start)

    def _terminal(self, event: Event) -> None:
        self._snapshot(event)
        members = Members.parse(event.response, "response")
        self._close_items(members.array("output") or [])
        body = decode_envelope(members, self._parts, event.type.removeprefix("response."))
        if body.usage is not None:
            self._out.append(UsageReport(body.usage, final=True))
        finish = body.candidates[0].finish
        assert finish is not None, "a decoded response has a finish"
        self._ended = True
        if event.type == "response.failed":
            error = Members.parse(event.response, "response").raw("error")
            self._out.append(Failure(decode_failure(error if error is not None else b"{}")))
            return
        self._out.append(CandidateEnd(finish))
        self._out.append(ResponseEnd(ext=body.ext, tier=body.tier))

    def _close_items(self, output: list[Raw]) -> None:
        """Items without an `output_item.done`, and servers that only send the terminal event."""
        if self._next == 0 and not self._items:
            for index, raw in enumerate(output):
                self._finish_item(index, raw)
        for index in sorted(self._items):
            if 0 <= index < len(output):
                self._finish_item(index, output[index])
        for item in self._items.values():
            self._abandon(item)

    def _fail(self, event: Event, data: bytes) -> None:
        self._ended = True
        # flat by the book, nested from compatible servers
        is_nested = memoryview(event.error) and event.error != json.NULL
        self._out.append(Failure(decode_failure(event.error if is_nested else _flat(data))))

    # --------------------------------------------------------------------------------------- the items

    def _item_added(self, event: Event) -> None:
        head = json.decode(event.item, _Head, "item")
        self._abandon(self._items.get(event.output_index) or _OpenItem(head))  # some servers end no item
        item = self._items[event.output_index] = _OpenItem(head)
        if head.type not in ("reasoning", "function_call", "custom_tool_call"):
            return
        try:
            part = decode_output_item(event.item, "item")[0]
        except MalformedMessage:
            return  # not yet complete: it will be, when it is done
        item.parts[0] = self._open(_header(part))

    def _part_added(self, event: Event) -> None:
        item = self._item(event.output_index)
        if item.head.type != "message" or event.content_index in item.parts:
            return
        kind = json.decode(event.part, _Head, "part").type
        if kind in ("output_text", "refusal"):
            self._content(event, refusal=kind == "refusal")

    def _item_done(self, event: Event) -> None:
        self._finish_item(event.output_index, event.item)

    def _item(self, output_index: int) -> _OpenItem:
        item = self._items.get(output_index)
        if item is None:
            item = self._items[output_index] = _OpenItem(_Head())
        return item

    def _finish_item(self, output_index: int, raw: Raw) -> None:
        item = self._items.pop(output_index, None) or _OpenItem(_Head())
        for content_index, part in enumerate(decode_output_item(raw, "item")):
            opened = item.parts.pop(content_index, None)
            if opened is not None and type(opened.header) is not type(part):
                self._out.append(PartEnd(opened.number))
                opened = None
            self._close(opened or self._open(_header(part)), part)
        self._abandon(item)

    def _abandon(self, item: _OpenItem) -> None:
        """End the parts of which no last word came."""
        self._out.extend(PartEnd(opened.number) for opened in item.parts.values())
        item.parts.clear()

    # --------------------------------------------------------------------------------------- the parts

    def _open(self, header: Part) -> _OpenPart:
        if not self._started:
            self._start(ResponseStart())
        opened = _OpenPart(self._next, header)
        self._next += 1
        self._parts.append(header)
        self._out.append(PartStart(opened.number, header))
        return opened

    def _close(self, opened: _OpenPart, part: Part) -> None:
        number = opened.number
        for channel, index, text in _content(part):
            sent = "".join(opened.sent.get((channel, index), ()))
            if len(text) > len(sent) and text.startswith(sent):
                self._out.append(PartDelta(number, text[len(sent) :], channel, index))
        if isinstance(part, Text):
            for citation in part.citations[opened.citations :]:
                self._out.append(PartDelta(number, "", "citation", 0, citation))
            if part.logprobs and not opened.has_logprobs:
                self._out.append(PartDelta(number, "", "logprobs", 0, part.logprobs))
        if part.opaque is not None:
            self._out.append(PartDelta(number, "", "opaque", 0, part.opaque))
        self._out.append(PartEnd(number, part))

    def _content(self, event: Event, *, refusal: bool = False) -> _OpenPart:
        """The part of a message that an event speaks of, opened when it is the first to do so."""
        item = self._item(event.output_index)
        opened = item.parts.get(event.content_index)
        if opened is None:
            head, is_first = item.head, event.content_index == 0
            id_ = head.id if is_first else None
            header = (
                Refusal(id=id_, new_item=is_first)
                if refusal
                else Text(text="", id=id_, phase=head.phase, new_item=is_first)
            )
            opened = item.parts[event.content_index] = self._open(header)
        return opened

    def _single(self, event: Event, kind: type[Part]) -> _OpenPart | None:
        """The part of an item that has only one."""
        item = self._items.get(event.output_index)
        if item is None and kind is Reasoning:
            item = self._items[event.output_index] = _OpenItem(_Head("reasoning"))
            item.parts[0] = self._open(Reasoning(new_item=True))
        opened = item.parts.get(0) if item is not None else None
        return opened if opened is not None and isinstance(opened.header, kind) else None

    # -------------------------------------------------------------------------------------- the deltas

    def _delta(self, opened: _OpenPart | None, event: Event, channel: Channel, index: int = 0) -> None:
        text = event.delta
        if opened is None or not isinstance(text, str) or not text:
            return
        opened.sent.setdefault((channel, index), []).append(text)
        self._out.append(PartDelta(opened.number, text, channel, index))

    def _text_delta(self, event: Event) -> None:
        opened = self._content(event)
        if not isinstance(opened.header, Text):
            return
        self._delta(opened, event, "text")
        logprobs = decode_logprobs(event.logprobs)
        if logprobs:
            opened.has_logprobs = True
            self._out.append(PartDelta(opened.number, "", "logprobs", 0, logprobs))

    def _refusal_delta(self, event: Event) -> None:
        opened = self._content(event, refusal=True)
        self._delta(opened if isinstance(opened.header, Refusal) else None, event, "refusal")

    def _arguments_delta(self, event: Event) -> None:
        self._delta(self._single(event, ToolCall), event, "arguments")

    def _summary_delta(self, event: Event) -> None:
        self._delta(self._single(event, Reasoning), event, "summary", event.summary_index)

    def _raw_delta(self, event: Event) -> None:
        self._delta(self._single(event, Reasoning), event, "raw", event.content_index)

    def _annotation(self, event: Event) -> None:
        if not memoryview(event.annotation) or event.annotation == json.NULL:
            return
        opened = self._content(event)
        if isinstance(opened.header, Text):
            opened.citations += 1
            citation = decode_citation(event.annotation)
            self._out.append(PartDelta(opened.number, "", "citation", 0, citation))

    def _ignore(self, event: Event) -> None:
        """Nothing new."""

    # of the class: bound methods kept in each decoder would be a cycle with it
    _HANDLERS: ClassVar[dict[str, Callable[[ResponsesStreamDecoder, Event], None]]] = {
        "response.output_text.delta": _text_delta,
        "response.function_call_arguments.delta": _arguments_delta,
        "response.custom_tool_call_input.delta": _arguments_delta,
        "response.reasoning_summary_text.delta": _summary_delta,
        "response.reasoning_text.delta": _raw_delta,
        "response.refusal.delta": _refusal_delta,
        "response.output_text.annotation.added": _annotation,
        "response.created": _snapshot,
        "response.queued": _snapshot,
        "response.in_progress": _snapshot,
        "response.output_item.added": _item_added,
        "response.content_part.added": _part_added,
        "response.output_item.done": _item_done,
        "response.completed": _terminal,
        "response.incomplete": _terminal,
        "response.failed": _terminal,
        "response.cancelled": _terminal,
        # the deltas and the item's last word say the same
        "response.output_text.done": _ignore,
        "response.refusal.done": _ignore,
        "response.content_part.done": _ignore,
        "response.function_call_arguments.done": _ignore,
        "response.custom_tool_call_input.done": _ignore,
        "response.reasoning_summary_part.added": _ignore,
        "response.reasoning_summary_part.done": _ignore,
        "response.reasoning_summary_text.done": _ignore,
        "response.reasoning_text.done": _ignore,
    }


def _flat(data: bytes) -> bytes:
    """The error object of an `error` event, without the event's own members."""
    members = Members.parse(data)
    for name in ("type", "sequence_number", "error"):
        members.raw(name)
    return json.encode(members.rest)


def _header(part: Part) -> Part:
    """The part as it begins: what it is, without its content."""
    replace = msgspec.structs.replace
    match part:
        case Text():
            return replace(part, text="", citations=[], logprobs=None, status=None)
        case Refusal():
            return replace(part, text="", status=None)
        case Reasoning():
            # sealed state may be partial until the item is done
            return replace(part, summary=[], raw=[], opaque=None, status=None)
        case ToolCall():
            return replace(part, arguments="", status=None)
        case _:
            return part


def _content(part: Part) -> Iterator[tuple[Channel, int, str]]:
    """A part's text by channel and section."""
    match part:
        case Text():
            yield "text", 0, part.text
        case Refusal():
            yield "refusal", 0, part.text
        case ToolCall():
            yield "arguments", 0, part.arguments
        case Reasoning():
            for index, text in enumerate(part.summary):
                yield "summary", index, text
            for index, text in enumerate(part.raw):
                yield "raw", index, text
        case _:
            return
