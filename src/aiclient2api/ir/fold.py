"""Streams and whole answers are two views of the same thing: `fold` and `unfold` go between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never

import msgspec

from aiclient2api.errors import ErrorInfo, MalformedMessage
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
from aiclient2api.ir.parts import (
    Citation,
    Ext,
    Inline,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    TokenLogprob,
    ToolCall,
)
from aiclient2api.ir.request import Turn
from aiclient2api.ir.response import Candidate, Finish, ModelResponse, Usage


class StreamFailed(Exception):
    """The folded stream ended with a Failure."""

    def __init__(self, error: ErrorInfo) -> None:
        super().__init__(error.message)
        self.error = error


class PartBuilder:
    """Collects one part: its header, then its deltas."""

    __slots__ = ("citations", "logprobs", "opaque", "part", "pieces", "sections")

    def __init__(self, part: Part) -> None:
        self.part = part
        self.pieces: list[str] = []
        self.sections: dict[tuple[str, int], list[str]] = {}
        self.citations: list[Citation] = []
        self.logprobs: list[TokenLogprob] = []
        self.opaque: Opaque | None = None

    def add(self, delta: PartDelta) -> None:
        """Take the next piece."""
        match delta.channel:
            case "text" | "arguments" | "refusal" | "audio":
                self.pieces.append(delta.text)
            case "summary" | "raw" | "transcript":
                self.sections.setdefault((delta.channel, delta.index), []).append(delta.text)
            case "citation":
                assert isinstance(delta.value, Citation)
                self.citations.append(delta.value)
            case "logprobs":
                assert isinstance(delta.value, list)
                self.logprobs.extend(delta.value)
            case "opaque":
                assert isinstance(delta.value, Opaque)
                self.opaque = delta.value
            case _:
                assert_never(delta.channel)

    def _section(self, channel: str) -> list[str]:
        return ["".join(pieces) for (name, _), pieces in sorted(self.sections.items()) if name == channel]

    def whole(self) -> Part:
        """The part with everything so far."""
        part = self.part
        opaque = self.opaque or part.opaque
        text = "".join(self.pieces)
        replace = msgspec.structs.replace
        match part:
            case Text():
                return replace(
                    part,
                    text=part.text + text,
                    citations=[*part.citations, *self.citations],
                    logprobs=[*(part.logprobs or []), *self.logprobs] or None,
                    opaque=opaque,
                )
            case Refusal():
                return replace(part, text=part.text + text, opaque=opaque)
            case Reasoning():
                return replace(
                    part,
                    summary=[*part.summary, *self._section("summary")],
                    raw=[*part.raw, *self._section("raw")],
                    opaque=opaque,
                )
            case ToolCall():
                return replace(part, arguments=part.arguments + text, opaque=opaque)
            case Media():
                source = part.source
                if text and isinstance(source, Inline):
                    source = Inline(source.mime, source.data + text)
                transcript = "".join([part.transcript or "", *self._section("transcript")]) or None
                return replace(part, source=source, transcript=transcript, opaque=opaque)
            case _:
                return replace(part, opaque=opaque) if opaque is not part.opaque else part


class Folder:
    """Collects events; `response()` is the whole answer once ResponseEnd was fed."""

    def __init__(self, protocol: str) -> None:
        self._protocol = protocol
        self._start = ResponseStart()
        self._open: dict[tuple[int, int], PartBuilder] = {}
        self._done: dict[tuple[int, int], Part] = {}
        self._finish: dict[int, Finish] = {}
        self._usage: Usage | None = None
        self._end: ResponseEnd | None = None

    def feed(self, event: StreamEvent) -> None:
        """Take the next event. Raises StreamFailed on a Failure."""
        match event:
            case PartDelta():
                self._open[event.candidate, event.number].add(event)
            case PartStart():
                self._open[event.candidate, event.number] = PartBuilder(event.part)
            case PartEnd():
                opened = self._open.pop((event.candidate, event.number))
                part = event.part or opened.whole()
                if event.cut and isinstance(part, ToolCall):
                    part = msgspec.structs.replace(part, status="incomplete")
                self._done[event.candidate, event.number] = part
            case ResponseStart():
                self._start = event
                self._usage = event.usage
            case UsageReport():
                self._usage = event.usage
            case CandidateEnd():
                self._finish[event.candidate] = event.finish
            case ResponseEnd():
                self._end = event
            case Failure():
                raise StreamFailed(event.error)
            case Ping() | NativeEvent():
                pass
            case _:
                assert_never(event)

    def more_text(self, candidate: int, number: int) -> Callable[[str], None]:
        """Takes the next pieces of a text that is open."""
        return self._open[candidate, number].pieces.append

    def response(self) -> ModelResponse:
        """The whole answer. Raises MalformedMessage when the stream did not reach its end."""
        if self._end is None or self._open:
            raise MalformedMessage("the stream ended without its terminal event")
        parts: dict[int, list[Part]] = {}
        for index in sorted(self._finish):
            parts[index] = []
        for place in sorted(self._done):
            parts.setdefault(place[0], []).append(self._done[place])
        return ModelResponse(
            protocol=self._protocol,
            id=self._start.id,
            model=self._start.model,
            created=self._start.created,
            candidates=[
                Candidate(
                    turn=Turn(role="assistant", parts=items), index=index, finish=self._finish.get(index)
                )
                for index, items in parts.items()
            ],
            usage=self._usage,
            blocked=self._end.blocked,
            tier=self._end.tier or self._start.tier,
            ext=joined(self._start.ext, self._end.ext),
        )


def joined(first: Ext | None, last: Ext | None) -> Ext | None:
    """Members of both ends of a stream; the later one wins."""
    if first is None or last is None:
        return last if first is None else first
    return {name: {**first.get(name, {}), **last.get(name, {})} for name in (*first, *last)}


def fold(events: Iterable[StreamEvent], protocol: str) -> ModelResponse:
    """The whole answer of a complete stream."""
    folder = Folder(protocol)
    for event in events:
        folder.feed(event)
    return folder.response()


def unfold(response: ModelResponse) -> list[StreamEvent]:
    """A whole answer as the shortest stream that folds back to it."""
    events: list[StreamEvent] = [
        ResponseStart(
            id=response.id,
            model=response.model,
            created=response.created,
            usage=response.usage,
            ext=response.ext,
            tier=response.tier,
        )
    ]
    for candidate in response.candidates:
        for number, part in enumerate(candidate.turn.parts):
            events.extend(_unfold_part(part, number, candidate.index))
    if response.usage is not None:
        events.append(UsageReport(response.usage, final=True))
    events.extend(
        CandidateEnd(candidate.finish, candidate.index)
        for candidate in response.candidates
        if candidate.finish
    )
    events.append(ResponseEnd(ext=response.ext, blocked=response.blocked, tier=response.tier))
    return events


def _unfold_part(part: Part, number: int, candidate: int) -> list[StreamEvent]:
    replace = msgspec.structs.replace
    deltas: list[PartDelta] = []
    header: Part = part
    match part:
        case Text():
            header = replace(
                part, text="", citations=[], logprobs=None, opaque=None if part.text else part.opaque
            )
            if part.text:
                deltas.append(PartDelta(number, part.text, candidate=candidate))
            deltas.extend(PartDelta(number, "", "citation", 0, item, candidate) for item in part.citations)
            if part.logprobs:
                deltas.append(PartDelta(number, "", "logprobs", 0, part.logprobs, candidate))
            if part.text and part.opaque:
                deltas.append(PartDelta(number, "", "opaque", 0, part.opaque, candidate))
        case Refusal():
            header = replace(part, text="")
            deltas.append(PartDelta(number, part.text, "refusal", candidate=candidate))
        case Reasoning():
            header = replace(part, summary=[], raw=[])
            for index, text in enumerate(part.summary):
                deltas.append(PartDelta(number, text, "summary", index, candidate=candidate))
            for index, text in enumerate(part.raw):
                deltas.append(PartDelta(number, text, "raw", index, candidate=candidate))
        case ToolCall():
            header = replace(part, arguments="")
            if part.arguments:
                deltas.append(PartDelta(number, part.arguments, "arguments", candidate=candidate))
        case _:
            pass
    return [PartStart(number, header, candidate), *deltas, PartEnd(number, part, candidate)]
