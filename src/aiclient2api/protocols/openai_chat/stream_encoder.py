"""Events to the client's chunks."""

from __future__ import annotations

from aiclient2api.errors import ErrorInfo
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
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.request import ModelRequest
from aiclient2api.ir.response import Finish, Usage
from aiclient2api.protocols.openai_chat.candidate_encoder import CandidateEncoder
from aiclient2api.protocols.openai_chat.encode_response import ClientView, broken_answer, completion_id
from aiclient2api.protocols.openai_chat.schema import BROKEN, NAME, TIERS
from aiclient2api.protocols.openai_chat.usage import encode_usage, has_foreign_detail
from aiclient2api.protocols.openai_errors import error_object
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json

PING = b": ping\n\n"
"""A comment: the SDKs skip it."""

_DONE = b"data: [DONE]\n\n"


def in_band_error(error: ErrorInfo) -> bytes:
    """The event that ends a broken stream. No finish reason and no [DONE] may follow."""
    return b'data: {"error":' + error_object(error) + b"}\n\n"


class ChatStreamEncoder:
    """See base.StreamEncoder."""

    def __init__(self, request: ModelRequest) -> None:
        self._report = LossReport(NAME)
        self.losses: list[Loss] = self._report.losses
        self._client = ClientView(request)
        self._include_usage = request.include_usage
        self._candidates: dict[int, CandidateEncoder] = {}
        self._head = b""
        self._usage: Usage | None = None
        self._broken = False

    def feed(self, event: StreamEvent) -> bytes:
        """See base.StreamEncoder."""
        if self._broken:
            return b""
        match event:
            case PartDelta():
                return self._candidates[event.candidate].delta(event)
            case PartStart():
                return self._candidate(event.candidate, lambda each: each.start(event))
            case PartEnd():
                return self._candidates[event.candidate].end(event)
            case ResponseStart():
                return self._start(event)
            case UsageReport():
                self._usage = event.usage
                return b""
            case CandidateEnd():
                return self._finish(event)
            case ResponseEnd():
                return self._end(event)
            case Ping():
                return PING
            case Failure():
                return self.fail(event.error)
            case NativeEvent():
                return b""

    def fail(self, error: ErrorInfo) -> bytes:
        """See base.StreamEncoder."""
        self._broken = True
        return in_band_error(error)

    def ping(self) -> bytes:
        """See base.StreamEncoder."""
        return PING

    def _start(self, event: ResponseStart) -> bytes:
        members = {
            "id": completion_id(event.id),
            "object": "chat.completion.chunk",
            "created": int(event.created or 0),
            "model": event.model,
        }
        if event.tier in TIERS:
            members["service_tier"] = event.tier
        fingerprint = (event.ext or {}).get(NAME, {}).get("system_fingerprint")
        head = json.encode(members if fingerprint is None else members | {"system_fingerprint": fingerprint})
        self._head = b"data: " + head[:-1] + b',"choices":['
        self._usage = event.usage
        return self._new(0).role()
