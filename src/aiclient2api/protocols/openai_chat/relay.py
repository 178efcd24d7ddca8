"""Same protocol on both sides: peek, splice, and a tap on the relayed stream."""

from __future__ import annotations

import re

from msgspec import Raw, Struct

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.response import Usage
from aiclient2api.protocols.base import Peek, Splice, SystemPrompt
from aiclient2api.protocols.openai_chat.decode_request import operation_of
from aiclient2api.protocols.openai_chat.schema import Chunk, Delta, has_value
from aiclient2api.protocols.openai_chat.stream_decoder import DONE, TRUNCATED, parse_chunk
from aiclient2api.protocols.openai_chat.stream_encoder import PING, in_band_error
from aiclient2api.protocols.openai_chat.usage import decode_usage
from aiclient2api.protocols.openai_errors import decode_error_object
from aiclient2api.wire import json
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest, WireResponse
from aiclient2api.wire.json import NULL

_KEPT_HEADERS = frozenset(("content-type", "openai-beta"))
_PATHS = {"generate": "/chat/completions", "embed": "/embeddings"}


_TRUE = Raw(b"true")
_FINISH = re.compile(rb'"finish_reason"\s*:\s*"')
_USAGE = re.compile(rb'"usage"\s*:\s*\{')


class _Options(Struct, frozen=True):
    include_usage: bool | None = None


class _Peeked(Struct, frozen=True):
    model: str
    stream: bool | None = None
    stream_options: _Options | None = None


class _Role(Struct, frozen=True):
    role: str | None = None


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
        headers=tuple(header for header in request.headers if header[0] in _KEPT_HEADERS),
    )


def whole_usage(response: WireResponse) -> Usage | None:
    """Token counts of a complete relayed answer."""
    try:
        usage = json.decode(response.body, dict[str, Raw]).get("usage", NULL)
        return decode_usage(usage) if has_value(usage) else None
    except MalformedMessage:
        return None


class ChatStreamTap:
    """See base.StreamTap. Parses a chunk only until the first content, and where usage or an error may be."""

    def __init__(self, request: WireRequest) -> None:
        self.content = False
        self.ended = False
        self.usage: Usage | None = None
        self.failure: ErrorInfo | None = None
        self.response_id = ""
        options = json.decode(request.body, _Peeked).stream_options
        self._strips_usage = not (options and options.include_usage)
        self._finished = False

    def feed(self, frame: Frame) -> bytes:
        """See base.StreamTap."""
        data = frame.data
        if self.failure is not None:
            return b""
        if data == DONE:
            self._end()
            # nothing may look like a normal end after an answer that was cut
            return b"" if self.failure is not None else frame.raw
        if not data:
            return frame.raw
        if not self._finished and _FINISH.search(data):
            self._finished = True
        is_wanted = not self.content or b'"error"' in data or _USAGE.search(data)
        if is_wanted:
            return self._look(data, frame.raw)
        json.check_event(data)
        return frame.raw

    def close(self) -> bytes:
        """See base.StreamTap."""
        self._end()
        return b""

    def fail(self, error: ErrorInfo) -> bytes:
        """See base.StreamTap."""
        return in_band_error(error)

    def ping(self) -> bytes:
        """See base.StreamTap."""
        return PING

    def _end(self) -> None:
        if self.failure is not None:
            return
        if self._finished:
            self.ended = True
        else:
            self.failure = TRUNCATED

    def _look(self, data: bytes, raw: bytes) -> bytes:
        try:
            chunk = parse_chunk(data)
        except MalformedMessage:
            # odd members are the client's to read: a relay only asks that the event is whole
            json.check_event(data)
            return raw
        return self._read(chunk, raw)

    def _read(self, chunk: Chunk, raw: bytes) -> bytes:
        if has_value(chunk.error):
            self.failure = decode_error_object(chunk.error)
            return b""  # the gateway tells the client, by `fail`
        self.response_id = self.response_id or chunk.id or ""
        choices = chunk.choices or ()
        self.content = self.content or any(each.delta and _is_content(each.delta) for each in choices)
        for choice in choices:
            if has_value(choice.usage):
                self.usage = decode_usage(choice.usage)
        if not has_value(chunk.usage):
            return raw
        self.usage = decode_usage(chunk.usage)
        return b"" if self._strips_usage and not choices else raw


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
