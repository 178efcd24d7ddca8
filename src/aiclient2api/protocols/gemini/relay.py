"""Calls between a client and an upstream that both speak this protocol: bytes pass, little is looked at."""

from __future__ import annotations

from functools import partial

from msgspec import Raw, Struct

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.response import REFUSALS, Usage
from aiclient2api.protocols.base import Peek, Splice, SystemPrompt
from aiclient2api.protocols.counts import sane_counts
from aiclient2api.protocols.gemini.decode_request import read_address
from aiclient2api.protocols.gemini.encode_request import model_path
from aiclient2api.protocols.gemini.errors import decode_status, inline_error
from aiclient2api.protocols.gemini.fields import child, elements, fields, given
from aiclient2api.protocols.gemini.schema import ABSENT, FINISH, Chunk
from aiclient2api.protocols.gemini.usage import decode_usage
from aiclient2api.protocols.output_bound import bound_of
from aiclient2api.wire import json
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import JSON_HEADERS, WireRequest, WireResponse
from aiclient2api.wire.json import NULL

_SYSTEM_NAMES = ("systemInstruction", "system_instruction")
_ASCII_ESCAPE = b"\\u00"
"""With it a member's name may be spelled in another way."""
_COUNTED_NAMES = ("generateContentRequest", "generate_content_request")


def peek(request: WireRequest) -> Peek:
    """See Converter.peek: all of it stands in the path."""
    address = read_address(request)
    return Peek(model=address.model, stream=address.stream, operation=address.operation)


def output_bound(request: WireRequest) -> int | None:
    """See Converter.output_bound."""
    return bound_of(partial(_generation_config, request.body), ("maxOutputTokens",), times="candidateCount")


def _generation_config(body: bytes) -> dict[str, Raw] | None:
    config = child(fields(body), "generationConfig")
    return None if config is None else config.rest


def splice(request: WireRequest, change: Splice) -> WireRequest:
    """See Converter.splice. The query may hold the client's key: only `alt` goes on."""
    address = read_address(request)
    body = request.body
    if change.system is not None and address.operation == "generate":
        body = _with_system(body, change.system)
    if b'"model"' in body or _ASCII_ESCAPE in body:
        body = _with_model(body, change.model)
    return WireRequest(
        path=model_path(change.model, address.method, address.version),
        query="alt=sse" if address.stream == "sse" else "",
        headers=JSON_HEADERS,
        body=body,
    )


def _with_system(body: bytes, system: SystemPrompt) -> bytes:
    """The system text as a part of its own, behind the client's or instead of it."""
    members = json.decode(body, dict[str, Raw])
    name = next((known for known in _SYSTEM_NAMES if known in members), _SYSTEM_NAMES[0])
    own = json.raw({"text": system.text})
    before = members.get(name, NULL)
    if system.mode == "replace" or before == NULL:
        members[name] = json.raw({"parts": [own]})
    else:
        content = fields(before, name)
        parts = [raw for raw, _ in elements(content, "parts")]
        members[name] = json.raw({**content.rest, "parts": [*parts, own]})
    return json.encode(members)


def _with_model(body: bytes, model: str) -> bytes:
    """Embeddings and counts repeat the model inside; the upstream compares it with the path, or obeys it instead: the
    client's key may be for the one in the path only.
    """
    members = json.decode(body, dict[str, Raw])
    resource = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    is_changed = _set_model(members, resource)
    for name in _COUNTED_NAMES:
        if name in members and members[name] != NULL:
            inner = json.decode(members[name], dict[str, Raw], name)
            if _set_model(inner, resource):
                members[name], is_changed = json.raw(inner), True
    if "requests" in members and members["requests"] != NULL:
        requests = json.decode(members["requests"], list[dict[str, Raw]], "requests")
        if sum(_set_model(inner, resource) for inner in requests):
            members["requests"], is_changed = json.raw(requests), True
    return json.encode(members) if is_changed else body


def _set_model(members: dict[str, Raw], resource: str) -> bool:
    """Whether it was another one."""
    raw = members.get("model", NULL)
    if raw == NULL or json.decode(raw, object, "model") in (resource, resource.removeprefix("models/")):
        return False
    members["model"] = json.raw(resource)
    return True


class _Ending(Struct, rename="camel"):
    """What the tap reads of a chunk that may be the last."""

    candidates: list[_EndingCandidate] | None = None
    prompt_feedback: Raw = ABSENT
    error: Raw = ABSENT


class _EndingCandidate(Struct, rename="camel"):
    index: int | None = None
    content: Raw = ABSENT
    finish_reason: str | None = None


class _Parts(Struct, frozen=True):
    parts: list[dict[str, Raw]] | None = None


_NOTABLE = (b'"finishReason"', b'"promptFeedback"', b'"error"')


class StreamTap:
    """See protocols.base.AnswerStream. Chunks without a finish reason are passed on unread.

    A finish reason is not the end: Google may repeat it in every chunk, and an array still has to be closed.
    """

    def __init__(self, *, is_array: bool, has_many: bool = False) -> None:
        self.content = False
        self.ended = False
        self.refused = False
        self.finished = False
        self.goes_on = self._has_many = has_many
        self.usage: Usage | None = None
        self.failure: ErrorInfo | None = None
        self.response_id = ""
        self._is_array = is_array
        self._is_closed = False
        self._sent = False
        self._counts = b""
        self._open: dict[int, bool] = {}
        """Per candidate, whether it still has to tell its reason."""

    def feed(self, frame: Frame) -> bytes:
        """The frame's own bytes; nothing for an error, which `fail` tells the client once."""
        out = frame.raw
        if frame.data:
            if not self._watch(frame.data):
                return b""
            if not self._is_array and not _is_readable(frame):
                out = b"data: " + frame.data.replace(b"\n", b" ") + b"\r\n\r\n"
        elif not self._is_array:
            return b""
        elif self._is_array and out.rstrip().endswith(b"]"):
            self._is_closed = True
            self.ended = self.finished
        self._sent = True
        return out

    def _watch(self, data: bytes) -> bool:
        """Whether this chunk is the client's to see."""
        json.check_event(data)
        if not self.response_id and b'"responseId"' in data:
            self.response_id = json.decode(data, Chunk).response_id or ""
        if not self.content:
            self.content = b'"parts"' in data and _shows_something(data)
        if b'"usageMetadata"' in data:
            self._counts = data
        if self.finished or self._has_many or any(mark in data for mark in _NOTABLE):
            return self._look(data)
        return True

    def _look(self, data: bytes) -> bool:
        """A chunk that may be the last, an error, or more than the answer has."""
        chunk = json.decode(data, _Ending)
        if given(chunk.error):
            self.failure = decode_status(chunk.error, None)
            return False
        candidates = chunk.candidates or []
        has_reason = any(candidate.finish_reason for candidate in candidates)
        if self.finished and any(_has_parts(candidate) for candidate in candidates):
            if not has_reason and not self.goes_on:
                return False  # what comes behind the end is no part of the answer
            self.goes_on = True
        for position, candidate in enumerate(candidates):
            index = position if candidate.index is None else candidate.index
            self._open[index] = self._open.get(index, True) and not candidate.finish_reason
            self.refused = self.refused or FINISH.get(candidate.finish_reason or "") in REFUSALS
        self._finish(chunk)
        return True

    def _finish(self, chunk: _Ending) -> None:
        if b'"blockReason"' in bytes(chunk.prompt_feedback):
            self.finished = self.refused = True
        elif self._open:
            self.finished = not any(self._open.values())
        if self.finished:
            self._count()

    def _count(self) -> None:
        """Counts are cumulative and in every chunk: only the last ones are read."""
        if self._counts:
            self.usage = sane_counts(lambda: _usage_in(self._counts)) or self.usage

    def close(self) -> bytes:
        """The bracket that a finished array still lacks."""
        if self.ended:
            return b""
        self._count()
        self.ended = True
        return b"]" if self._is_array and not self._is_closed else b""

    def fail(self, error: ErrorInfo) -> bytes:
        """See protocols.base.AnswerStream.fail."""
        self._count()
        if self._is_closed:
            return b""
        return failed(error, is_array=self._is_array, has_begun=self._sent)

    def ping(self) -> bytes:
        """See protocols.base.AnswerStream.ping."""
        return blank()


def _is_readable(frame: Frame) -> bool:
    """Whether Google's SDKs can read the event: one line, a space behind the colon, nothing else in it.

    A line feed may stand before it: the last byte of a delimiter that the network cut in two.
    """
    event = frame.raw.strip(b"\r\n")
    return event.startswith(b"data: ") and len(event) == len(b"data: ") + len(frame.data)


def _shows_something(data: bytes) -> bool:
    """Whether a part has more than an empty text: a failover behind that is still invisible."""
    for candidate in json.decode(data, _Ending).candidates or ():
        if _has_parts(candidate):
            for part in json.decode(candidate.content, _Parts).parts or ():
                if any(key != "thought" and bytes(value) != b'""' for key, value in part.items()):
                    return True
    return False


def _has_parts(candidate: _EndingCandidate) -> bool:
    return b'"parts"' in bytes(candidate.content)


def _usage_in(data: bytes) -> Usage | None:
    raw = json.decode(data, Chunk).usage_metadata
    return decode_usage(raw) if given(raw) else None


def failed(error: ErrorInfo, *, is_array: bool, has_begun: bool) -> bytes:
    """The in-band error that ends a stream; it closes an array so that what was sent is valid JSON."""
    data = inline_error(error)
    if not is_array:
        return b"data: " + data + b"\n\n"
    return (b"," if has_begun else b"[") + data + b"]"


def blank() -> bytes:
    """White space as a sign of life: Google's own client breaks on a comment."""
    return b"\n"


def usage(response: WireResponse) -> Usage | None:
    """See Converter.usage; never raises."""
    try:
        body = fields(response.body)
        raw = body.raw("usageMetadata")
        return decode_usage(raw) if raw is not None and raw != NULL else None
    except (MalformedMessage, UnicodeDecodeError):
        return None
