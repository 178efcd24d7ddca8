"""One writer per kind of block: events of a part to the bytes of its block.

A block opens with its first content, because empty text blocks are refused when a client sends them back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.events import PartDelta
from aiclient2api.ir.parts import Citation, Opaque, Part, Reasoning, Refusal, Text, ToolCall
from aiclient2api.protocols.anthropic.blocks import (
    EMPTY_INPUT,
    answer_citation,
    foreign_feature,
    is_redacted,
    native_block,
    slot_data,
    tool_id,
    tool_input,
    tool_use,
)
from aiclient2api.protocols.anthropic.ext import kept
from aiclient2api.protocols.anthropic.stream_schema import (
    CITATION_DELTA,
    JSON_DELTA,
    SIGNATURE_DELTA,
    TEXT_DELTA,
    THINKING_DELTA,
    block_start,
    block_stop,
    one_line,
)
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json
from aiclient2api.wire.json import encode


class BlockWriter(Protocol):
    """Writes one block."""

    def open(self) -> bytes:
        """What the part's header holds already."""
        ...

    def feed(self, delta: PartDelta) -> bytes:
        """The next piece."""
        ...

    def close(self, part: Part | None) -> bytes:
        """The end; `part` is the whole when its source supplied it. Raises MalformedMessage."""
        ...


def block_writer(part: Part, indexes: Iterator[int], report: LossReport) -> BlockWriter:
    """The writer for a part; blocks take their index when they open."""
    match part:
        case Text() | Refusal():
            return TextWriter(part, indexes, report)
        case Reasoning():
            return _ThinkingWriter(part, indexes, report)
        case ToolCall():
            return _ToolWriter(part, indexes, report)
        case _:
            return _WholeWriter(part, indexes, report)


class TextWriter:
    """A text, or a refusal told as one."""

    __slots__ = (
        "_citations",
        "_index",
        "_indexes",
        "_lost",
        "_part",
        "_report",
    )

    def __init__(self, part: Text | Refusal, indexes: Iterator[int], report: LossReport) -> None:
        self._part = part
        self._indexes = indexes
        self._report = report
        self._index: int | None = None
        self._citations: list[Raw] = []
        self._lost: set[str] = set()

    @property
    def is_open(self) -> bool:
        """Whether its block has begun."""
        return self._index is not None

    def more(self, text: str) -> bytes:
        """The next piece of an open block."""
        return TEXT_DELTA % (self._index, encode(text))

    def open(self) -> bytes:
        """See BlockWriter."""
        part = self._part
        if isinstance(part, Refusal):
            self._report.approximated("refusal", "response", "sent as text")
        if isinstance(part, Text):
            self._report.phase(part, "response")
            for citation in part.citations:
                self._add(citation)
        return self._text(part.text)

    def feed(self, delta: PartDelta) -> bytes:
        """See BlockWriter."""
        match delta.channel:
            case "text" | "refusal":
                return self._text(delta.text)
            case "citation" if isinstance(delta.value, Citation):
                self._add(delta.value)
                return self._cited() if self._index is not None else b""
            case "logprobs":
                self._lose("logprobs")
            case _:
                pass
        return b""

    def close(self, part: Part | None) -> bytes:
        """See BlockWriter."""
        return b"" if self._index is None else block_stop(self._index)

    def _text(self, text: str) -> bytes:
        if not text:
            return b""
        if self._index is not None:
            return self.more(text)
        index = self._index = next(self._indexes)
        return (
            block_start(index, b'{"type":"text","text":""}')
            + TEXT_DELTA % (index, encode(text))
            + self._cited()
        )

    def _add(self, citation: Citation) -> None:
        raw = answer_citation(citation)
        if raw is None:
            self._lose("citation")
        else:
            self._citations.append(raw)

    def _cited(self) -> bytes:
        assert self._index is not None
        cited, self._citations = self._citations, []
        return b"".join([CITATION_DELTA % (self._index, one_line(raw)) for raw in cited])

    def _lose(self, feature: str) -> None:
        if feature not in self._lost:
            self._lost.add(feature)
            self._report.dropped(feature, "response")


class _ThinkingWriter:
    """Sections are separated by a blank line; the signature goes out once and whole, at the end."""

    def __init__(self, part: Reasoning, indexes: Iterator[int], report: LossReport) -> None:
        self._part = part
        self._indexes = indexes
        self._report = report
        self._index: int | None = None
        self._opaque: Opaque | None = part.opaque
        self._section: tuple[str, int] | None = None

    def open(self) -> bytes:
        header = [PartDelta(0, text, "summary", index) for index, text in enumerate(self._part.summary)]
        header += [PartDelta(0, text, "raw", index) for index, text in enumerate(self._part.raw)]
        return b"".join([self.feed(delta) for delta in header])

    def feed(self, delta: PartDelta) -> bytes:
        if delta.channel == "opaque" and isinstance(delta.value, Opaque):
            self._opaque = delta.value
            return b""
        if delta.channel not in ("summary", "raw") or not delta.text:
            return b""
        section = (delta.channel, delta.index)
        text = delta.text if self._section in (None, section) else "\n\n" + delta.text
        self._section = section
        return self._begin() + THINKING_DELTA % (self._index, encode(text))

    def close(self, part: Part | None) -> bytes:
        opaque = self._opaque or (part.opaque if part is not None else None)
        whole = Reasoning(opaque=opaque)
        data = slot_data(whole)
        if opaque is not None and data is None:
            self._report.dropped("reasoning.opaque", "response", opaque.kind)
        if is_redacted(whole) and self._index is None:
            index = next(self._indexes)
            return block_start(index, {"type": "redacted_thinking", "data": data}) + block_stop(index)
        if data is None:
            return b"" if self._index is None else block_stop(self._index)
        begun = self._begin()
        assert self._index is not None
        return begun + SIGNATURE_DELTA % (self._index, encode(data)) + block_stop(self._index)

    def _begin(self) -> bytes:
        if self._index is not None:
            return b""
        self._index = next(self._indexes)
        return block_start(self._index, b'{"type":"thinking","thinking":"","signature":""}')


class _ToolWriter:
    """Streams arguments that begin like an object; holds others back until they can be wrapped."""

    def __init__(self, part: ToolCall, indexes: Iterator[int], report: LossReport) -> None:
        self._part = part
        self._indexes = indexes
        self._report = report
        self._index = -1
        self._pieces: list[str] = []
        self._streams = False

    def open(self) -> bytes:
        self._index = next(self._indexes)
        self._report.call_id(self._part.call_id, tool_id(self._part), "response")
        block = {**tool_use(self._part, EMPTY_INPUT), **kept(self._part)}
        return block_start(self._index, block) + self._arguments(self._part.arguments)

    def feed(self, delta: PartDelta) -> bytes:
        return self._arguments(delta.text) if delta.channel == "arguments" else b""

    def close(self, part: Part | None) -> bytes:
        arguments = "".join(self._pieces)
        if self._streams:
            if not json.is_object(arguments.encode()):
                # what was sent cannot be taken back, and closing it ourselves would run half a command
                raise MalformedMessage(
                    "the arguments are not a JSON object", f"tool call {self._part.name!r}"
                )
            return block_stop(self._index)
        call = ToolCall(call_id="", name="", arguments=arguments, kind=self._part.kind)
        if call.kind == "function" and not arguments.strip():
            return block_stop(self._index)
        wrapped, exact = tool_input(call)
        if not exact:
            self._report.emulated("tool_call.arguments", "response", "not an object: sent as _raw")
        return JSON_DELTA % (self._index, encode(bytes(wrapped).decode())) + block_stop(self._index)

    def _arguments(self, text: str) -> bytes:
        if not text:
            return b""
        self._pieces.append(text)
        if self._streams:
            return JSON_DELTA % (self._index, encode(text))
        held = "".join(self._pieces)
        if self._part.kind == "custom" or not held.lstrip().startswith("{"):
            return b""
        self._streams = True
        return JSON_DELTA % (self._index, encode(held))


class _WholeWriter:
    """A block of this protocol that is passed on as it is; other protocols' parts stay behind."""

    def __init__(self, part: Part, indexes: Iterator[int], report: LossReport) -> None:
        self._part = part
        self._indexes = indexes
        self._report = report

    def open(self) -> bytes:
        return b""

    def feed(self, delta: PartDelta) -> bytes:
        return b""

    def close(self, part: Part | None) -> bytes:
        block = native_block(part or self._part)
        if block is None:
            self._report.dropped(foreign_feature(self._part), "response")
            return b""
        index = next(self._indexes)
        return block_start(index, block) + block_stop(index)
