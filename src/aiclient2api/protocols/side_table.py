"""What an assistant turn held beside its words, kept by tool-call id for clients that rebuild their messages.

Such a client sends back text and calls only: thoughts, signatures and hosted blocks are gone, and a new Claude or
Gemini refuses the call without them. A record holds exactly these, and where they stood; the words stay with the
client. Where the client's turn does not fit the record, the record is not used.

A Chat message has no place for the order of its parts. A client that gives back the thoughts but not the member that
tells their order (`extra_content`) gets it from here.

Claude's and Google's clients also parse the arguments of calls and write them again (`1.50` becomes `1.5`): their
exact text is kept, and put back where what the client sends has the same value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from aiclient2api.ir.events import PartDelta, PartEnd, PartStart, StreamEvent
from aiclient2api.ir.fold import PartBuilder
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import HostedCall, Opaque, Part, Reasoning, Shape, Text, ToolCall, ToolResult
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.protocols.base import OpaqueSlots
from aiclient2api.protocols.carrier import Carrier, is_envelope
from aiclient2api.protocols.exact_arguments import is_plain, is_same
from aiclient2api.protocols.ids import digest

MAX_BYTES: Final = 64 * 1024
"""A larger record is not kept."""
MAX_TURNS: Final = 64
"""Turns of one history that are looked up, the newest ones."""
MAX_ID: Final = 256
"""Characters of a call id; a longer one is not looked up."""


class Words(Struct, frozen=True, tag="words", tag_field="slot"):
    """A text of this many characters stood here, with its signature and what it was to the answer."""

    length: int
    opaque: Opaque | None = None
    phase: str | None = None


class Call(Struct, frozen=True, tag="call", tag_field="slot"):
    """A tool call stood here, with its signature.

    `arguments` is their exact text, where a client that parses them would write another.
    """

    call_id: str
    opaque: Opaque | None = None
    arguments: str | None = None


class Whole(Struct, frozen=True, tag="whole", tag_field="slot"):
    """A part that the client does not send back."""

    part: Reasoning | HostedCall


Slot = Words | Call | Whole


class Record(Struct, frozen=True):
    """One assistant turn without its words, and the mark of the account that made it.

    `question` tells what it answered: some upstreams number their calls, so that an id comes again.
    """

    slots: list[Slot]
    question: str
    account: str = ""


_PARSING: Final = frozenset(("anthropic", "gemini"))
"""Protocols whose clients get arguments as JSON values."""
_ORDERLESS: Final = "openai_chat"
"""The protocol whose messages have one place for all thoughts, one for all text, one for all calls."""
_STATE_CHANNELS: Final[tuple[str, ...]] = ("summary", "raw", "opaque")
_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Record)


class TurnRecorder:
    """Watches the answer to a request before it is sealed, the first candidate only."""

    def __init__(self, asked: ModelRequest, account: str) -> None:
        self._asked, self._account = asked, account
        self._channels = _STATE_CHANNELS
        if asked.protocol in _PARSING:
            self._channels = (*_STATE_CHANNELS, "arguments")
        self._open: dict[int, PartBuilder] = {}
        self._lengths: dict[int, int] = {}
        self._done: dict[int, Slot] = {}

    def note(self, event: StreamEvent) -> None:
        """Take the next event."""
        match event:
            case PartDelta(candidate=0):
                builder = self._open.get(event.number)
                if builder is None:
                    return
                if event.channel == "text":
                    self._lengths[event.number] += len(event.text)
                elif event.channel in self._channels:
                    builder.add(event)
            case PartStart(candidate=0):
                self._open[event.number] = PartBuilder(event.part)
                self._lengths[event.number] = len(event.part.text) if isinstance(event.part, Text) else 0
            case PartEnd(candidate=0):
                self._end(event)
            case _:
                pass

    def note_text(self, candidate: int, number: int, length: int) -> None:
        """The same for so many characters of text."""
        if candidate == 0 and number in self._open:
            self._lengths[number] += length

    def _end(self, event: PartEnd) -> None:
        builder = self._open.pop(event.number, None)
        if builder is None:
            return
        part, opaque = builder.part, builder.opaque or builder.part.opaque
        match part:
            case Text():
                self._done[event.number] = Words(self._lengths[event.number], opaque, part.phase)
            case ToolCall(call_id=call_id):
                self._done[event.number] = Call(
                    call_id, opaque, self._arguments(event.part or builder.whole())
                )
            case Reasoning() | HostedCall():
                whole = event.part or builder.whole()
                if isinstance(whole, Reasoning | HostedCall):
                    self._done[event.number] = Whole(whole)
            case _:
                pass

    def _arguments(self, call: Part) -> str | None:
        if "arguments" not in self._channels or not isinstance(call, ToolCall) or call.kind != "function":
            return None
        return None if is_plain(call.arguments) else call.arguments

    def record(self) -> tuple[str, bytes | None] | None:
        """The call id to keep the turn by, and its record.

        No record where the turn holds nothing that only we could give back; None where it has no call.
        """
        slots = [slot for _, slot in sorted(self._done.items())]
        call_id = next((slot.call_id for slot in slots if isinstance(slot, Call)), None)
        if call_id is None or len(call_id) > MAX_ID:
            return None
        data = self._packed(slots)
        if data is not None and len(data) > MAX_BYTES:
            # state is what an upstream insists on
            data = self._packed([_without_arguments(slot) for slot in slots])
        return call_id, data if data is not None and len(data) <= MAX_BYTES else None

    def _packed(self, slots: list[Slot]) -> bytes | None:
        if not any(
            _is_state(slot) or (isinstance(slot, Call) and slot.arguments is not None) for slot in slots
        ):
            return None
        return _encode(Record(slots, _question(self._asked.turns), self._account))


def _without_arguments(slot: Slot) -> Slot:
    return msgspec.structs.replace(slot, arguments=None) if isinstance(slot, Call) else slot


def _is_state(slot: Slot) -> bool:
    if isinstance(slot, Whole):
        return isinstance(slot.part, HostedCall) or slot.part.opaque is not None
    return slot.opaque is not None or (isinstance(slot, Words) and slot.phase is not None)


def _question(turns: Sequence[Turn]) -> str:
    """What the next turn answers, by the user's words and the ids of results, which clients keep."""
    asked = next((turn for turn in reversed(turns) if turn.role != "assistant"), None)
    said = [] if asked is None else asked.parts
    return digest(
        *(part.text for part in said if isinstance(part, Text)),
        *(part.call_id for part in said if isinstance(part, ToolResult)),
    )


def wanted(request: ModelRequest) -> list[str]:
    """The call ids of turns that came back without any state, or with ours but maybe not as they were.

    The newest first.
    """
    ids = [
        call_id
        for turn in reversed(request.turns)
        if (call_id := _call_id(turn)) is not None and (_is_bare(turn) or _may_differ(turn, request.protocol))
    ]
    return ids[:MAX_TURNS]


def _may_differ(turn: Turn, client: str) -> bool:
    """Whether a turn with our state lost the spelling of arguments, or the order of several thoughts."""
    if client in _PARSING:
        return any(is_envelope(part.opaque) for part in turn.parts)
    return client == _ORDERLESS and _thoughts_lead(turn)


def _thoughts_lead(turn: Turn) -> bool:
    """Whether several thoughts stand before everything else, as they do where nothing tells their places."""
    thoughts = [isinstance(part, Reasoning) and part.opaque is not None for part in turn.parts]
    return sum(thoughts) > 1 and all(thoughts[: sum(thoughts)])


def _is_bare(turn: Turn) -> bool:
    return all(part.opaque is None for part in turn.parts)


def _call_id(turn: Turn) -> str | None:
    """What the turn is kept by."""
    if turn.role != "assistant":
        return None
    call_id = next((part.call_id for part in turn.parts if isinstance(part, ToolCall)), None)
    return call_id if call_id is not None and len(call_id) <= MAX_ID else None


class SideTable:
    """The signed records that were found for one request, by call id, the newest turn's first."""

    def __init__(self, records: Mapping[str, bytes], carrier: Carrier, tenant: str) -> None:
        self._records = records
        self._carrier = carrier
        self._tenant = tenant

    def _record(self, call_id: str) -> Record | None:
        signed = self._records.get(call_id)
        data = self._carrier.verified(signed, self._tenant, call_id) if signed else None
        if data is None:
            return None
        try:
            return _decoder.decode(data)
        except msgspec.DecodeError:
            return None

    @property
    def account(self) -> str | None:
        """The mark of the account that made the newest of the turns, None when there is none."""
        found = (self._record(call_id) for call_id in self._records)
        return next((record.account or None for record in found if record is not None), None)

    def put_back(self, request: ModelRequest, upstream: OpaqueSlots) -> tuple[ModelRequest, list[Loss]]:
        """The request with the state that its upstream made, where the turns fit their records."""
        if not self._records:
            return request, []
        losses: list[Loss] = []
        turns: list[Turn] = []
        for index, turn in enumerate(request.turns):
            call_id = _call_id(turn)
            record = self._record(call_id) if call_id is not None else None
            if record is None or record.question != _question(request.turns[:index]):
                turns.append(turn)
                continue
            exact = _with_arguments(turn, record)
            features = ["tool_call.arguments"] if exact is not turn else []
            parts = _joined(exact, record, upstream) if _is_bare(turn) else None
            if parts is not None:
                features += _features(record, upstream)
            elif request.protocol == _ORDERLESS and _thoughts_lead(turn):
                parts = _ordered(exact, record)
                features += ["part.order"] if parts is not None else []
            if parts is not None:
                exact = msgspec.structs.replace(exact, parts=parts)
            losses.extend(Loss(feature, f"turns[{index}]", "side_table") for feature in features)
            turns.append(exact)
        return msgspec.structs.replace(request, turns=turns), losses


def _with_arguments(turn: Turn, record: Record) -> Turn:
    """The turn with the exact text of arguments; itself where the client's is exact or of another value."""
    kept = {slot.call_id: slot.arguments for slot in record.slots if isinstance(slot, Call)}
    parts: list[Part] = []
    for part in turn.parts:
        text = kept.get(part.call_id) if isinstance(part, ToolCall) else None
        if isinstance(part, ToolCall) and text is not None and is_same(text, part.arguments):
            shape = part.shape if text else part.shape | Shape.CONTENT_STRING
            part = msgspec.structs.replace(part, arguments=text, shape=shape)
        parts.append(part)
    return turn if parts == turn.parts else msgspec.structs.replace(turn, parts=parts)


def _features(record: Record, upstream: OpaqueSlots) -> list[str]:
    """What the report calls the state of a record."""
    hosted = [isinstance(slot, Whole) and isinstance(slot.part, HostedCall) for slot in record.slots]
    signed = any(
        (slot.part.opaque if isinstance(slot, Whole) else slot.opaque) is not None for slot in record.slots
    )
    phased = any(isinstance(slot, Words) and slot.phase is not None for slot in record.slots)
    return [
        *(["reasoning.opaque"] if signed else []),
        *(["message.phase"] if phased and upstream.phases else []),
        *(["tool.hosted"] if any(hosted) else []),
    ]


def _joined(turn: Turn, record: Record, upstream: OpaqueSlots) -> list[Part] | None:
    texts = [part for part in turn.parts if isinstance(part, Text)]
    calls = [part for part in turn.parts if isinstance(part, ToolCall)]
    told = [slot.call_id for slot in record.slots if isinstance(slot, Call)]
    others = [part for part in turn.parts if not isinstance(part, Text | ToolCall | Reasoning)]
    if others or told != [call.call_id for call in calls]:
        return None
    if not any(_is_state(slot) and _reads(slot, upstream) for slot in record.slots):
        return None
    pieces = _pieces(texts, [slot.length for slot in record.slots if isinstance(slot, Words)])
    if pieces is None:
        return None
    parts: list[Part] = []
    for slot in record.slots:
        match slot:
            case Words(length=size, opaque=opaque, phase=phase):
                piece = pieces.pop(0)
                if piece or not size:
                    phase = phase if upstream.phases else None
                    parts.append(Text(text=piece, opaque=opaque, phase=phase))
            case Call(opaque=opaque):
                parts.append(msgspec.structs.replace(calls.pop(0), opaque=opaque))
            case Whole(part=part):
                parts.append(part)
    return parts


def _ordered(turn: Turn, record: Record) -> list[Part] | None:
    """The parts that came back in the order they had; None where they are others, or where it is the same order."""
    thoughts = {part.opaque.data: part for part in turn.parts if isinstance(part, Reasoning) and part.opaque}
    calls = {part.call_id: part for part in turn.parts if isinstance(part, ToolCall)}
    pieces = _pieces(
        [part for part in turn.parts if isinstance(part, Text)],
        [slot.length for slot in record.slots if isinstance(slot, Words)],
    )
    if pieces is None or len(thoughts) + len(calls) != sum(not isinstance(part, Text) for part in turn.parts):
        return None
    parts: list[Part | None] = []
    for slot in record.slots:
        match slot:
            case Words(length=size, opaque=opaque):
                parts.append(Text(text=pieces.pop(0), opaque=opaque) if size or opaque else None)
            case Call(call_id=call_id):
                parts.append(calls.pop(call_id, None))
            case Whole(part=Reasoning(opaque=Opaque(data=data))):
                parts.append(thoughts.pop(data, None))
            case Whole():
                return None
    found = [part for part in parts if part is not None]
    if thoughts or calls or len(found) != len(parts) or [*map(_place, found)] == [*map(_place, turn.parts)]:
        return None
    return found


def _place(part: Part) -> tuple[str, str]:
    """What a part is, for the order alone."""
    name = part.call_id if isinstance(part, ToolCall) else part.opaque.data if part.opaque else ""
    return type(part).__name__, name


def _pieces(texts: list[Text], lengths: list[int]) -> list[str] | None:
    """The client's text as it stood; a text that it changed or left out has a place where there is only one."""
    text = "".join(part.text for part in texts)
    if len(text) == sum(lengths):
        ends = [sum(lengths[: index + 1]) for index in range(len(lengths))]
        return [text[end - size : end] for end, size in zip(ends, lengths, strict=True)]
    spoken = [size for size in lengths if size]
    if len(spoken) != 1:
        return None
    return [text if size else "" for size in lengths]


def _reads(slot: Slot, upstream: OpaqueSlots) -> bool:
    if isinstance(slot, Whole):
        if isinstance(slot.part, HostedCall):
            return slot.part.protocol == upstream.protocol
        return slot.part.opaque is not None and slot.part.opaque.kind in upstream.native
    if isinstance(slot, Words) and slot.phase is not None and upstream.phases:
        return True
    return slot.opaque is not None and slot.opaque.kind in upstream.native
