"""What an answer loses beside its parts: members that only the upstream's protocol has, and an end that is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Raw

from aiclient2api.ir.events import (
    CandidateEnd,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    UsageReport,
)
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import Ext, Media, Part, Reasoning, Refusal, Text, ToolCall
from aiclient2api.ir.response import Finish, FinishReason, ModelResponse
from aiclient2api.protocols.ids import is_synthetic
from aiclient2api.protocols.report import LossReport
from aiclient2api.wire import json

_TOLD_ELSEWHERE: Final = frozenset(("logprobsResult",))
"""Kept whole for their own protocol, although the IR has all of it."""
_CITED: Final = frozenset(("groundingChunks", "groundingSupports"))
_SPOKEN: Final = (Text, Refusal, ToolCall, Media)
"""Parts that no envelope holds whole; nor does it hold a thought without a signature."""
_UNFINISHED: Final = frozenset(("pause", "continuation"))
"""Ends that ask the client to go on in a way that only their own protocol has."""
_NEAREST: Final[frozenset[FinishReason]] = frozenset(
    ("other", "unknown", "compaction", "steered", "recitation", "context_length")
)
"""Ends that not every protocol has a word for: the client reads the nearest one."""
_OWN_WORDS: Final = frozenset((("anthropic", "context_length"), ("anthropic", "compaction")))
"""Those that a client's protocol does have."""
LENGTHS: Final = frozenset(("length", "max_output_tokens", "max_tokens", "MAX_TOKENS"))
"""Words of upstreams for the token limit; another one is told as it for want of a nearer one."""
_CALLING: Final = frozenset(
    (None, "tool_calls", "function_call", "tool_use", "stop", "end_turn", "completed", "STOP")
)
"""Words of upstreams for the end of an answer that calls tools; whoever says another one meant something else too."""
_MISSING_SIGNATURE: Final = "MISSING_THOUGHT_SIGNATURE"
"""Google's word for a history that lacks one (Gemini API, "FinishReason")."""


class AnswerReport:
    """Watches the events of one answer on its way to a client of the protocol `client`."""

    def __init__(self, client: str) -> None:
        self._report = LossReport(client)

    @property
    def losses(self) -> list[Loss]:
        """What was lost so far."""
        return self._report.losses

    def note(self, event: StreamEvent) -> None:
        """Take the next event."""
        match event:
            case PartStart(part=part) if part.ext or isinstance(part, ToolCall):
                if isinstance(part, ToolCall) and is_synthetic(part.call_id):
                    self._report.defaulted("tool_call.id", "response", "the upstream gave none")
                self._part(part, event.number, event.candidate)
            case PartEnd(part=part) if part is not None and part.ext:
                self._part(part, event.number, event.candidate)
            case CandidateEnd():
                self._finish(event.finish, f"candidates[{event.candidate}]")
            case ResponseStart() if event.ext:
                self._members(event.ext, "response")
            case ResponseEnd() if event.ext or event.blocked is not None:
                self._members(event.ext, "response")
                self._members(event.blocked.ext if event.blocked is not None else None, "response")
            case UsageReport() if event.usage.ext:
                self._counts(event.usage.ext)
            case _:
                pass

    def _part(self, part: Part, number: int, candidate: int) -> None:
        if isinstance(part, _SPOKEN) or (isinstance(part, Reasoning) and part.opaque is None):
            self._members(part.ext, f"candidates[{candidate}].parts[{number}]")

    def note_whole(self, response: ModelResponse) -> None:
        """What a whole answer has and a stream of it does not."""
        for candidate in response.candidates:
            path = f"candidates[{candidate.index}]"
            self._members(candidate.ext, path)
            self._members(candidate.turn.ext, path)

    def _finish(self, finish: Finish, path: str) -> None:
        if finish.ext:
            self._members(finish.ext, path)
        if finish.raw == _MISSING_SIGNATURE:
            self._report.dropped("reasoning.signature", path, "the upstream says that it misses one")
        if finish.reason in _NEAREST and (self._report.target, finish.reason) not in _OWN_WORDS:
            self._report.approximated("finish.reason", path, finish.raw or finish.reason)
        if (finish.reason == "tool_use" and finish.raw not in _CALLING) or (
            finish.reason == "length" and finish.raw not in LENGTHS
        ):
            self._report.approximated("finish.reason", path, finish.raw)
        if finish.reason in _UNFINISHED:
            self._report.approximated("finish.pause", path, f"{finish.raw or finish.reason} is not resumed")

    def _counts(self, ext: Ext) -> None:
        """What a zero counts is lost with nobody."""
        counted = {
            protocol: {name: value for name, value in members.items() if not _is_zero(value)}
            for protocol, members in ext.items()
        }
        self._members(counted, "usage")

    def _members(self, ext: Ext | None, path: str) -> None:
        if ext:
            lost = {protocol: dict(_lost(members.items())) for protocol, members in ext.items()}
            self._report.foreign_members(lost, path)


def _is_zero(value: Raw) -> bool:
    if bytes(value) == b"0":
        return True
    return json.is_object(bytes(value)) and all(
        _is_zero(inner) or inner == json.NULL for inner in json.decode(value, dict[str, Raw]).values()
    )


def _lost(members: Iterable[tuple[str, Raw]]) -> Iterable[tuple[str, Raw]]:
    for name, value in members:
        if name in _TOLD_ELSEWHERE:
            continue
        if name == "groundingMetadata" and _is_cited(value):
            continue
        yield name, value


def _is_cited(grounding: Raw) -> bool:
    """Whether the citations of the text say all of it."""
    return json.is_object(bytes(grounding)) and json.decode(grounding, dict[str, Raw]).keys() <= _CITED
