"""The stream grammar of a message item and its content parts."""

from __future__ import annotations

from aiclient2api.ir.events import PartDelta
from aiclient2api.ir.fold import PartBuilder
from aiclient2api.ir.parts import Citation, Part, Refusal, Text
from aiclient2api.protocols.openai_responses.citations import encode_citation
from aiclient2api.protocols.openai_responses.logprobs import encode_logprobs
from aiclient2api.protocols.openai_responses.output_items import content_part, item_id, message_item
from aiclient2api.protocols.openai_responses.stream_writer import EventWriter, Output
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json


class Message:
    """A message item: it takes content parts until it is sealed, and is done when none of them is open."""

    __slots__ = ("_contents", "_header", "_open", "_output", "_sealed", "id", "output_index", "writer")

    def __init__(self, first: Part, response: str, output: Output, writer: EventWriter) -> None:
        self.output_index = output.reserve()
        self.id = first.id or item_id("msg", response, self.output_index)
        self.writer = writer
        self._output = output
        self._header = first
        self._contents: dict[int, Part] = {}
        self._open = 0
        self._sealed = False

    def begin(self) -> bytes:
        """`output_item.added`."""
        begun: dict[str, object] = {"id": self.id, "status": "in_progress", "content": []}
        item = message_item([self._header], self.id, LossReport("")) | begun
        return self.writer.item_added(self.output_index, item)

    def open_content(self) -> int:
        """Reserves the next content index."""
        index = self._open + len(self._contents)
        self._open += 1
        return index

    def close_content(self, index: int, part: Part) -> bytes:
        """A content part is done, and perhaps the message with it."""
        self._contents[index] = part
        self._open -= 1
        return self._finish() if self._sealed else b""

    def seal(self) -> bytes:
        """No content part will follow."""
        if self._sealed:
            return b""
        self._sealed = True
        return self._finish()

    def _finish(self) -> bytes:
        if self._open:
            return b""
        parts = [part for _, part in sorted(self._contents.items(), key=lambda entry: entry[0])]
        item = message_item(parts, self.id, self.writer.report) | {"id": self.id}
        self._output.add(self.output_index, item)
        return self.writer.item_done(self.output_index, item)


class ContentWriter:
    """Text or a refusal inside a message."""

    __slots__ = ("_annotations", "_builder", "_index", "_length", "_message", "_where")

    def __init__(self, message: Message, header: Text | Refusal) -> None:
        self._message = message
        self._builder = PartBuilder(header)
        self._index = message.open_content()
        self._length = 0
        self._annotations = 0
        self._where = b'"item_id":%b,"output_index":%d,"content_index":%d,' % (
            json.encode(message.id),
            message.output_index,
            self._index,
        )

    def begin(self) -> bytes:
        """`content_part.added`, always with empty content."""
        header = self._builder.part
        assert isinstance(header, Text | Refusal), "content is text or a refusal"
        empty = Refusal() if isinstance(header, Refusal) else Text(text="")
        part = json.encode(content_part(empty, LossReport("")))
        added = self._write(b"response.content_part.added", b'"part":' + part)
        return added + (self._piece(header.text) if header.text else b"")

    def _write(self, name: bytes, members: bytes) -> bytes:
        return self._message.writer.write(name, self._where + members)

    def delta(self, event: PartDelta) -> bytes:
        """A piece of text, an annotation, or the logprobs of what was just written."""
        self._builder.add(event)
        match event.channel:
            case "text" | "refusal":
                return self._piece(event.text)
            case "logprobs" if isinstance(event.value, list):
                logprobs = json.encode(encode_logprobs(event.value))
                return self._write(b"response.output_text.delta", b'"delta":"","logprobs":' + logprobs)
            case "citation" if isinstance(event.value, Citation):
                return self._annotation(event.value)
            case _:
                return b""

    def text(self, text: str) -> bytes:
        """The same for a piece of text."""
        self._builder.pieces.append(text)
        return self._piece(text)

    def _piece(self, text: str) -> bytes:
        if isinstance(self._builder.part, Refusal):
            return self._write(b"response.refusal.delta", b'"delta":' + json.encode(text))
        self._length += len(text)
        return self._write(b"response.output_text.delta", b'"delta":%b,"logprobs":[]' % json.encode(text))

    def _annotation(self, citation: Citation) -> bytes:
        annotation = encode_citation(citation, self._length)
        if annotation is None:
            return b""
        members = b'"annotation_index":%d,"annotation":%b' % (self._annotations, json.encode(annotation))
        self._annotations += 1
        return self._write(b"response.output_text.annotation.added", members)

    def end(self, part: Part | None) -> bytes:
        """`*.done`, `content_part.done`, and the item's end where this was its last part."""
        whole = part if isinstance(part, Text | Refusal) else self._builder.whole()
        content = json.encode(content_part(whole, LossReport("")))
        if isinstance(whole, Refusal):
            done = self._write(b"response.refusal.done", b'"refusal":' + json.encode(whole.text))
        else:
            assert isinstance(whole, Text), "content is text or a refusal"
            logprobs = json.encode(encode_logprobs(whole.logprobs or []))
            members = b'"text":%b,"logprobs":%b' % (json.encode(whole.text), logprobs)
            done = self._write(b"response.output_text.done", members)
        closed = self._write(b"response.content_part.done", b'"part":' + content)
        return done + closed + self._message.close_content(self._index, whole)
