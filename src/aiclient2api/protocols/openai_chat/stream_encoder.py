"""Events to the client's chunks."""

from __future__ import annotations

from collections.abc import Callable

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
from aiclient2api.protocols.openai_chat.encode_response import ClientView, broken_answer, completion_id
from aiclient2api.protocols.openai_chat.schema import BROKEN, NAME, TIERS
from aiclient2api.protocols.openai_chat.stream_encode_candidate import CandidateEncoder
from aiclient2api.protocols.openai_chat.stream_writer import ChunkWriter
from aiclient2api.protocols.openai_chat.usage import encode_usage, has_foreign_detail
from aiclient2api.protocols.openai_errors import error_object
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json

PING = b"\n"
"""A comment: the SDKs skip it."""

DONE_EVENT = b"data: [DONE]\n\n"


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
        self._tier: str | None = None
        self._broken = False

    def feed(self, event: StreamEvent) -> bytes:
        """See base.StreamEncoder."""
        if self._broken:
            return b""
        written = b""
        match event:
            case PartDelta():
                written = self._candidates[event.candidate].delta(event)
            case PartStart():
                written = self._part_start(event)
            case PartEnd():
                written = self._candidates[event.candidate].end(event)
            case ResponseStart():
                written = self._start(event)
            case UsageReport():
                self._usage = event.usage
            case CandidateEnd():
                written = self._finish(event)
            case ResponseEnd():
                written = self._end(event)
            case Ping():
                written = PING
            case Failure():
                written = self.fail(event.error)
            case NativeEvent():
                pass
        return written

    def more_text(self, candidate: int, number: int) -> Callable[[str], bytes] | None:
        """See base.TextEncoder."""
        return None if self._broken else self._candidates[candidate].text

    def fail(self, error: ErrorInfo) -> bytes:
        """See base.StreamEncoder."""
        self._broken = True
        return in_band_error(error)

    def ping(self) -> bytes:
        """See base.StreamEncoder."""
        return PING

    def _start(self, event: ResponseStart) -> bytes:
        members: dict[str, object] = {
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
        self._usage, self._tier = event.usage, event.tier
        return self._new(0)

    def _new(self, index: int) -> bytes:
        """Begin a candidate; its role chunk is its first."""
        tail = b',"usage":null}\n\n' if self._include_usage else b"}\n\n"
        writer = ChunkWriter(self._head, index, tail)
        candidate = self._candidates[index] = CandidateEncoder(writer, self._client, self._report)
        return candidate.role()

    def _part_start(self, event: PartStart) -> bytes:
        begun = b"" if event.candidate in self._candidates else self._new(event.candidate)
        return begun + self._candidates[event.candidate].start(event)

    def _finish(self, event: CandidateEnd) -> bytes:
        if event.finish.reason in BROKEN:
            return self.fail(broken_answer(event.finish))
        begun = b"" if event.candidate in self._candidates else self._new(event.candidate)
        return begun + self._candidates[event.candidate].finish(event.finish)

    def _end(self, event: ResponseEnd) -> bytes:
        self._report.tier(event.tier or self._tier, self._tier if self._tier in TIERS else None)
        # a blocked prompt has no candidate, but clients expect a choice
        finish = event.blocked or Finish(reason="stop")
        reason = finish if finish.reason != "refusal" else Finish(reason="content_filter")
        missing = [each.finish(reason) for each in self._candidates.values() if not each.finished]
        return b"".join(missing) + self._usage_chunk() + DONE_EVENT

    def _usage_chunk(self) -> bytes:
        if self._usage is None:
            return b""
        if has_foreign_detail(self._usage):
            self._report.dropped("usage.detail", "usage")
        if not self._include_usage:
            return b""
        return self._head + b'],"usage":' + json.encode(encode_usage(self._usage)) + b"}\n\n"
