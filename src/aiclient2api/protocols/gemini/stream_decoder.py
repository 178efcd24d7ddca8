"""An upstream's stream to events."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from aiclient2api.errors import TRUNCATED, ErrorInfo, MalformedMessage
from aiclient2api.ir.events import (
    CandidateEnd,
    Failure,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    UsageReport,
)
from aiclient2api.ir.parts import Ext, Opaque, Part, Reasoning, Text, ToolCall
from aiclient2api.ir.response import Finish
from aiclient2api.protocols import carrier, ids
from aiclient2api.protocols.counts import sane_counts
from aiclient2api.protocols.ext import unheard
from aiclient2api.protocols.gemini.citations import decode_grounding
from aiclient2api.protocols.gemini.decode_parts import arguments_text, decode_part
from aiclient2api.protocols.gemini.decode_response import MADE_AT, is_padding, timestamp
from aiclient2api.protocols.gemini.errors import decode_status
from aiclient2api.protocols.gemini.ext import repeated
from aiclient2api.protocols.gemini.fields import child, elements, fields, given
from aiclient2api.protocols.gemini.finish import decode_block, decode_finish
from aiclient2api.protocols.gemini.logprobs import decode_logprobs
from aiclient2api.protocols.gemini.schema import (
    NAME,
    SIGNATURE,
    CandidateChunk,
    Chunk,
    text_part,
)
from aiclient2api.protocols.gemini.stream_arguments import PartialArg, PartialArguments
from aiclient2api.protocols.gemini.usage import decode_usage, tier_of
from aiclient2api.wire import json
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.json import NULL, Members

_TEXT, _THOUGHT = Text(text=""), Reasoning()
_KEPT = {
    field.name: field.encode_name
    for field in msgspec.structs.fields(CandidateChunk)
    if field.name not in ("index", "content", "finish_reason", "finish_message")
}


class _Candidates(Struct):
    """The candidates of a chunk as they are."""

    candidates: list[Raw]


_CHUNK_MEMBERS = frozenset(field.encode_name for field in msgspec.structs.fields(Chunk))
_CANDIDATE_MEMBERS = frozenset(field.encode_name for field in msgspec.structs.fields(CandidateChunk))


class StreamDecoder:
    """See protocols.base.StreamDecoder.

    An answer ends with the connection: Google may repeat the finish reason in every chunk and send counts or
    sources after it.
    """

    def __init__(self) -> None:
        self.finished = False
        self.goes_on = False
        self._started = False
        self._ended = False
        self._id = ""
        self._candidates: dict[int, _Candidate] = {}
        self._usage: Raw | None = None
        self._blocked: Finish | None = None
        self._ext: dict[str, Raw] = {}

    def feed(self, frame: Frame) -> list[StreamEvent]:
        """See protocols.base.StreamDecoder.feed."""
        if not frame.data or self._ended:
            return []
        chunk = json.decode(frame.data, Chunk)
        if given(chunk.error):
            return self._fail(decode_status(chunk.error, None))
        events: list[StreamEvent] = []
        if not self._started:
            events.append(self._start(chunk, frame.data))
        if given(chunk.usage_metadata):
            self._usage = chunk.usage_metadata
        if given(chunk.prompt_feedback):
            self._feedback(chunk.prompt_feedback)
        if given(chunk.model_status):
            self._ext["modelStatus"] = chunk.model_status
        for position, piece in enumerate(chunk.candidates or ()):
            index = position if piece.index is None else piece.index
            candidate = self._candidates.get(index)
            if candidate is None:
                candidate = self._candidates[index] = _Candidate(index, self._id)
            if piece.finish_reason is not None and not candidate.is_finished:
                candidate.keep_unheard(frame.data, position)
            candidate.feed(piece, events)
            if piece.finish_reason is not None or self.finished:
                self._settle()
        return events

    def close(self) -> list[StreamEvent]:
        """See protocols.base.StreamDecoder.close."""
        if self._ended:
            return []
        counts = self._usage
        usage = None if counts is None else sane_counts(lambda: decode_usage(counts))
        report: list[StreamEvent] = [UsageReport(usage, final=True)] if usage is not None else []
        if not self.finished:
            return [*report, *self._fail(TRUNCATED)]
        self._ended = True
        events: list[StreamEvent] = []
        for candidate in self._candidates.values():
            candidate.end(events)
        events.extend(report)
        events.extend(
            CandidateEnd(candidate.finish(), candidate.index) for candidate in self._candidates.values()
        )
        blocked = None if self._candidates else self._blocked
        ext = repeated(self._ext, MADE_AT)
        return [*events, ResponseEnd(ext=ext, blocked=blocked, tier=tier_of(self._usage))]

    def _settle(self) -> None:
        candidates = self._candidates.values()
        self.finished = all(candidate.is_finished for candidate in candidates)
        self.goes_on = any(candidate.repeats for candidate in candidates)

    def _fail(self, error: ErrorInfo) -> list[StreamEvent]:
        self._ended = True
        return [Failure(error)]

    def _start(self, chunk: Chunk, data: bytes) -> ResponseStart:
        self._started = True
        self._ext |= unheard(data, _CHUNK_MEMBERS)
        self._id = chunk.response_id or ""
        created = timestamp(chunk.create_time) if chunk.create_time is not None else None
        if chunk.create_time is not None:
            self._ext["createTime"] = json.raw(chunk.create_time)
        return ResponseStart(id=self._id, model=chunk.model_version or "", created=created)

    def _feedback(self, feedback: Raw) -> None:
        self._blocked = decode_block(feedback)
        self.finished = self._blocked is not None and not self._candidates
        if self._blocked is None:
            self._ext["promptFeedback"] = feedback


class _OpenCall(Struct):
    """A call whose arguments are still coming."""

    number: int
    arguments: PartialArguments


class _Candidate:
    """The parts of one candidate."""

    def __init__(self, index: int, response_id: str) -> None:
        self.index = index
        self._response_id = response_id
        self._next = 0
        self._calls = 0
        self._open: int | None = None
        self._is_thought = False
        self._texts: list[str] = []
        self._call: _OpenCall | None = None
        self._reason: str | None = None
        self._message: str | None = None
        self.repeats = False
        """Content came together with a second finish reason."""
        self._ext: dict[str, Raw] = {}

    @property
    def is_finished(self) -> bool:
        """A finish reason was seen."""
        return self._reason is not None

    def finish(self) -> Finish:
        """Why the candidate ended."""
        ext: Ext | None = {NAME: self._ext} if self._ext else None
        return decode_finish(self._reason, self._message, ext, has_calls=self._calls > 0)

    def feed(self, piece: CandidateChunk, events: list[StreamEvent]) -> None:
        """The next piece of this candidate. Content behind its end is dropped, unless it comes with another end."""
        if piece.content is not None and (self._reason is None or piece.finish_reason is not None):
            parts = piece.content.parts or ()
            self.repeats = self.repeats or (self._reason is not None and bool(parts))
            for raw in parts:
                self._part(raw, events)
        if piece.finish_reason is not None:
            self._reason = piece.finish_reason
            self._message = piece.finish_message
        if given(piece.logprobs_result) and self._open is not None and not self._is_thought:
            logprobs = decode_logprobs(piece.logprobs_result)
            if logprobs:
                events.append(PartDelta(self._open, "", "logprobs", 0, logprobs, self.index))
        if piece.finish_reason is not None or given(piece.grounding_metadata):
            self._keep(piece)

    def keep_unheard(self, data: bytes, position: int) -> None:
        """What the chunk that ends the candidate says beside the members that we know."""
        raw = json.decode(data, _Candidates).candidates[position]
        self._ext |= unheard(raw, _CANDIDATE_MEMBERS)

    def _keep(self, piece: CandidateChunk) -> None:
        """What has no place in the IR goes back to a client of this protocol only; the last one wins."""
        for name, key in _KEPT.items():
            value: Raw = getattr(piece, name)
            if given(value):
                self._ext[key] = value

    def end(self, events: list[StreamEvent]) -> None:
        """The candidate is complete: now its sources are known to be final."""
        grounding = self._ext.get("groundingMetadata")
        if grounding is not None and self._open is not None and not self._is_thought:
            events.extend(
                PartDelta(self._open, "", "citation", 0, citation, self.index)
                for citation in decode_grounding(grounding, "".join(self._texts))
            )
        if self._call is not None and self._reason != "STOP":
            self._close_call(events, cut=True)
        self.close(events)

    def close(self, events: list[StreamEvent]) -> None:
        """Close what is open; a call that the upstream finished without saying so is complete."""
        self._close_call(events)
        self._close_text(events)

    def _part(self, raw: Raw, events: list[StreamEvent]) -> None:
        try:
            piece = text_part.decode(raw)
        except (msgspec.ValidationError, UnicodeDecodeError):
            self._other(raw, events)
            return
        if piece.thought_signature:
            self._signed(
                piece.text, carrier.opaque(SIGNATURE, piece.thought_signature), piece.thought, events
            )
        elif piece.text:
            self._say(piece.text, piece.thought, events)

    def _say(self, text: str, thought: bool, events: list[StreamEvent]) -> None:
        """Text goes on in the open part of its kind."""
        number = self._open
        if number is None or self._is_thought is not thought:
            self.close(events)
            number = self._open = self._number()
            self._is_thought = thought
            events.append(PartStart(number, _THOUGHT if thought else _TEXT, self.index))
        if not thought:
            self._texts.append(text)
        events.append(PartDelta(number, text, "summary" if thought else "text", 0, None, self.index))

    def _signed(self, text: str, opaque: Opaque, thought: bool, events: list[StreamEvent]) -> None:
        """A signed part stays alone: Google forbids to join it with another."""
        self.close(events)
        number = self._number()
        if not text:
            part: Part = Reasoning(opaque=opaque) if thought else Text(text="", opaque=opaque)
            events += [PartStart(number, part, self.index), PartEnd(number, None, self.index)]
            return
        events += [
            PartStart(number, _THOUGHT if thought else _TEXT, self.index),
            PartDelta(number, text, "summary" if thought else "text", 0, None, self.index),
            PartDelta(number, "", "opaque", 0, opaque, self.index),
            PartEnd(number, None, self.index),
        ]

    def _other(self, raw: Raw, events: list[StreamEvent]) -> None:
        members = fields(raw, "parts")
        if "functionCall" in members and self._streamed_call(members, events):
            return
        part = decode_part(raw, "parts")
        if is_padding(part):
            return
        self.close(events)
        if isinstance(part, ToolCall):
            self._whole_call(part, events)
            return
        number = self._number()
        events += [PartStart(number, part, self.index), PartEnd(number, None, self.index)]

    def _whole_call(self, call: ToolCall, events: list[StreamEvent]) -> None:
        number = self._number()
        header = msgspec.structs.replace(call, arguments="", call_id=call.call_id or self._call_id())
        self._calls += 1
        events += [
            PartStart(number, header, self.index),
            PartDelta(number, call.arguments, "arguments", 0, None, self.index),
            PartEnd(number, None, self.index),
        ]

    def _call_id(self) -> str:
        return ids.synthetic_call_id(self._response_id, str(self.index), str(self._calls))

    def _streamed_call(self, members: Members, events: list[StreamEvent]) -> bool:
        """Arguments in pieces; false for a call that is whole."""
        call = child(members, "functionCall")
        if call is None:
            return True
        name, goes_on = call.take("name", str), call.take("willContinue", bool) or False
        pieces = [json.decode(raw, PartialArg, path) for raw, path in elements(call, "partialArgs")]
        if name is not None and not goes_on and not pieces:
            return False
        if name is not None:
            self.close(events)
            self._open_call(name, call, members, events)
        if self._call is None and not pieces:
            return True
        if self._call is None:
            raise MalformedMessage("a function call goes on that has not begun", "functionCall")
        for piece in pieces:
            self._call.arguments.add(piece)
        args = call.raw("args")
        if args is not None and args != NULL:
            self._call.arguments.whole = arguments_text(args)
        if not goes_on:
            self._close_call(events)
        return True

    def _open_call(self, name: str, call: Members, part: Members, events: list[StreamEvent]) -> None:
        call_id, signature = call.take("id", str), part.take("thoughtSignature", str)
        header = ToolCall(
            call_id=call_id or self._call_id(),
            name=name,
            synthetic_id=not call_id,
            opaque=carrier.opaque(SIGNATURE, signature) if signature else None,
        )
        number = self._number()
        self._calls += 1
        self._call = _OpenCall(number, PartialArguments())
        events.append(PartStart(number, header, self.index))

    def _close_call(self, events: list[StreamEvent], *, cut: bool = False) -> None:
        call, self._call = self._call, None
        if call is not None:
            events += [
                PartDelta(call.number, call.arguments.text(), "arguments", 0, None, self.index),
                PartEnd(call.number, None, self.index, cut),
            ]

    def _close_text(self, events: list[StreamEvent]) -> None:
        if self._open is not None:
            events.append(PartEnd(self._open, None, self.index))
            self._open = None
            self._texts.clear()

    def _number(self) -> int:
        self._next += 1
        return self._next - 1
