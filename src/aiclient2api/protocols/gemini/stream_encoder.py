"""Events to a client's stream.

Stateless but for three things: a call is written when it is complete, a signature behind the text it belongs
to, and the finish reason only in the last chunk, with the counts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import msgspec

from aiclient2api.errors import ErrorInfo
from aiclient2api.ir.events import (
    CandidateEnd,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    UsageReport,
)
from aiclient2api.ir.fold import PartBuilder
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import Citation, Part, Reasoning, Refusal, Text, TokenLogprob
from aiclient2api.ir.request import ModelRequest
from aiclient2api.ir.response import Finish, Usage
from aiclient2api.protocols.gemini.citations import encode_grounding
from aiclient2api.protocols.gemini.encode_parts import CLIENT_KINDS, PartEncoder, Wire
from aiclient2api.protocols.gemini.ext import kept
from aiclient2api.protocols.gemini.finish import encode_block, encode_finish, without_call
from aiclient2api.protocols.gemini.logprobs import encode_logprobs
from aiclient2api.protocols.gemini.relay import blank, failed
from aiclient2api.protocols.gemini.schema import FINISH, NAME
from aiclient2api.protocols.gemini.usage import encode_usage, with_traffic
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json

Key = tuple[int, int]
_SPOKEN = (Text, Reasoning, Refusal)


class StreamEncoder:
    """See protocols.base.StreamEncoder."""

    def __init__(self, request: ModelRequest) -> None:
        self._report = LossReport(NAME)
        self._parts = PartEncoder(self._report, own=False, kinds=CLIENT_KINDS)
        self._is_array = request.stream == "json_array"
        self._asked_model = request.model
        self._is_first = True
        self._tail = b""
        self._heads: dict[int, bytes] = {}
        self._open: dict[Key, PartBuilder] = {}
        self._sections: dict[Key, int] = {}
        self._texts: dict[int, list[str]] = {}
        self._citations: dict[int, list[Citation]] = {}
        self._logprobs: dict[int, list[TokenLogprob]] = {}
        self._cut: set[int] = set()
        self._finishes: dict[int, Finish] = {}
        self._usage: Usage | None = None
        self._tier: str | None = None

    @property
    def losses(self) -> list[Loss]:
        """See protocols.base.StreamEncoder.losses."""
        return self._report.losses

    def feed(self, event: StreamEvent) -> bytes:
        """See protocols.base.StreamEncoder.feed."""
        match event:
            case PartDelta():
                return self._delta(event)
            case PartStart():
                return self._start_part(event)
            case PartEnd():
                return self._end_part(event)
            case ResponseStart():
                self._start(event)
            case UsageReport():
                self._usage = event.usage
            case CandidateEnd():
                is_cut = event.candidate in self._cut
                self._finishes[event.candidate] = without_call(event.finish) if is_cut else event.finish
            case ResponseEnd():
                return self._end(event)
            case _:
                pass
        return b""

    def more_text(self, candidate: int, number: int) -> Callable[[str], bytes] | None:
        """See protocols.base.TextEncoder."""
        return functools.partial(self._say, candidate)

    def fail(self, error: ErrorInfo) -> bytes:
        """See protocols.base.StreamEncoder.fail."""
        return failed(error, is_array=self._is_array, has_begun=not self._is_first)

    def ping(self) -> bytes:
        """See protocols.base.StreamEncoder.ping."""
        return blank()

    def _start(self, event: ResponseStart) -> None:
        end = {"modelVersion": event.model or self._asked_model}
        if event.id:
            end["responseId"] = event.id
        self._tail = b"," + json.encode(end)[1:]
        self._usage, self._tier = event.usage, event.tier

    def _framed(self, data: bytes) -> bytes:
        if not self._is_array:
            return b"data: " + data + b"\r\n\r\n"
        opening = b"[" if self._is_first else b",\r\n"
        self._is_first = False
        return opening + data

    def _chunk(self, candidate: int, part: bytes) -> bytes:
        """One part of one candidate."""
        head = self._heads.get(candidate)
        if head is None:
            head = self._heads[candidate] = (
                b'{"candidates":[{"index":%d,"content":{"role":"model","parts":[' % candidate
            )
        return self._framed(head + part + b"]}}]" + self._tail)

    def _whole(self, candidate: int, wires: list[Wire]) -> bytes:
        return b"".join(self._chunk(candidate, _one_line(json.encode(wire))) for wire in wires)

    def _start_part(self, event: PartStart) -> bytes:
        key, part = (event.candidate, event.number), event.part
        self._open[key] = PartBuilder(part)
        if isinstance(part, Text):
            self._report.phase(part, "response")
        if isinstance(part, Text | Refusal) and part.text:
            return self._say(event.candidate, part.text)
        if isinstance(part, Reasoning) and (part.summary or part.raw):
            return self._think(event.candidate, "\n\n".join(part.summary or part.raw))
        return b""

    def _delta(self, event: PartDelta) -> bytes:
        match event.channel:
            case "text" | "refusal":
                return self._say(event.candidate, event.text) if event.text else b""
            case "summary" | "raw":
                return self._thought_delta(event)
            case "citation":
                if isinstance(event.value, Citation):
                    self._cite(event.candidate, event.value)
            case "logprobs":
                if isinstance(event.value, list):
                    self._logprobs.setdefault(event.candidate, []).extend(event.value)
            case _:
                self._open[event.candidate, event.number].add(event)
        return b""

    def _say(self, candidate: int, text: str) -> bytes:
        self._texts.setdefault(candidate, []).append(text)
        return self._chunk(candidate, b'{"text":' + json.encode(text) + b"}")

    def _think(self, candidate: int, text: str) -> bytes:
        return self._chunk(candidate, b'{"text":' + json.encode(text) + b',"thought":true}')

    def _thought_delta(self, event: PartDelta) -> bytes:
        """Sections of a summary become paragraphs."""
        if not event.text:
            return b""
        key = (event.candidate, event.number)
        before = self._sections.get(key)
        self._sections[key] = event.index
        is_new = before is not None and before != event.index
        return self._think(event.candidate, f"\n\n{event.text}" if is_new else event.text)

    def _cite(self, candidate: int, citation: Citation) -> None:
        self._citations.setdefault(candidate, []).append(citation)

    def _end_part(self, event: PartEnd) -> bytes:
        builder = self._open.pop((event.candidate, event.number))
        part = (
            event.part
            if event.part is not None and not isinstance(builder.part, _SPOKEN)
            else builder.whole()
        )
        opaque = (event.part.opaque if event.part is not None else None) or part.opaque
        path = f"candidates[{event.candidate}].parts[{event.number}]"
        if event.cut:
            self._report.dropped("tool_call", path, "cut off: only whole calls can be told")
            self._cut.add(event.candidate)
            return b""
        if isinstance(part, Refusal):
            self._report.approximated("refusal", path)
        if not isinstance(part, _SPOKEN):
            part = msgspec.structs.replace(part, opaque=opaque)
            return self._whole(event.candidate, self._parts.encode(part, path, spoken_by_model=True))
        return self._sign(event.candidate, part, self._parts.signature(opaque, path))

    def _sign(self, candidate: int, part: Part, signature: str | None) -> bytes:
        """The text has gone: its signature follows on an empty part, as Google's own do."""
        if signature is None:
            return b""
        wire: Wire = {"text": ""}
        if isinstance(part, Reasoning):
            wire["thought"] = True
        return self._whole(candidate, [{**wire, "thoughtSignature": signature}])

    def _end(self, event: ResponseEnd) -> bytes:
        """The last chunk: finish reasons and counts."""
        wire: Wire = {}
        candidates = [self._last(index, finish) for index, finish in sorted(self._finishes.items())]
        if candidates:
            wire["candidates"] = candidates
        if event.blocked is not None:
            wire["promptFeedback"] = encode_block(event.blocked)
        usage = encode_usage(self._usage, self._report)
        usage = with_traffic(usage, event.tier or self._tier, self._report)
        if usage:
            wire["usageMetadata"] = usage
        if event.ext:
            wire.update(kept(event))
        data = _one_line(json.encode(wire))
        closed = data[:-1] + self._tail if wire else b"{" + self._tail[1:]
        return self._framed(closed) + (b"]" if self._is_array else b"")

    def _last(self, index: int, finish: Finish) -> Wire:
        """An empty text rather than no part: Google's chat sessions forget a turn with a chunk without parts."""
        protocol = NAME if finish.raw in FINISH else ""
        wire: Wire = {
            "content": {"role": "model", "parts": [{"text": ""}]},
            **encode_finish(finish, protocol, self._report),
            "index": index,
        }
        grounding = encode_grounding(
            [(0, "".join(self._texts.get(index, [])), self._citations.get(index, []))], self._report
        )
        if grounding is not None:
            wire.setdefault("groundingMetadata", grounding)
        if index in self._logprobs:
            wire["logprobsResult"] = encode_logprobs(self._logprobs[index])
        return wire


def _one_line(data: bytes) -> bytes:
    """Line breaks in JSON are white space; in an event stream they would end the line."""
    if b"\n" in data or b"\r" in data:
        return data.replace(b"\r", b" ").replace(b"\n", b" ")
    return data
