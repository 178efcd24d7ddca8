"""An upstream's chunks to events.

Lenient where servers differ: a missing tool index, a whole call in one chunk, an index that is used again with
another id, the role in every chunk, a finish reason twice, usage in any chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import msgspec
from msgspec import Raw

from aiclient2api.errors import TRUNCATED, ErrorInfo, MalformedMessage
from aiclient2api.ir.events import (
    Failure,
    PartDelta,
    Ping,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    UsageReport,
)
from aiclient2api.ir.response import Usage
from aiclient2api.protocols.counts import sane_counts
from aiclient2api.protocols.ext import unheard
from aiclient2api.protocols.openai_chat.schema import (
    CHOICE_MEMBERS,
    CHUNK_MEMBERS,
    DELTA_MEMBERS,
    NAME,
    NOTHING,
    Chunk,
    ChunkChoice,
    chunk_decoder,
    known_decoder,
    text_decoder,
)
from aiclient2api.protocols.openai_chat.stream_decode_candidate import CandidateDecoder
from aiclient2api.protocols.openai_chat.usage import decode_usage
from aiclient2api.protocols.openai_errors import decode_error_object
from aiclient2api.wire import json
from aiclient2api.wire.frames import Frame

DONE = b"[DONE]"


_decode_text, _decode_chunk = text_decoder.decode, chunk_decoder.decode
_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def parse_chunk(data: bytes) -> Chunk:
    """One chunk. Raises MalformedMessage."""
    try:
        return _decode_chunk(data)
    except _FAULTS as error:
        raise MalformedMessage(f"not a chat completion chunk: {error}") from None


def _unknown(data: bytes) -> dict[str, Raw]:
    """What a chunk, its choices and their deltas have that nobody knows."""
    try:
        known_decoder.decode(data)
    except _FAULTS:
        pass
    else:
        return {}
    found = unheard(data, CHUNK_MEMBERS)
    choices = (json.as_object(data) or {}).get("choices", json.NULL)
    for raw in json.parse_array(choices) if choices != json.NULL else ():
        found |= unheard(raw, CHOICE_MEMBERS)
        found |= unheard((json.as_object(raw) or {}).get("delta", json.NULL), DELTA_MEMBERS)
    return found


class ChatStreamDecoder:
    """See base.StreamDecoder."""

    __slots__ = (
        "_beside",
        "_candidates",
        "_id",
        "_over",
        "_started",
        "_talks",
        "_usage",
        "finished",
        "goes_on",
    )

    def __init__(self) -> None:
        self.finished = False
        self.goes_on = False
        self._id = ""
        self._started = False
        self._over = False
        self._talks: int | None = None
        """The candidate whose text the last chunk ended with: the next may only add to it."""
        self._candidates: dict[int, CandidateDecoder] = {}
        self._usage: Usage | None = None
        self._beside: dict[str, Raw] = {}
        """Members that no event has a field for, of the first and the last chunks."""

    def feed(self, frame: Frame) -> list[StreamEvent]:
        """The events of one chunk."""
        if self._over:
            return []
        data = frame.data
        if not data:
            return [Ping()]
        if data == DONE:
            return self.close()
        chunk = parse_chunk(data)
        if chunk.error not in NOTHING:
            return self._failed(decode_error_object(chunk.error))
        events: list[StreamEvent] = []
        if chunk.moderation not in NOTHING:
            self._beside["moderation"] = chunk.moderation
        has_counts = chunk.usage not in NOTHING
        if has_counts:
            self._count(chunk.usage)
        # Azure sends a chunk without choices, id and model before the first real one
        if not self._started and (chunk.choices or has_counts):
            events.append(self._start(chunk))
        if not chunk.choices:
            self._beside |= _unknown(data)
        for choice in chunk.choices or ():
            self._choice(choice, data, events)
        self._talks = None
        if events:
            last = events[-1]
            if type(last) is PartDelta and last.channel == "text":
                self._talks = last.candidate
        return events

    def more_text(self, frame: Frame) -> str | None:
        """See base.TextDecoder."""
        try:
            choice = _decode_text(frame.data).choices[0]
        except _FAULTS:
            return None
        return choice.delta.content if choice.index == self._talks else None

    def more_texts(self, frames: Sequence[Frame]) -> list[str]:
        """See base.TextDecoder."""
        texts: list[str] = []
        index = self._talks
        try:
            for frame in frames:
                choice = _decode_text(frame.data).choices[0]
                if choice.index != index:
                    break
                texts.append(choice.delta.content)
        except _FAULTS:
            pass  # the next is no text, or no chunk: `feed` looks closer
        return texts

    def close(self) -> list[StreamEvent]:
        """The end: whole if every candidate had its finish reason, else a failure."""
        if self._over:
            return []
        if not self.finished:
            return self._failed(TRUNCATED)
        self._over = True
        return [*self._usage_report(), ResponseEnd(ext={NAME: self._beside} if self._beside else None)]

    def _start(self, chunk: Chunk) -> ResponseStart:
        self._started = True
        self._id = chunk.id or ""
        beside: dict[str, Raw] = {}
        if chunk.system_fingerprint:
            beside["system_fingerprint"] = json.raw(chunk.system_fingerprint)
        return ResponseStart(
            id=self._id,
            model=chunk.model or "",
            created=chunk.created,
            ext={NAME: beside} if beside else None,
            tier=chunk.service_tier,
        )

    def _choice(self, choice: ChunkChoice, data: bytes, events: list[StreamEvent]) -> None:
        candidate = self._candidates.get(choice.index)
        if candidate is None or choice.finish_reason:
            self._beside |= _unknown(data)
        if candidate is None:
            candidate = self._candidates[choice.index] = CandidateDecoder(choice.index, self._id)
            self.finished = False
        if choice.usage not in NOTHING:
            self._count(choice.usage)
        candidate.feed(choice, events)
        if choice.finish_reason:
            self.finished = all(each.finished for each in self._candidates.values())

    def _count(self, usage: Raw) -> None:
        self._usage = sane_counts(partial(decode_usage, usage)) or self._usage

    def _failed(self, error: ErrorInfo) -> list[StreamEvent]:
        self._over = True
        return [*self._usage_report(), Failure(error)]

    def _usage_report(self) -> list[StreamEvent]:
        return [UsageReport(self._usage, final=True)] if self._usage is not None else []
