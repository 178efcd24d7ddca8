"""Events to a client's stream, strictly one block after the other.

The part that began first streams live; parts that begin before its end wait, with all their events.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

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
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.response import Finish, Usage
from aiclient2api.protocols.anthropic.encode_response import message_id
from aiclient2api.protocols.anthropic.errors import error_event
from aiclient2api.protocols.anthropic.finish import encode_finish, note_finish
from aiclient2api.protocols.anthropic.schema import ANSWER_TIERS_BACK, NAME
from aiclient2api.protocols.anthropic.stream_blocks import BlockWriter, TextWriter, block_writer
from aiclient2api.protocols.anthropic.stream_schema import MESSAGE_STOP, PING, one_line
from aiclient2api.protocols.anthropic.usage import encode_final_usage, encode_usage
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire.sse import encode_event


class MessageStreamEncoder:
    """See the module."""

    def __init__(self) -> None:
        self._report = LossReport(NAME)
        self.losses: list[Loss] = self._report.losses
        self._indexes = count()
        self._started = False
        self._current: int | None = None
        self._writer: BlockWriter | None = None
        self._waiting: dict[int, list[PartStart | PartDelta | PartEnd]] = {}
        self._usage: Usage | None = None
        self._finish: Finish | None = None
        self._tier: str | None = None

    def feed(self, event: StreamEvent) -> bytes:
        """The bytes of one event. Raises MalformedMessage for an answer that cannot be ended properly."""
        written = b""
        match event:
            case PartDelta() | PartStart() | PartEnd():
                written = self._part(event) if event.candidate == 0 else self._other(event)
            case ResponseStart():
                written = self._start(event)
            case UsageReport():
                self._usage = event.usage
            case CandidateEnd():
                self._finish = event.finish if event.candidate == 0 else self._finish
            case ResponseEnd():
                written = self._end(event)
            case Ping():
                written = PING if self._started else b""
            case Failure():
                written = self.fail(event.error)
            case NativeEvent():
                if event.protocol == NAME and event.name:
                    written = encode_event(one_line(event.raw), event.name)
        return written

    def more_text(self, candidate: int, number: int) -> Callable[[str], bytes] | None:
        """See TextEncoder."""
        writer = self._writer if candidate == 0 and number == self._current else None
        return writer.more if isinstance(writer, TextWriter) and writer.is_open else None

    def fail(self, error: ErrorInfo) -> bytes:
        """The `error` event; no block is closed and nothing looks like an end."""
        return error_event(error)

    def ping(self) -> bytes:
        """The protocol's own keep-alive."""
        return PING

    def _start(self, event: ResponseStart) -> bytes:
        self._started = True
        self._usage, self._tier = event.usage, event.tier
        message: dict[str, object] = {
            "id": message_id(event.id),
            "type": "message",
            "role": "assistant",
            "model": event.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": encode_usage(event.usage, event.tier),
            **(event.ext.get(NAME, {}) if event.ext else {}),
        }
        return encode_event(one_line({"type": "message_start", "message": message}), "message_start")

    def _other(self, event: PartStart | PartDelta | PartEnd) -> bytes:
        """This protocol has one candidate."""
        if isinstance(event, PartStart):
            self._report.dropped("candidates", f"candidates[{event.candidate}]")
        return b""

    def _part(self, event: PartStart | PartDelta | PartEnd) -> bytes:
        if event.number == self._current and self._writer is not None:
            if isinstance(event, PartDelta):
                return self._writer.feed(event)
            if isinstance(event, PartEnd):
                return self._close(self._writer, event)
        if self._current is not None:
            self._waiting.setdefault(event.number, []).append(event)
            return b""
        return self._open(event) if isinstance(event, PartStart) else b""

    def _open(self, event: PartStart) -> bytes:
        self._current = event.number
        self._writer = block_writer(event.part, self._indexes, self._report)
        return self._writer.open()

    def _close(self, writer: BlockWriter, event: PartEnd) -> bytes:
        if event.cut:
            # no block may be closed with half a command in it
            raise MalformedMessage("the arguments of a tool call were cut off")
        written = writer.close(event.part)
        self._current = self._writer = None
        return written + self._resume()

    def _resume(self) -> bytes:
        """The first waiting part goes on from where it was held; a complete one lets the next follow."""
        if not self._waiting:
            return b""
        held = self._waiting.pop(next(iter(self._waiting)))
        return b"".join([self._part(event) for event in held])

    def _end(self, event: ResponseEnd) -> bytes:
        # a tier that is told with the end of the answer comes too late for `message_start`
        self._report.tier(event.tier or self._tier, ANSWER_TIERS_BACK.get(self._tier or ""))
        note_finish(event.blocked or self._finish, self._report)
        message: dict[str, object] = {
            "type": "message_delta",
            "delta": encode_finish(event.blocked or self._finish),
            "usage": encode_final_usage(self._usage),
        }
        return encode_event(one_line(message), "message_delta") + MESSAGE_STOP
