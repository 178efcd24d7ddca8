"""A streamed answer: ten events.

Invariants (`check` in tests and the debug validator hold them):

1. one ResponseStart first, one ResponseEnd or Failure last, nothing after;
2. per candidate PartStart before PartDelta, PartEnd once, part numbers dense and never reused; several parts may
   be open at the same time (Responses items, Chat's parallel tool calls);
3. a delta's channel fits its part: text, citation, logprobs → Text; summary, raw → Reasoning; arguments →
   ToolCall; refusal → Refusal; opaque → any part, at most once and whole;
4. UsageReport is cumulative, the last one is final; CandidateEnd once per candidate, after its last PartEnd.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

from aiclient2api.errors import ErrorInfo
from aiclient2api.ir.parts import (
    Citation,
    Ext,
    Opaque,
    Part,
    Protocol,
    Reasoning,
    Refusal,
    Text,
    TokenLogprob,
)
from aiclient2api.ir.response import Finish, Usage

Channel = Literal[
    "text", "summary", "raw", "arguments", "refusal", "audio", "transcript", "citation", "logprobs", "opaque"
]


class ResponseStart(Struct, frozen=True, gc=False):
    """The answer begins."""

    id: str = ""
    model: str = ""
    created: float | None = None
    usage: Usage | None = None
    ext: Ext | None = None
    tier: str | None = None


class PartStart(Struct, frozen=True, gc=False):
    """A part begins: its type, ids and name are in `part`, its content follows in deltas.

    A part that arrives whole (an image, a native block) carries its content here and has no deltas.
    """

    number: int
    part: Part
    candidate: int = 0


class PartDelta(Struct, frozen=True, gc=False):
    """A piece of a part's content.

    `text` is the piece for the textual channels; `index` the summary or raw section it belongs to (a section
    begins when its index first appears). `value` is set for the channels citation, logprobs and opaque.
    """

    number: int
    text: str
    channel: Channel = "text"
    index: int = 0
    value: Citation | list[TokenLogprob] | Opaque | None = None
    candidate: int = 0


class PartEnd(Struct, frozen=True, gc=False):
    """A part is complete. `part` is the authoritative whole when the source supplies it, else None.

    `cut`: a call that the end of the answer cut off; what there is of its arguments must not be taken for all.
    """

    number: int
    part: Part | None = None
    candidate: int = 0
    cut: bool = False


class UsageReport(Struct, frozen=True, gc=False):
    """Cumulative token counts; `final` on the last one."""

    usage: Usage
    final: bool = False


class CandidateEnd(Struct, frozen=True, gc=False):
    """A candidate is complete."""

    finish: Finish
    candidate: int = 0


class ResponseEnd(Struct, frozen=True, gc=False):
    """The terminal of the upstream was seen: the answer is whole."""

    ext: Ext | None = None
    blocked: Finish | None = None
    tier: str | None = None


class Ping(Struct, frozen=True, gc=False):
    """A sign of life without content."""


class Failure(Struct, frozen=True, gc=False):
    """The answer will not be completed."""

    error: ErrorInfo


class NativeEvent(Struct, frozen=True, gc=False):
    """An event of a type we do not know, kept whole."""

    protocol: Protocol
    name: str | None
    raw: Raw


StreamEvent = (
    ResponseStart
    | PartStart
    | PartDelta
    | PartEnd
    | UsageReport
    | CandidateEnd
    | ResponseEnd
    | Ping
    | Failure
    | NativeEvent
)


def is_content(event: StreamEvent) -> bool:
    """Whether forwarding this event shows the client something of the answer: the end of invisible failover.

    A text or a thought that has only begun shows nothing; a call shows its name.
    """
    match event:
        case PartDelta():
            return bool(event.text) or event.value is not None
        case PartStart(part=Text(text=text) | Refusal(text=text)):
            return bool(text)
        case PartStart(part=Reasoning(summary=[], raw=[], redacted=False)):
            return False
        case PartStart():
            return True
        case _:
            return False
