"""Same protocol on both sides: what routing needs, what must be spliced, and a watch on the relayed stream."""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from msgspec import Raw, Struct

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.response import Usage
from aiclient2api.protocols.base import Peek, Splice, SystemPrompt
from aiclient2api.protocols.counts import sane_counts
from aiclient2api.protocols.openai_responses.errors import decode_failure, response_error
from aiclient2api.protocols.openai_responses.schema import COUNT_PATH, GENERATE_PATH
from aiclient2api.protocols.openai_responses.stream_encoder import PING, flat_error
from aiclient2api.protocols.openai_responses.usage import decode_usage
from aiclient2api.protocols.output_bound import bound_of
from aiclient2api.wire import json
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest, WireResponse
from aiclient2api.wire.json import Members

_MEANINGFUL: Final = frozenset(("content-type", "openai-beta"))
_TYPE: Final = re.compile(rb'"type"\s*:\s*"(response\.[a-z_.]+|error)"')
_ENDED: Final = frozenset(("response.completed", "response.incomplete"))
_WITHOUT_CONTENT: Final = (
    b'"type":"message"',
    b'"type": "message"',
    b'"type":"reasoning"',
    b'"type": "reasoning"',
)


class _Peek(Struct):
    model: str = ""
    stream: bool | None = None
    previous_response_id: str | None = None
    conversation: Raw = Raw()


class _Conversation(Struct):
    id: str


class _Item(Struct):
    type: str | None = None
    role: str | None = None


class _Sequence(Struct):
    sequence_number: int = -1


def peek(request: WireRequest) -> Peek:
    """What routing needs of a request."""
    body = json.decode(request.body, _Peek)
    if not body.model:
        raise MalformedMessage("must be a non-empty string", "model")
    return Peek(
        model=body.model,
        stream="sse" if body.stream else "no",
        operation="count_tokens" if request.path.endswith(COUNT_PATH) else "generate",
        previous_id=body.previous_response_id or _conversation_id(body.conversation),
    )


def _conversation_id(raw: Raw) -> str | None:
    """A conversation lives on one account, as a stored response does."""
    if not memoryview(raw) or raw == json.NULL:
        return None
    if json.is_string(raw):
        return json.decode(raw, str, "conversation")
    return json.decode(raw, _Conversation, "conversation").id


def output_bound(request: WireRequest) -> int | None:
    """See Converter.output_bound."""
    return bound_of(partial(json.decode, request.body, dict[str, Raw]), ("max_output_tokens",))


def splice(request: WireRequest, change: Splice) -> WireRequest:
    """The client's request for an upstream of this protocol; untouched members stay byte-identical."""
    members = Members.parse(request.body)
    changed: dict[str, Raw] = {}
    if members.require("model", str) != change.model:
        changed["model"] = json.raw(change.model)
    if change.system is not None:
        changed |= _system(members, change.system)
    body = request.body
    if changed:
        body = json.encode(json.decode(request.body, dict[str, Raw]) | changed)
    headers = tuple(header for header in request.headers if header[0] in _MEANINGFUL)
    path = COUNT_PATH if request.path.endswith(COUNT_PATH) else GENERATE_PATH
    return WireRequest(method=request.method, path=path, body=body, headers=headers)


def _system(members: Members, system: SystemPrompt) -> dict[str, Raw]:
    """The operator's text behind (or instead of) the leading system text, where the IR path would put it too."""
    raw = members.peek("input")
    items = json.parse_array(raw, "input") if raw is not None and json.is_array(raw) else []
    leading = 0
    while leading < len(items) and _is_system(items[leading], f"input[{leading}]"):
        leading += 1
    if system.mode == "replace":
        dropped = {"input": json.raw(items[leading:])} if leading else {}
        return {"instructions": json.raw(system.text), **dropped}
    if leading:
        content = [{"type": "input_text", "text": system.text}]
        own = json.raw({"type": "message", "role": "system", "content": content})
        return {"input": json.raw([*items[:leading], own, *items[leading:]])}
    instructions = members.take("instructions", str)
    text = system.text if instructions is None else f"{instructions}\n\n{system.text}"
    return {"instructions": json.raw(text)}


def _is_system(raw: Raw, path: str) -> bool:
    item = json.decode(raw, _Item, path)
    return item.type in (None, "message") and item.role in ("system", "developer")


def usage(response: WireResponse) -> Usage | None:
    """Token counts of a complete answer."""
    try:
        return decode_usage(Members.parse(response.body).object("usage"))
    except MalformedMessage:
        return None


class ResponsesStreamTap:
    """Watches a relayed stream: a search in the bytes of each event, a parse only of the first and the last."""

    def __init__(self) -> None:
        self.content = False
        self.ended = False
        self.refused = False
        self.goes_on = False
        self.usage: Usage | None = None
        self.failure: ErrorInfo | None = None
        self.response_id = ""
        self._response: dict[str, Raw] | None = None
        self._last = b""

    @property
    def finished(self) -> bool:
        """Finish and terminal are one event."""
        return self.ended

    def feed(self, frame: Frame) -> bytes:
        """The frame's own bytes; nothing for a failure, which the gateway tells in its own words."""
        if not frame.data or self.ended:
            return frame.raw
        json.check_event(frame.data)
        name = frame.event or _type_of(frame.data)
        if name in ("response.failed", "error") or (not name and b'"error"' in frame.data):
            self.failure = _failure(frame)
            return b""
        self._last = frame.data
        if name.endswith(".delta"):
            self.content = True
        elif name == "response.output_item.added":
            self.content = self.content or not any(mark in frame.data for mark in _WITHOUT_CONTENT)
        elif name in _ENDED:
            self._end(frame)
        elif name == "response.created":
            if self._response is not None:
                return b""
            response = _response_of(frame)
            self.response_id = response.take("id", str) or ""
            self._response = response.rest
        return frame.raw

    def _end(self, frame: Frame) -> None:
        self.ended = True
        self.usage = sane_counts(lambda: _usage_of(frame))
        self.content = self.content or b'"output_text"' in frame.data or b'"function_call"' in frame.data
        self.refused = b'"content_filter"' in frame.data or b'"refusal"' in frame.data

    def close(self) -> bytes:
        """Nothing is missing behind the terminal."""
        return b""

    def fail(self, error: ErrorInfo) -> bytes:
        """`response.failed` with the next sequence number, or an `error` event before there is a response."""
        number = _sequence_of(self._last) + 1
        if self._response is None:
            return _event(b"error", number, flat_error(error))
        state = {"id": self.response_id, "status": "failed", "error": response_error(error)}
        body = json.encode({**self._response, **state})
        return _event(b"response.failed", number, b'"response":' + body)

    def ping(self) -> bytes:
        """See AnswerStream."""
        return PING


def _type_of(data: bytes) -> str:
    match = _TYPE.search(data)
    return match[1].decode() if match else ""


def _response_of(frame: Frame) -> Members:
    response = Members.parse(frame.data).object("response")
    if response is None:
        raise MalformedMessage("is required", "response")
    return response


def _usage_of(frame: Frame) -> Usage | None:
    return decode_usage(_response_of(frame).object("usage"))


def _failure(frame: Frame) -> ErrorInfo:
    members = Members.parse(frame.data)
    response = members.object("response")
    error = response.raw("error") if response is not None else members.raw("error")
    if error is not None and error != json.NULL:
        return decode_failure(error)
    for name in ("type", "sequence_number"):
        members.raw(name)
    return decode_failure(json.encode(members.rest))


def _sequence_of(data: bytes) -> int:
    try:
        return json.decode(data, _Sequence).sequence_number
    except MalformedMessage:
        return -1


def _event(name: bytes, number: int, members: bytes) -> bytes:
    return b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b}\n\n' % (name, name, number, members)
