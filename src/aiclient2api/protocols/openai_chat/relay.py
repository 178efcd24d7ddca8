"""Same protocol on both sides: peek, splice, and a tap on the relayed stream."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.response import REFUSALS, Usage
from aiclient2api.protocols.base import Peek, Splice, SystemPrompt
from aiclient2api.protocols.counts import sane_counts
from aiclient2api.protocols.openai_chat.decode_request import operation_of
from aiclient2api.protocols.openai_chat.schema import FINISH_TO_IR, Chunk, ChunkChoice, Delta, has_value
from aiclient2api.protocols.openai_chat.stream_decoder import DONE, parse_chunk
from aiclient2api.protocols.openai_chat.stream_encoder import DONE_EVENT, PING, in_band_error
from aiclient2api.protocols.openai_chat.usage import Counts, decode_usage, usage_of
from aiclient2api.protocols.openai_errors import decode_error_object
from aiclient2api.protocols.output_bound import bound_of
from aiclient2api.wire import json
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest, WireResponse
from aiclient2api.wire.json import NULL

_KEPT_HEADERS = frozenset(("content-type", "openai-beta"))
_PATHS = {"generate": "/chat/completions", "embed": "/embeddings"}


_TRUE = Raw(b"true")
_NOTHING = Raw(b"[]")


class _Options(Struct, frozen=True):
    include_usage: bool | None = None


class _Peeked(Struct, frozen=True):
    model: str
    stream: bool | None = None
    stream_options: _Options | None = None
    n: int | None = None


class _Role(Struct, frozen=True):
    role: str | None = None


class _Whole(Struct, frozen=True):
    usage: Counts | None = None


class _ContentChoice(Struct, frozen=True, gc=False):
    finish_reason: Literal[""] | None = None
    usage: None = None


class _ContentChunk(Struct, frozen=True, gc=False):
    """A chunk without an end, an error or counts; one with them is refused as invalid."""

    choices: list[_ContentChoice] | None = None
    usage: None = None
    error: None = None


_see_content = msgspec.json.Decoder(_ContentChunk).decode
_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def peek(request: WireRequest) -> Peek:
    """What routing needs."""
    peeked = json.decode(request.body, _Peeked)
    if not peeked.model:
        raise MalformedMessage("must not be empty", "model")
    return Peek(
        model=peeked.model,
        stream="sse" if peeked.stream else "no",
        operation=operation_of(request.path),
    )


def output_bound(request: WireRequest) -> int | None:
    """See Converter.output_bound."""
    return bound_of(
        partial(json.decode, request.body, dict[str, Raw]), ("max_completion_tokens", "max_tokens"), times="n"
    )


def splice(request: WireRequest, splice: Splice) -> WireRequest:
    """The request for an upstream, everything else byte for byte."""
    operation = operation_of(request.path)
    members = json.decode(request.body, dict[str, Raw])
    changes: dict[str, Raw] = {}
    model = json.raw(splice.model)
    if members.get("model") != model and json.decode(members.get("model", NULL), object) != splice.model:
        changes["model"] = model
    if operation == "generate":
        changes |= _usage_option(members)
        if splice.system is not None:
            changes["messages"] = _with_system(members.get("messages", NULL), splice.system)
    return WireRequest(
        path=_PATHS[operation],
        body=json.encode(members | changes) if changes else request.body,
        headers=tuple([header for header in request.headers if header[0] in _KEPT_HEADERS]),
    )


def whole_usage(response: WireResponse) -> Usage | None:
    """Token counts of a complete relayed answer."""
    try:
        counts = json.decode(response.body, _Whole).usage
    except MalformedMessage:
        return None
    return None if counts is None else usage_of(counts)


class ChatStreamTap:
    """See base.AnswerStream. Looks closely at the chunks up to the first content, and at ends, counts and errors."""

    __slots__ = (
        "_begun",
        "_done",
        "_skims",
        "_strips_usage",
        "_wanted",
        "content",
        "ended",
        "failure",
        "finished",
        "goes_on",
        "refused",
        "response_id",
        "usage",
    )

    def __init__(self, request: WireRequest) -> None:
        self.content = False
        self.ended = False
        self.refused = False
        self.finished = False
        self.goes_on = False
        self.usage: Usage | None = None
        self.failure: ErrorInfo | None = None
        self.response_id = ""
        asked = json.decode(request.body, _Peeked)
        options = asked.stream_options
        self._strips_usage = not (options and options.include_usage)
        self._wanted = asked.n or 1
        self._skims = False
        """Whether what is only content needs no look: of several candidates it must be known which have begun."""
        self._begun: set[int] = set()
        self._done: set[int] = set()

    def feed(self, frame: Frame) -> bytes:
        """See base.AnswerStream."""
        data = frame.data
        if self._skims:
            try:
                _see_content(data)
                return frame.raw
            except _FAULTS:
                pass  # it is to be looked at closely
        if self.failure is not None:
            return b""
        if data == DONE:
            if not self._done or self._begun - self._done:  # a cut answer must not look like one with an end
                raise MalformedMessage("[DONE] without a finish reason")
            self.finished = self.ended = True
            return frame.raw
        return self._look(data, frame.raw) if data else frame.raw

    def close(self) -> bytes:
        """See base.AnswerStream."""
        if self.ended:
            return b""
        self.ended = True
        return DONE_EVENT

    def fail(self, error: ErrorInfo) -> bytes:
        """See base.AnswerStream."""
        return in_band_error(error)

    def ping(self) -> bytes:
        """See base.AnswerStream."""
        return PING

    def _look(self, data: bytes, raw: bytes) -> bytes:
        try:
            chunk = parse_chunk(data)
        except MalformedMessage:
            # odd members are the client's to read: a relay only asks that the event is whole
            json.check_event(data)
            return raw
        return self._read(chunk, raw)

    def _read(self, chunk: Chunk, raw: bytes) -> bytes:
        choices = chunk.choices or ()
        if has_value(chunk.error) or any(choice.finish_reason == "error" for choice in choices):
            self.failure = decode_error_object(chunk.error if has_value(chunk.error) else b"{}")
            return b""  # the gateway tells the client, by `fail`
        was_finished = self.finished
        self.response_id = self.response_id or chunk.id or ""
        self.content = self.content or any(map(_has_content, choices))
        for choice in choices:
            self._begun.add(choice.index)
            self._finish(choice)
        self._skims = self.content and not self.finished and self._wanted == 1
        counts = chunk.usage if has_value(chunk.usage) else _counts_of(choices)
        if counts is not None:
            self.usage = sane_counts(lambda: decode_usage(counts)) or self.usage
        if was_finished and any(map(_is_extra, choices)):
            return self._counts_only(chunk, raw)
        return b"" if has_value(chunk.usage) and self._strips_usage and not choices else raw

    def _finish(self, choice: ChunkChoice) -> None:
        if choice.finish_reason:
            self._done.add(choice.index)
            self.finished = len(self._done) >= self._wanted
            self.refused = self.refused or FINISH_TO_IR.get(choice.finish_reason) in REFUSALS

    def _counts_only(self, chunk: Chunk, raw: bytes) -> bytes:
        """A second end, or content behind the end, is dropped; the counts in the same chunk are not."""
        if self._strips_usage or not has_value(chunk.usage):
            return b""
        data = json.encode(json.decode(raw.partition(b"data:")[2], dict[str, Raw]) | {"choices": _NOTHING})
        return b"data: " + data + b"\n\n"


def _counts_of(choices: Sequence[ChunkChoice]) -> Raw | None:
    """Moonshot puts the counts into the choice."""
    return next((choice.usage for choice in choices if has_value(choice.usage)), None)


def _is_extra(choice: ChunkChoice) -> bool:
    return bool(choice.finish_reason or (choice.delta and _is_content(choice.delta)))


def _has_content(choice: ChunkChoice) -> bool:
    return has_value(choice.message) if choice.delta is None else _is_content(choice.delta)


def _is_content(delta: Delta) -> bool:
    return bool(
        delta.content
        or delta.reasoning_content
        or delta.reasoning
        or delta.reasoning_details
        or delta.refusal
        or delta.tool_calls
        or delta.function_call
        or delta.audio
        or delta.images
    )


def _usage_option(members: dict[str, Raw]) -> dict[str, Raw]:
    """A stream is always asked for its usage; the tap removes it for clients that did not ask."""
    if members.get("stream") != _TRUE:
        return {}
    raw = members.get("stream_options", NULL)
    options = json.decode(raw, dict[str, Raw], "stream_options") if raw != NULL else {}
    if options.get("include_usage") == _TRUE:
        return {}
    return {"stream_options": json.raw(options | {"include_usage": _TRUE})}


def _with_system(messages: Raw, system: SystemPrompt) -> Raw:
    """The operator's text behind the client's leading instructions, or in their place."""
    items = json.parse_array(messages, "messages")
    leading = 0
    while leading < len(items) and json.decode(items[leading], _Role, "messages").role in (
        "system",
        "developer",
    ):
        leading += 1
    own = json.raw({"role": "system", "content": system.text})
    kept = [] if system.mode == "replace" else items[:leading]
    return json.raw([*kept, own, *items[leading:]])
