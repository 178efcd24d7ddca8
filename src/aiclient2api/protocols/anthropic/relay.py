"""What a relay needs of this protocol: routing facts, spliced requests, watched streams."""

from __future__ import annotations

import re
from typing import Annotated, Final

from msgspec import Meta, Raw, Struct

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.response import REFUSALS, Finish, Usage
from aiclient2api.protocols.anthropic.decode_request import is_count
from aiclient2api.protocols.anthropic.encode_request import COUNT_TOKENS, MESSAGES
from aiclient2api.protocols.anthropic.errors import error_event, error_of
from aiclient2api.protocols.anthropic.finish import decode_finish
from aiclient2api.protocols.anthropic.schema import DEFAULT_VERSION
from aiclient2api.protocols.anthropic.stream_schema import MESSAGE_STOP, PING, event_name
from aiclient2api.protocols.anthropic.usage import UsageTally
from aiclient2api.protocols.base import Peek, Splice, SystemPrompt
from aiclient2api.wire import json
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import Headers, WireRequest
from aiclient2api.wire.json import NULL, Members, is_string, parse_array

_MEANINGFUL = frozenset({"content-type", "anthropic-version", "anthropic-beta"})


class _Peeked(Struct, frozen=True):
    model: Annotated[str, Meta(min_length=1)]
    stream: bool | None = None


class _Bounded(Struct, frozen=True):
    max_tokens: int


def peek(request: WireRequest) -> Peek:
    """The model, whether a stream is wanted, and the operation."""
    try:
        peeked = json.decode(request.body, _Peeked)
    except MalformedMessage:
        peeked = _peeked(request.body)
    if is_count(request.path):
        return Peek(model=peeked.model, operation="count_tokens")
    return Peek(model=peeked.model, stream="sse" if peeked.stream else "no")


def _peeked(body: bytes) -> _Peeked:
    """The same, or what is wrong with it in the words of `decode_request`."""
    members = Members.parse(body)
    model = members.require("model", str)
    if not model:
        raise MalformedMessage("must not be empty", "model")
    return _Peeked(model, members.take("stream", bool))


def output_bound(request: WireRequest) -> int | None:
    """See Converter.output_bound."""
    try:
        bound = json.decode(request.body, _Bounded).max_tokens
    except MalformedMessage:
        return None
    return bound if bound > 0 else None


def splice(request: WireRequest, change: Splice) -> WireRequest:
    """The request with another model or more system text; the bytes stay as they are when neither differs."""
    members = Members.parse(request.body).rest
    model = json.raw(change.model)
    changed = members.get("model") != model
    members["model"] = model
    if change.system is not None:
        changed = _splice_system(members, change.system) or changed
    return WireRequest(
        path=COUNT_TOKENS if is_count(request.path) else MESSAGES,
        body=json.encode(members) if changed else request.body,
        headers=_headers(request.headers),
    )


def _headers(headers: Headers) -> Headers:
    kept = tuple((name, value) for name, value in headers if name in _MEANINGFUL)
    if any(name == "anthropic-version" for name, _ in kept):
        return kept
    return (*kept, ("anthropic-version", DEFAULT_VERSION))


def _splice_system(members: dict[str, Raw], system: SystemPrompt) -> bool:
    """Whether anything changed. Existing blocks keep their bytes."""
    if not system.text:
        return False
    if system.mode == "replace":
        members["system"] = json.raw(system.text)
        return True
    own = json.raw({"type": "text", "text": system.text})
    members["system"] = json.raw([*_system_blocks(members.get("system")), own])
    return True


def _system_blocks(system: Raw | None) -> list[Raw]:
    if system is None or system == NULL:
        return []
    if not is_string(system):
        return parse_array(system, "system")
    text = json.decode(system, str, "system")
    return [json.raw({"type": "text", "text": text})] if text else []


_INDEX: Final = re.compile(rb'"index"\s*:\s*(\d+)')
_NOWHERE: Final = b"\x00"
"""Stands in no event."""
_HOLLOW: Final = re.compile(rb'"(?:text|thinking)"\s*:\s*""')
"""Blocks whose beginning shows nothing: a failover behind it is still invisible."""


class _Placed(Struct, frozen=True, gc=False):
    index: int = 0


def _index_of(data: bytes) -> int:
    """Which block an event speaks of; one that does not say so properly means the first."""
    try:
        return json.decode(data, _Placed).index
    except MalformedMessage:
        return 0


class MessageStreamTap:
    """Watches a relayed stream; see AnswerStream."""

    def __init__(self) -> None:
        self.content = False
        self.ended = False
        self.refused = False
        self.finished = False
        self.goes_on = False
        self.usage: Usage | None = None
        self.failure: ErrorInfo | None = None
        self.response_id = ""
        self._tally = UsageTally()
        self._started = False
        self._blocks: set[int] = set()
        """The indexes of the blocks that have begun."""
        self._index = _NOWHERE
        """How the last delta named its block: most are about the same one, and need no closer look."""

    def feed(self, frame: Frame) -> bytes:
        """The frame's own bytes; nothing for an error, which `fail` tells the client once and cleaned."""
        if not frame.data:
            return frame.raw
        json.check_event(frame.data)
        name = event_name(frame)
        if name == "content_block_delta" and not self.finished and self._index in frame.data:
            return frame.raw
        match name:
            case "content_block_start" | "content_block_delta" | "content_block_stop":
                if self.finished:
                    return b""  # what comes behind the end is no part of the answer
                if name == "content_block_start":
                    self._begin(frame.data)
                elif self._index not in frame.data:
                    self._block(name, frame.data)
            case "message_start":
                if self._started:
                    return b""
                self._start(frame)
            case "message_delta":
                self._delta(frame)
            case "message_stop":
                self.ended = True
            case "error":
                self.failure = error_of(frame.data)
                return b""
            case _:
                pass
        return frame.raw

    def close(self) -> bytes:
        """The missing terminal of an answer that told its reason."""
        if self.ended:
            return b""
        self.ended = True
        return MESSAGE_STOP

    def fail(self, error: ErrorInfo) -> bytes:
        """The `error` event."""
        return error_event(error)

    def ping(self) -> bytes:
        """The protocol's own keep-alive."""
        return PING

    def _start(self, frame: Frame) -> None:
        self._started = True
        message = Members.parse(frame.data).object("message")
        if message is not None:
            self.response_id = message.take("id", str) or ""
            self._count(message.raw("usage"))
            self.content = self.content or bool(message.array("content"))

    def _begin(self, data: bytes) -> None:
        """A block, whatever index the last delta had, and whatever indexes the block has inside."""
        self._blocks.add(_index_of(data))
        self._index = _NOWHERE
        self.content = self.content or _HOLLOW.search(data) is None

    def _block(self, name: str, data: bytes) -> None:
        index = _index_of(data)
        if self._blocks and index not in self._blocks:
            raise MalformedMessage("a piece of a block that has not begun", "index")
        if name == "content_block_delta":
            self.content = True
            found = _INDEX.search(data)
            self._index = _NOWHERE
            if found is not None and int(found[1]) == index:
                self._index = data[found.start() : found.end() + 1]  # 1 is not 12

    def _delta(self, frame: Frame) -> None:
        members = Members.parse(frame.data)
        self._count(members.raw("usage"))
        delta = members.object("delta")
        if delta is not None:
            self._finish(decode_finish(delta))

    def _finish(self, finish: Finish | None) -> None:
        if finish is not None:
            self.finished = True
            self.refused = finish.reason in REFUSALS

    def _count(self, usage: Raw | None) -> None:
        self._tally.add(usage)
        self.usage = self._tally.total()[0]
