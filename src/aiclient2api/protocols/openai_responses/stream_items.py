"""The stream grammar of one output item: what is written when it begins, grows and is done."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from aiclient2api.ir.events import PartDelta
from aiclient2api.ir.fold import PartBuilder
from aiclient2api.ir.parts import Citation, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from aiclient2api.protocols.openai_responses.annotations import encode_citation, encode_logprobs
from aiclient2api.protocols.openai_responses.output_items import (
    as_custom,
    call_item,
    content_part,
    message_item,
    reasoning_item,
)
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json

_EVENT: Final = b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b}\n\n'


class EventWriter:
    """Numbers and frames events."""

    __slots__ = ("_sequence",)

    def __init__(self) -> None:
        self._sequence = 0

    def write(self, name: bytes, members: bytes) -> bytes:
        """One event; `members` is what its object holds beside type and number."""
        number = self._sequence
        self._sequence = number + 1
        return _EVENT % (name, name, number, members)

    def item(self, name: bytes, output_index: int, item: object) -> bytes:
        """An event that carries a whole item."""
        return self.write(name, b'"output_index":%d,"item":%b' % (output_index, json.encode(item)))


class PartWriter(Protocol):
    """Writes one part of the answer."""

    def delta(self, event: PartDelta) -> bytes:
        """The next piece of its content."""
        ...

    def end(self, part: Part | None) -> bytes:
        """Its end; `part` is the authoritative whole, if the source had one."""
        ...


class Message:
    """A message item: several content parts, done when it was sealed and none of them is open any more."""

    __slots__ = ("_contents", "_is_done", "_is_sealed", "_open", "_report", "id", "item", "output_index", "writer")

    def __init__(self, id_: str, output_index: int, writer: EventWriter, report: LossReport) -> None:
        self.id = id_
        self.output_index = output_index
        self.writer = writer
        self.item: dict[str, object] | None = None
        self._report = report
        self._contents: dict[int, Part] = {}
        self._open = 0
        self._is_sealed = False
        self._is_done = False

    def begin(self, first: Part) -> bytes:
        """`output_item.added`."""
        item = message_item([first], self.id, LossReport(""))
        empty = {**item, "status": "in_progress", "content": []}
        return self.writer.item(b"response.output_item.added", self.output_index, empty)

    def open_content(self) -> int:
        """Reserves the next content index."""
        index = len(self._contents) + self._open
        self._open += 1
        return index

    def close_content(self, index: int, part: Part) -> bytes:
        """A content part is done, and perhaps the message with it."""
        self._contents[index] = part
        self._open -= 1
        return self._finish()

    def seal(self) -> bytes:
        """No content part will follow."""
        self._is_sealed = True
        return self._finish()

    def _finish(self) -> bytes:
        if not self._is_sealed or self._open or self._is_done:
            return b""
        self._is_done = True
        parts = [part for _, part in sorted(self._contents.items(), key=lambda item: item[0])]
        self.item = message_item(parts, self.id, self._report)
        return self.writer.item(b"response.output_item.done", self.output_index, self.item)


class ContentWriter:
    """Text or a refusal inside a message."""

    __slots__ = ("_builder", "_delta", "_index", "_is_refusal", "_message", "_where")

    def __init__(self, message: Message, header: Text | Refusal) -> None:
        self._message = message
        self._builder = PartBuilder(header)
        self._index = message.open_content()
        self._is_refusal = isinstance(header, Refusal)
        self._where = b'"item_id":%b,"output_index":%d,"content_index":%d,' % (
            json.encode(message.id),
            message.output_index,
            self._index,
        )

    def begin(self) -> bytes:
        """`content_part.added`, always with empty content."""
        empty: Part = Refusal() if self._is_refusal else Text(text="")
        part = json.encode(content_part(empty, LossReport("")))
        return self._message.writer.write(b"response.content_part.added", self._where + b'"part":' + part)

    def delta(self, event: PartDelta) -> bytes:
        """A piece of text, an annotation, or the logprobs of what was just written."""
        self._builder.add(event)
        match event.channel:
            case "text":
                members = b'%b"delta":%b,"logprobs":[]' % (self._where, json.encode(event.text))
                return self._message.writer.write(b"response.output_text.delta", members)
            case "refusal":
                members = b'%b"delta":%b' % (self._where, json.encode(event.text))
                return self._message.writer.write(b"response.refusal.delta", members)
            case "logprobs" if isinstance(event.value, list):
                logprobs = json.encode(encode_logprobs(event.value))
                members = b'%b"delta":"","logprobs":%b' % (self._where, logprobs)
                return self._message.writer.write(b"response.output_text.delta", members)
            case "citation" if isinstance(event.value, Citation):
                return self._annotation(event.value)
            case _:
                return b""

    def _annotation(self, citation: Citation) -> bytes:
        length = sum(len(piece) for piece in self._builder.pieces)
        annotation = encode_citation(citation, length)
        if annotation is None:
            return b""
        index = sum(
            1 for earlier in self._builder.citations[:-1] if encode_citation(earlier, 0) is not None
        )
        members = b'%b"annotation_index":%d,"annotation":%b' % (self._where, index, json.encode(annotation))
        return self._message.writer.write(b"response.output_text.annotation.added", members)

    def end(self, part: Part | None) -> bytes:
        """`*.done`, `content_part.done`, and the item's end where this was its last part."""
        whole = part or self._builder.whole()
        body = content_part(whole, LossReport(""))
        write = self._message.writer.write
        if isinstance(whole, Refusal):
            done = write(b"response.refusal.done", b'%b"refusal":%b' % (self._where, json.encode(whole.text)))
        else:
            assert isinstance(whole, Text), "a text part stays one"
            logprobs = json.encode(encode_logprobs(whole.logprobs or []))
            members = b'%b"text":%b,"logprobs":%b' % (self._where, json.encode(whole.text), logprobs)
            done = write(b"response.output_text.done", members)
        closed = write(b"response.content_part.done", self._where + b'"part":' + json.encode(body))
        return done + closed + self._message.close_content(self._index, whole)


class ItemWriter:
    """What reasoning and calls have in common: an item of their own."""

    __slots__ = ("builder", "id", "item", "output_index", "report", "writer")

    def __init__(self, header: Part, id_: str, output_index: int, writer: EventWriter, report: LossReport) -> None:
        self.builder = PartBuilder(header)
        self.id = header.id or id_
        self.output_index = output_index
        self.writer = writer
        self.report = report
        self.item: dict[str, object] | None = None

    def added(self, item: dict[str, object]) -> bytes:
        """`output_item.added`."""
        return self.writer.item(b"response.output_item.added", self.output_index, item)

    def done(self, item: dict[str, object]) -> bytes:
        """`output_item.done`."""
        self.item = item
        return self.writer.item(b"response.output_item.done", self.output_index, item)

    def where(self) -> bytes:
        """The members that say which item an event speaks of."""
        return b'"item_id":%b,"output_index":%d,' % (json.encode(self.id), self.output_index)
