"""The stream grammar of the items beside messages: thoughts, calls, and what arrives whole."""

from __future__ import annotations

from typing import Literal

import msgspec

from aiclient2api.ir.events import PartDelta
from aiclient2api.ir.fold import PartBuilder
from aiclient2api.ir.parts import Part, Reasoning, ToolCall
from aiclient2api.protocols.openai_responses.encode_tools import Customs
from aiclient2api.protocols.openai_responses.output_items import (
    as_custom,
    call_item,
    item_id,
    reasoning_item,
    whole_item,
    with_status,
)
from aiclient2api.protocols.openai_responses.stream_writer import EventWriter, Output
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json

_Channel = Literal["summary", "raw"]


class Place:
    """Where an item stands: its id and index in the output."""

    __slots__ = ("id", "output_index", "where")

    def __init__(self, part: Part, prefix: str, response: str, output: Output) -> None:
        self.output_index = output.reserve()
        self.id = part.id or item_id(prefix, response, self.output_index)
        self.where = b'"item_id":%b,"output_index":%d,' % (json.encode(self.id), self.output_index)


class ReasoningWriter:
    """A thought: sections of summary or raw text, one open at a time, and its sealed state at the end."""

    __slots__ = ("_builder", "_counts", "_current", "_output", "_pieces", "_place", "_writer")

    def __init__(self, header: Reasoning, response: str, output: Output, writer: EventWriter) -> None:
        self._builder = PartBuilder(header)
        self._place = Place(header, "rs", response, output)
        self._output = output
        self._writer = writer
        self._current: tuple[_Channel, int] | None = None
        self._counts: dict[str, int] = {"summary": 0, "raw": 0}
        self._pieces: list[str] = []

    def begin(self) -> bytes:
        """`output_item.added`; the sealed state follows when the item is done."""
        item: dict[str, object] = {"id": self._place.id, "type": "reasoning", "summary": []}
        return self._writer.item_added(self._place.output_index, item)

    def delta(self, event: PartDelta) -> bytes:
        """A piece of a section; another section's first piece ends the one before."""
        self._builder.add(event)
        match event.channel:
            case "summary" | "raw" as channel:
                key = (channel, event.index)
            case _:
                return b""
        opened = b""
        if key != self._current:
            opened = self._end_section() + self._begin_section(channel)
            self._current = key
        self._pieces.append(event.text)
        name = (
            b"response.reasoning_summary_text.delta"
            if channel == "summary"
            else b"response.reasoning_text.delta"
        )
        return opened + self._write(name, channel, b'"delta":' + json.encode(event.text))

    def _write(self, name: bytes, channel: _Channel, members: bytes) -> bytes:
        index = b"summary_index" if channel == "summary" else b"content_index"
        section = b'%b"%b":%d,' % (self._place.where, index, self._counts[channel] - 1)
        return self._writer.write(name, section + members)

    def _begin_section(self, channel: _Channel) -> bytes:
        self._counts[channel] += 1
        self._pieces.clear()
        if channel == "summary":
            return self._write(
                b"response.reasoning_summary_part.added", channel, b'"part":{"type":"summary_text","text":""}'
            )
        return self._write(
            b"response.content_part.added", channel, b'"part":{"type":"reasoning_text","text":""}'
        )

    def _end_section(self) -> bytes:
        if self._current is None:
            return b""
        channel, _ = self._current
        text = json.encode("".join(self._pieces))
        if channel == "summary":
            done, closed, type_ = (
                b"response.reasoning_summary_text.done",
                b"response.reasoning_summary_part.done",
                b"summary_text",
            )
        else:
            done, closed, type_ = (
                b"response.reasoning_text.done",
                b"response.content_part.done",
                b"reasoning_text",
            )
        part = b'"part":{"type":"%b","text":%b}' % (type_, text)
        return self._write(done, channel, b'"text":' + text) + self._write(closed, channel, part)

    def end(self, part: Part | None) -> bytes:
        """`output_item.done` with the sealed state."""
        built = self._builder.whole()
        whole = part if isinstance(part, Reasoning) else built
        assert isinstance(whole, Reasoning), "a thought stays one"
        if whole.opaque is None and built.opaque is not None:
            whole = msgspec.structs.replace(whole, opaque=built.opaque)
        item = reasoning_item(whole, self._place.id, self._writer.report) | {"id": self._place.id}
        self._output.add(self._place.output_index, item)
        return self._end_section() + self._writer.item_done(self._place.output_index, item)


class CallWriter:
    """A call. One to an emulated free-text tool is held back until its text is known."""

    __slots__ = ("_builder", "_customs", "_is_held", "_kind", "_output", "_place", "_writer", "is_cut")

    def __init__(
        self, header: ToolCall, response: str, customs: Customs, output: Output, writer: EventWriter
    ) -> None:
        self.is_cut = False
        self._builder = PartBuilder(header)
        self._customs = customs
        self._is_held = header.kind == "function" and (header.namespace, header.name) in customs
        self._kind = "custom" if self._is_held else header.kind
        self._place = Place(header, "ctc" if self._kind == "custom" else "fc", response, output)
        self._output = output
        self._writer = writer

    def begin(self) -> bytes:
        """`output_item.added` with empty arguments."""
        header = self._builder.part
        assert isinstance(header, ToolCall), "a call's header is a call"
        empty = msgspec.structs.replace(header, kind=self._kind, arguments="", status="in_progress")
        item = call_item(empty, self._place.id, LossReport("")) | {"id": self._place.id}
        added = self._writer.item_added(self._place.output_index, item)
        return added + (self._delta(header.arguments) if header.arguments and not self._is_held else b"")

    def delta(self, event: PartDelta) -> bytes:
        """A piece of the arguments."""
        self._builder.add(event)
        if event.channel != "arguments" or self._is_held:
            return b""
        return self._delta(event.text)

    def _delta(self, text: str) -> bytes:
        name = (
            b"response.custom_tool_call_input.delta"
            if self._kind == "custom"
            else b"response.function_call_arguments.delta"
        )
        return self._writer.write(name, self._place.where + b'"delta":' + json.encode(text))

    def end(self, part: Part | None) -> bytes:
        """The whole arguments, and `output_item.done`; arguments that are not whole have no event of their own."""
        whole = part if isinstance(part, ToolCall) else self._builder.whole()
        assert isinstance(whole, ToolCall), "a call stays one"
        if self.is_cut:
            whole = msgspec.structs.replace(whole, status="incomplete")
        call = as_custom(with_status(whole), self._customs)
        is_unsaid = self._is_held or not whole.arguments
        held = self._delta(call.arguments) if is_unsaid and call.arguments else b""
        name, member = (
            (b"response.custom_tool_call_input.done", b"input")
            if self._kind == "custom"
            else (b"response.function_call_arguments.done", b"arguments")
        )
        done = b""
        if call.status != "incomplete":
            done = self._writer.write(
                name, b'%b"%b":%b' % (self._place.where, member, json.encode(call.arguments))
            )
        item = call_item(call, self._place.id, self._writer.report) | {"id": self._place.id}
        self._output.add(self._place.output_index, item)
        return held + done + self._writer.item_done(self._place.output_index, item)


class WholeWriter:
    """A part that arrives whole (an image, a native item), or one that this protocol has no form for."""

    __slots__ = ("_builder", "_output", "_response", "_writer")

    def __init__(self, header: Part, response: str, output: Output, writer: EventWriter) -> None:
        self._builder = PartBuilder(header)
        self._response = response
        self._output = output
        self._writer = writer

    def delta(self, event: PartDelta) -> bytes:
        """Collects; the item is written when it is whole."""
        self._builder.add(event)
        return b""

    def end(self, part: Part | None) -> bytes:
        """The whole item at once, or nothing."""
        whole = part or self._builder.whole()
        item = whole_item(whole, self._response, self._output.peek(), frozenset(), self._writer.report)
        if item is None:
            return b""
        output_index = self._output.reserve()
        self._output.add(output_index, item)
        return self._writer.item_added(output_index, item) + self._writer.item_done(output_index, item)
