"""Events to a client's stream, by the official grammar: every item begins, grows, is done; the terminal has it all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiclient2api.errors import ErrorInfo
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
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import Part, Reasoning, Refusal, Text, ToolCall
from aiclient2api.ir.request import ModelRequest
from aiclient2api.ir.response import Finish, Usage
from aiclient2api.protocols.openai_errors import error_object
from aiclient2api.protocols.openai_responses.echo import created_at, note_finish, outcome, request_echo
from aiclient2api.protocols.openai_responses.encode_settings import client_tier
from aiclient2api.protocols.openai_responses.encode_tools import custom_names
from aiclient2api.protocols.openai_responses.errors import response_error
from aiclient2api.protocols.openai_responses.ext import kept
from aiclient2api.protocols.openai_responses.output_items import response_id
from aiclient2api.protocols.openai_responses.schema import NAME
from aiclient2api.protocols.openai_responses.stream_items import CallWriter, ReasoningWriter, WholeWriter
from aiclient2api.protocols.openai_responses.stream_message import ContentWriter, Message
from aiclient2api.protocols.openai_responses.stream_writer import EventWriter, Output, PartWriter
from aiclient2api.protocols.openai_responses.usage import encode_usage
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json
from aiclient2api.wire.json import Members

PING: Final = b"\n"
"""A comment, which every client of this protocol skips."""

_TERMINALS: Final = {
    "completed": b"response.completed",
    "incomplete": b"response.incomplete",
    "failed": b"response.failed",
    "cancelled": b"response.failed",
}


class ResponsesStreamEncoder:
    """One stream to a client. This protocol has one candidate; others are dropped."""

    def __init__(self, request: ModelRequest) -> None:
        self._report = LossReport(NAME)
        self.losses: list[Loss] = self._report.losses
        self._request = request
        self._customs = custom_names(request)
        self._writer = EventWriter(self._report)
        self._output = Output()
        self._parts: dict[int, PartWriter | None] = {}
        self._message: Message | None = None
        self._start: ResponseStart | None = None
        self._id = ""
        self._usage: Usage | None = None
        self._finish: Finish | None = None
        self._has_refusal = False
        self._ended = False

    def feed(self, event: StreamEvent) -> bytes:
        """The bytes of one event."""
        if isinstance(event, PartDelta):
            writer = self._parts.get(event.number) if event.candidate == 0 else None
            return writer.delta(event) if writer is not None else b""
        out = b""
        match event:
            case PartStart():
                out = self._part_start(event)
            case PartEnd():
                writer = self._parts.pop(event.number, None) if event.candidate == 0 else None
                if isinstance(writer, CallWriter):
                    writer.is_cut = event.cut
                out = writer.end(event.part) if writer is not None else b""
            case ResponseStart():
                out = self._response_start(event)
            case UsageReport():
                self._usage = event.usage
            case CandidateEnd():
                self._finish = event.finish if event.candidate == 0 else self._finish
                note_finish(event.finish, self._report)
            case ResponseEnd():
                out = self._response_end(event)
            case Failure():
                out = self.fail(event.error)
            case _:
                pass
        return out

    def more_text(self, candidate: int, number: int) -> Callable[[str], bytes] | None:
        """See TextEncoder."""
        writer = self._parts.get(number) if candidate == 0 else None
        return writer.text if isinstance(writer, ContentWriter) else None

    def _response_start(self, event: ResponseStart) -> bytes:
        self._start = event
        self._id = response_id(event.id)
        members = b'"response":' + json.encode(self._response({"status": "in_progress"}))
        created = self._writer.write(b"response.created", members)
        return created + self._writer.write(b"response.in_progress", members)

    def _response(self, state: dict[str, object]) -> dict[str, object]:
        """The response object in some state."""
        start = self._start or ResponseStart()
        return {
            "id": self._id,
            "object": "response",
            "created_at": created_at(start.created),
            **request_echo(self._request),
            "error": None,
            "incomplete_details": None,
            "model": start.model or self._request.model,
            "output": self._output.items(),
            "usage": encode_usage(self._usage) if self._usage else None,
            **json.compact({"service_tier": client_tier(start.tier)}),
            **state,
        }

    def _part_start(self, event: PartStart) -> bytes:
        if event.candidate != 0:
            self._report.dropped("candidates", f"candidates[{event.candidate}]")
            return b""
        part = event.part
        if isinstance(part, Text | Refusal):
            return self._content_start(event.number, part)
        sealed, self._message = self._seal(), None
        writer, begun = self._item_writer(part)
        self._parts[event.number] = writer
        return sealed + begun

    def _item_writer(self, part: Part) -> tuple[PartWriter, bytes]:
        match part:
            case Reasoning():
                thought = ReasoningWriter(part, self._id, self._output, self._writer)
                return thought, thought.begin()
            case ToolCall():
                call = CallWriter(part, self._id, self._customs, self._output, self._writer)
                return call, call.begin()
            case _:
                return WholeWriter(part, self._id, self._output, self._writer), b""

    def _content_start(self, number: int, part: Text | Refusal) -> bytes:
        if part.opaque is not None and isinstance(part, Text) and not part.text:
            # it only carries state, and this protocol carries state in thoughts
            self._report.dropped("reasoning.opaque", "response", part.opaque.kind)
            self._parts[number] = None
            return b""
        self._has_refusal = self._has_refusal or isinstance(part, Refusal)
        begun = b""
        if self._message is None or part.new_item:
            begun = self._seal()
            self._message = Message(part, self._id, self._output, self._writer)
            begun += self._message.begin()
        writer = self._parts[number] = ContentWriter(self._message, part)
        return begun + writer.begin()

    def _seal(self) -> bytes:
        """The message that was growing, if any, gets no further part."""
        return self._message.seal() if self._message is not None else b""

    def _response_end(self, event: ResponseEnd) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        sealed = self._seal()
        note_finish(event.blocked, self._report)
        state = outcome(event.blocked or self._finish, self._has_refusal)
        served = event.tier or (self._start.tier if self._start else None)
        self._report.tier(served, client_tier(served))
        tier = json.compact({"service_tier": client_tier(event.tier)})
        source = event if event.ext or self._start is None else self._start
        body = self._response(state | tier | kept(source))
        name = _TERMINALS[str(state["status"])]
        return sealed + self._writer.write(name, b'"response":' + json.encode(body))

    def fail(self, error: ErrorInfo) -> bytes:
        """`response.failed`, or a flat `error` event before there is a response."""
        if self._ended:
            return b""
        self._ended = True
        if self._start is None:
            return self._writer.write(b"error", flat_error(error))
        body = self._response({"status": "failed", "error": response_error(error)})
        return self._writer.write(b"response.failed", b'"response":' + json.encode(body))

    def ping(self) -> bytes:
        """An empty line, which no client takes for anything."""
        return PING


def flat_error(error: ErrorInfo) -> bytes:
    """The members of an `error` event."""
    members = Members.parse(error_object(error))
    flat = {name: members.raw(name) or json.NULL for name in ("code", "message", "param")}
    return json.encode(flat)[1:-1]
