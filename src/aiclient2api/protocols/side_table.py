"""What an assistant turn held beside its words, kept by tool-call id for clients that rebuild their messages.

Such a client sends back text and calls only: thoughts, signatures and hosted blocks are gone, and a new Claude or
Gemini refuses the call without them. A record holds exactly these, and where they stood; words and arguments stay
with the client. Where the client's turn does not fit the record, the record is not used.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from aiclient2api.ir.events import PartDelta, PartEnd, PartStart, StreamEvent
from aiclient2api.ir.fold import PartBuilder
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import HostedCall, Opaque, Part, Reasoning, Text, ToolCall
from aiclient2api.ir.request import ModelRequest, Turn

MAX_BYTES = 64 * 1024
"""A larger record is not kept."""
MAX_TURNS = 64
"""Turns of one history that are looked up, the newest ones."""


class Words(Struct, frozen=True, tag="words", tag_field="slot"):
    """A text of this many characters stood here, with its signature."""

    length: int
    opaque: Opaque | None = None


class Call(Struct, frozen=True, tag="call", tag_field="slot"):
    """A tool call stood here, with its signature."""

    call_id: str
    opaque: Opaque | None = None


class Whole(Struct, frozen=True, tag="whole", tag_field="slot"):
    """A part that the client does not send back."""

    part: Reasoning | HostedCall


class Record(Struct, frozen=True):
    """One assistant turn without its words."""

    slots: list[Words | Call | Whole]
    account: str = ""


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Record)


class TurnRecorder:
    """Watches an answer before it is sealed, the first candidate only."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._open: dict[int, PartBuilder] = {}
        self._lengths: dict[int, int] = {}
        self._done: dict[int, Words | Call | Whole] = {}

    def note(self, event: StreamEvent) -> None:
        """Take the next event."""
        match event:
            case PartStart(candidate=0):
                self._open[event.number] = PartBuilder(event.part)
                self._lengths[event.number] = len(event.part.text) if isinstance(event.part, Text) else 0
            case PartDelta(candidate=0):
                builder = self._open.get(event.number)
                if builder is None:
                    return
                if event.channel == "text":
                    self._lengths[event.number] += len(event.text)
                elif event.channel in ("summary", "raw", "opaque"):
                    builder.add(event)
            case PartEnd(candidate=0):
                self._end(event)
            case _:
                pass

    def _end(self, event: PartEnd) -> None:
        builder = self._open.pop(event.number, None)
        if builder is None:
            return
        match builder.part:
            case Text():
                self._done[event.number] = Words(
                    self._lengths[event.number], builder.opaque or builder.part.opaque
                )
            case ToolCall(call_id=call_id):
                self._done[event.number] = Call(call_id, builder.opaque or builder.part.opaque)
            case Reasoning() | HostedCall():
                whole = event.part or builder.whole()
                if isinstance(whole, Reasoning | HostedCall):
                    self._done[event.number] = Whole(whole)
            case _:
                pass

    def record(self) -> tuple[str, bytes] | None:
        """The id to keep the turn by and its record; None when there is nothing that only we could give back."""
        slots = [slot for _, slot in sorted(self._done.items())]
        call_id = next((slot.call_id for slot in slots if isinstance(slot, Call)), None)
        if call_id is None or not any(_is_state(slot) for slot in slots):
            return None
        data = _encode(Record(slots, self._account))
        return (call_id, data) if len(data) <= MAX_BYTES else None


def _is_state(slot: Words | Call | Whole) -> bool:
    if isinstance(slot, Whole):
        return isinstance(slot.part, HostedCall) or slot.part.opaque is not None
    return slot.opaque is not None


def wanted(request: ModelRequest) -> list[str]:
    """The call ids of turns that came back without any state, the newest first."""
    ids = [call_id for turn in reversed(request.turns) if (call_id := _bare_call(turn)) is not None]
    return ids[:MAX_TURNS]


def _bare_call(turn: Turn) -> str | None:
    if turn.role != "assistant" or any(part.opaque is not None for part in turn.parts):
        return None
    return next((part.call_id for part in turn.parts if isinstance(part, ToolCall)), None)


def put_back(
    request: ModelRequest, records: Mapping[str, bytes], upstream: frozenset[str], protocol: str
) -> tuple[ModelRequest, list[Loss]]:
    """The request with the state that its upstream made, where the turns fit their records.

    `upstream` are the kinds of state that the upstream reads, `protocol` whose hosted blocks it takes.
    """
    if not records:
        return request, []
    losses: list[Loss] = []
    turns: list[Turn] = []
    for index, turn in enumerate(request.turns):
        call_id = _bare_call(turn)
        data = records.get(call_id) if call_id is not None else None
        parts = _joined(turn, data, upstream, protocol) if data is not None else None
        if parts is not None:
            turn = msgspec.structs.replace(turn, parts=parts)
            losses.append(Loss("reasoning.opaque", f"turns[{index}]", "side_table"))
        turns.append(turn)
    return msgspec.structs.replace(request, turns=turns), losses


def _joined(turn: Turn, data: bytes, upstream: frozenset[str], protocol: str) -> list[Part] | None:
    try:
        record = _decoder.decode(data)
    except msgspec.DecodeError:
        return None
    text = "".join(part.text for part in turn.parts if isinstance(part, Text))
    calls = [part for part in turn.parts if isinstance(part, ToolCall)]
    told = [slot.call_id for slot in record.slots if isinstance(slot, Call)]
    length = sum(slot.length for slot in record.slots if isinstance(slot, Words))
    others = [part for part in turn.parts if not isinstance(part, Text | ToolCall | Reasoning)]
    if others or told != [call.call_id for call in calls] or length != len(text):
        return None
    if not any(_is_state(slot) and _reads(slot, upstream, protocol) for slot in record.slots):
        return None
    parts: list[Part] = []
    for slot in record.slots:
        match slot:
            case Words(length=size, opaque=opaque):
                parts.append(Text(text=text[:size], opaque=opaque))
                text = text[size:]
            case Call(opaque=opaque):
                parts.append(msgspec.structs.replace(calls.pop(0), opaque=opaque))
            case Whole(part=part):
                parts.append(part)
    return parts


def _reads(slot: Words | Call | Whole, upstream: frozenset[str], protocol: str) -> bool:
    if isinstance(slot, Whole):
        if isinstance(slot.part, HostedCall):
            return slot.part.protocol == protocol
        return slot.part.opaque is not None and slot.part.opaque.kind in upstream
    return slot.opaque is not None and slot.opaque.kind in upstream
