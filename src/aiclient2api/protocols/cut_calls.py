"""Which calls of an answer were cut off by its end: a client must not take half a command for a whole one.

Whether a call without arguments, with free text or with broken JSON is whole shows only when its answer goes on
or says why it ended: until then its end is held back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

import msgspec
from msgspec import Struct

from aiclient2api.ir.events import CandidateEnd, PartDelta, PartEnd, PartStart, StreamEvent
from aiclient2api.ir.fold import PartBuilder
from aiclient2api.ir.parts import ToolCall
from aiclient2api.ir.response import FinishReason
from aiclient2api.wire import json

CUTTING: Final[frozenset[FinishReason]] = frozenset(
    (
        "length",
        "context_length",
        "continuation",
        "content_filter",
        "refusal",
        "recitation",
        "malformed",
        "error",
        "cancelled",
    )
)
"""Ends that may fall into the middle of a call."""
INCOMPLETE: Final = "incomplete"
"""The status of a call that was cut off, in the word of Responses."""
_REPAIRS: Final = frozenset(("anthropic",))
"""Protocols whose unary answers show the arguments of a call that was cut off as a whole object, and whose streams
begin every call with an empty one."""
_NOTHING: Final = "{}"

_Doubt = Literal["none", "broken", "last"]


class _Held(Struct, frozen=True):
    event: PartEnd
    doubt: _Doubt


class CutCalls:
    """Passes the events of one answer on; the end of a call that was cut off says so."""

    __slots__ = ("_held", "_last", "_repairs", "_streamed", "open")

    def __init__(self, upstream: str, *, streamed: bool) -> None:
        self.open: dict[tuple[int, int], PartBuilder] = {}
        self._held: dict[int, list[_Held]] = {}
        self._last: dict[int, int] = {}
        self._repairs = upstream in _REPAIRS
        self._streamed = streamed

    def add(self, delta: PartDelta) -> None:
        """A delta, while a call is `open`."""
        builder = self.open.get((delta.candidate, delta.number))
        if builder is not None:
            builder.add(delta)

    def feed(self, event: StreamEvent) -> list[StreamEvent]:
        """The next event that is no delta, with whatever was held back until it."""
        match event:
            case PartStart():
                self._last[event.candidate] = max(event.number, self._last.get(event.candidate, 0))
                if isinstance(event.part, ToolCall):
                    self.open[event.candidate, event.number] = PartBuilder(event.part)
                return [*self._go_on(event.candidate), event] if self._held else [event]
            case PartEnd():
                builder = self.open.pop((event.candidate, event.number), None)
                return [event] if builder is None else self._end(event, builder)
            case CandidateEnd():
                return [*self._settle(event), event] if self._held else [event]
            case _:
                return [event]

    def _end(self, event: PartEnd, builder: PartBuilder) -> list[StreamEvent]:
        call = event.part if isinstance(event.part, ToolCall) else builder.whole()
        assert isinstance(call, ToolCall), "a call stays one"
        if call.status == INCOMPLETE:
            return [msgspec.structs.replace(event, cut=True)]
        doubt = self._doubt(call)
        if event.cut or doubt == "none":
            return [event]
        self._held.setdefault(event.candidate, []).append(_Held(event, doubt))
        return []

    def _doubt(self, call: ToolCall) -> _Doubt:
        if call.status is not None:
            return "none"
        if call.kind == "custom" or not call.arguments.strip():
            return "last"
        if json.is_object(call.arguments.encode()):
            is_repaired = self._repairs and (not self._streamed or call.arguments == _NOTHING)
            return "last" if is_repaired else "none"
        return "broken"

    def _go_on(self, candidate: int) -> list[StreamEvent]:
        """The answer goes on behind a call: it was not cut off there."""
        held = self._held.get(candidate)
        if not held:
            return []
        self._held[candidate] = [item for item in held if item.doubt == "broken"]
        return [item.event for item in held if item.doubt != "broken"]

    def _settle(self, end: CandidateEnd) -> list[StreamEvent]:
        may_cut = end.finish.reason in CUTTING
        return [
            msgspec.structs.replace(item.event, cut=True)
            if may_cut and (item.doubt == "broken" or item.event.number == self._last[end.candidate])
            else item.event
            for item in self._held.pop(end.candidate, [])
        ]


def settled(events: Iterable[StreamEvent], upstream: str, *, streamed: bool) -> Iterator[StreamEvent]:
    """The events of one answer; the ends of calls that were cut off say so."""
    cuts = CutCalls(upstream, streamed=streamed)
    for event in events:
        if isinstance(event, PartDelta):
            cuts.add(event)
            yield event
        else:
            yield from cuts.feed(event)
