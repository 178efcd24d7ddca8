"""How provider-bound state survives a client that speaks another protocol.

An envelope holds another protocol's part or signature, sealed so that only we can have made it and only for
the same tenant. It is plain base64 (Gemini clients destroy anything else) and always begins with `MAGIC`, so
one scan of a request body tells whether it holds any. Envelopes go to clients only; `open_request` puts the
original state back before an upstream sees it, and drops what it cannot verify.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from aiclient2api.ir.events import PartDelta, PartEnd, PartStart, StreamEvent
from aiclient2api.ir.fold import PartBuilder
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import HostedCall, Opaque, Part, Reasoning, Shape, Text
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.protocols.base import OpaqueSlots

MAGIC = "Z3ctY2Fycnkx"
"""What every envelope begins with: base64 of `gw-carry1`."""

_HEAD = b"gw-carry1"
_BASE64 = re.compile(rb"[A-Za-z0-9+/_=-]+")
_MAC_BYTES = 12
MAX_BLOCK = 256 * 1024
"""Bytes of a hosted tool's block that is carried; a larger one is dropped and reported."""


class Sealed(Struct, frozen=True, omit_defaults=True):
    """What an envelope holds.

    `self` is a whole part that stands where the envelope is: a thought, or a text that is only its signature.
    `next` and `prev` are the signature of the neighbouring part, `value` is the signature of the very part that
    carries the envelope.
    """

    placement: Literal["self", "next", "prev", "value"]
    part: Reasoning | Text | HostedCall | None = None
    opaque: Opaque | None = None
    account: str = ""
    """The mark of the account that made it, which may be the only one that can continue with it."""


class Carrier:
    """Seals and opens envelopes with the gateway's keys. `keys` maps a key id (0-255) to at least 16 bytes."""

    def __init__(self, keys: Mapping[int, bytes], current: int) -> None:
        self._keys = dict(keys)
        self._current = current
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Sealed)

    def __repr__(self) -> str:
        return f"Carrier(keys={sorted(self._keys)})"

    def seal(self, sealed: Sealed, tenant: str) -> Opaque:
        """An envelope that only `tenant` can send back."""
        payload = self._encoder.encode(sealed)
        pad = -(len(_HEAD) + 2 + len(payload) + _MAC_BYTES) % 3
        body = _HEAD + bytes((self._current, pad)) + payload + b"\0" * pad
        mac = self._mac(self._keys[self._current], tenant, body)
        return Opaque("envelope", base64.b64encode(body + mac).decode())

    def open(self, data: str, tenant: str) -> Sealed | None:
        """What an envelope holds; None when it is not ours, not this tenant's, or damaged."""
        try:
            # Gemini clients may turn standard base64 into the URL-safe alphabet
            whole = base64.b64decode(data.replace("-", "+").replace("_", "/"), validate=True)
        except (binascii.Error, ValueError):
            return None
        body, mac = whole[:-_MAC_BYTES], whole[-_MAC_BYTES:]
        if len(body) < len(_HEAD) + 2 or not body.startswith(_HEAD):
            return None
        key = self._keys.get(body[len(_HEAD)])
        if key is None or not hmac.compare_digest(mac, self._mac(key, tenant, body)):
            return None
        payload = body[len(_HEAD) + 2 : len(body) - body[len(_HEAD) + 1]]
        try:
            return self._decoder.decode(payload)
        except msgspec.DecodeError:
            return None

    def sign(self, record: bytes, tenant: str, call_id: str) -> bytes:
        """A record of the side table that nobody else can have made, for this tenant and tool call only."""
        body = bytes((self._current,)) + record
        return body + self._mac(self._keys[self._current], tenant, body, call_id)

    def verified(self, signed: bytes, tenant: str, call_id: str) -> bytes | None:
        """The record; None when it is not ours, another tenant's or call's, or damaged."""
        body, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
        key = self._keys.get(body[0]) if body else None
        if key is None or not hmac.compare_digest(mac, self._mac(key, tenant, body, call_id)):
            return None
        return body[1:]

    @staticmethod
    def _mac(key: bytes, tenant: str, body: bytes, call_id: str | None = None) -> bytes:
        name = tenant.encode()
        bound = len(name).to_bytes(2, "big") + name
        if call_id is not None:
            call = call_id.encode("utf-8", "surrogatepass")
            bound += len(call).to_bytes(2, "big") + call
        person = b"" if call_id is None else b"a2 side table"
        return hashlib.blake2b(bound + body, key=key[:64], digest_size=_MAC_BYTES, person=person).digest()


def sealed_by(body: bytes, carrier: Carrier, tenant: str) -> str | None:
    """The mark of the account that made the newest envelope in a request's body, None when it is not ours."""
    start = body.rfind(MAGIC.encode())
    found = _BASE64.match(body, start) if start >= 0 else None
    sealed = carrier.open(found[0].decode(), tenant) if found is not None else None
    return sealed.account or None if sealed is not None else None


def is_envelope(opaque: Opaque | None) -> bool:
    """Whether this state is one of ours."""
    return opaque is not None and opaque.kind == "envelope"


def opaque(native: str, data: str) -> Opaque:
    """What a decoder makes of the content of a signature slot: an envelope or the native kind."""
    if data.startswith(MAGIC):
        return Opaque("envelope", data)
    return Opaque(native, data)  # pyright: ignore[reportArgumentType]  # the converter's own literal


class SealingStream:
    """Replaces foreign opaque state in an answer by envelopes that fit the client's protocol.

    Renumbers parts when it has to insert one.
    """

    def __init__(self, carrier: Carrier, tenant: str, slots: OpaqueSlots, account: str = "") -> None:
        self._carrier = carrier
        self._account = account
        self._tenant = tenant
        self._slots = slots
        self._building: dict[tuple[int, int], PartBuilder] = {}
        self._after: dict[tuple[int, int], Opaque] = {}
        self._swallowed: set[tuple[int, int]] = set()
        self._numbers: dict[tuple[int, int], int] = {}
        self._next: dict[int, int] = {}
        self.losses: list[Loss] = []

    def feed(self, event: StreamEvent) -> list[StreamEvent]:
        """The events that take this one's place."""
        match event:
            case PartStart():
                return self._start(event)
            case PartDelta():
                return self._delta(event)
            case PartEnd():
                return self._end(event)
            case _:
                return [event]

    def _is_foreign(self, state: Opaque | None) -> bool:
        return state is not None and state.kind not in self._slots.native

    def _is_foreign_block(self, part: HostedCall) -> bool:
        """A block of a hosted tool travels as state does: only its own upstream can read it."""
        protocol = self._slots.protocol
        return bool(protocol) and part.protocol != protocol and len(bytes(part.raw)) <= MAX_BLOCK

    def _seal(self, sealed: Sealed, feature: str = "reasoning.opaque") -> Opaque:
        self.losses.append(Loss(feature, "response", "carried"))
        if self._account:
            sealed = msgspec.structs.replace(sealed, account=self._account)
        return self._carrier.seal(sealed, self._tenant)

    def _number(self, candidate: int, number: int) -> int:
        new = self._next.get(candidate, 0)
        self._next[candidate] = new + 1
        self._numbers[candidate, number] = new
        return new

    def _inserted(
        self, candidate: int, sealed: Sealed, feature: str = "reasoning.opaque"
    ) -> list[StreamEvent]:
        """A reasoning part of our own that carries an envelope."""
        number = self._number(candidate, -1)
        return [
            PartStart(number, Reasoning(), candidate),
            PartDelta(number, "", "opaque", 0, self._seal(sealed, feature), candidate),
            PartEnd(number, None, candidate),
        ]

    def _start(self, event: PartStart) -> list[StreamEvent]:
        part, key = event.part, (event.candidate, event.number)
        if isinstance(part, Reasoning):
            self._building[key] = PartBuilder(part)
            if self._is_foreign(part.opaque):
                part = msgspec.structs.replace(part, opaque=None)
            return [PartStart(self._number(*key), part, event.candidate)]
        if isinstance(part, HostedCall) and self._is_foreign_block(part):
            self._swallowed.add(key)
            return self._inserted(event.candidate, Sealed("self", part), "tool.hosted")
        state = part.opaque
        if state is None or not self._is_foreign(state):
            return [PartStart(self._number(*key), part, event.candidate)]
        sealed = (
            Sealed("self", part) if isinstance(part, Text) and not part.text else Sealed("next", None, state)
        )
        if self._slots.on_parts:
            if sealed.placement == "next":
                sealed = Sealed("value", None, state)
            part = msgspec.structs.replace(part, opaque=self._seal(sealed))
            return [PartStart(self._number(*key), part, event.candidate)]
        before = self._inserted(event.candidate, sealed)
        if sealed.placement == "self":
            self._swallowed.add(key)
            return before
        part = msgspec.structs.replace(part, opaque=None)
        return [*before, PartStart(self._number(*key), part, event.candidate)]

    def _delta(self, event: PartDelta) -> list[StreamEvent]:
        key = (event.candidate, event.number)
        if key in self._swallowed:
            return []
        builder = self._building.get(key) if self._building else None
        if builder is not None:
            builder.add(event)
        if event.channel == "opaque" and isinstance(event.value, Opaque) and self._is_foreign(event.value):
            if builder is not None:
                return []
            if not self._slots.on_parts:
                self._after[key] = event.value
                return []
            sealed = self._seal(Sealed("value", None, event.value))
            return [PartDelta(self._numbers[key], "", "opaque", 0, sealed, event.candidate)]
        number = self._numbers[key]
        if number == event.number:
            return [event]
        return [PartDelta(number, event.text, event.channel, event.index, event.value, event.candidate)]

    def _end(self, event: PartEnd) -> list[StreamEvent]:
        key = (event.candidate, event.number)
        if key in self._swallowed:
            self._swallowed.discard(key)
            return []
        number, whole = self._numbers[key], event.part
        builder = self._building.pop(key, None)
        if builder is not None:
            whole = whole or builder.whole()
            must_seal = self._is_foreign(whole.opaque) or (whole.opaque is None and self._slots.always)
            if isinstance(whole, Reasoning) and must_seal:
                envelope = self._seal(Sealed("self", msgspec.structs.replace(whole, new_item=False)))
                return [
                    PartDelta(number, "", "opaque", 0, envelope, event.candidate),
                    PartEnd(number, msgspec.structs.replace(whole, opaque=envelope), event.candidate),
                ]
            return [PartEnd(number, event.part, event.candidate)]
        if whole is not None and self._is_foreign(whole.opaque):
            whole = None  # the header and the deltas carry the envelope
        ended = PartEnd(number, whole, event.candidate, event.cut)
        after = self._after.pop(key, None)
        if after is None:
            return [ended]
        return [ended, *self._inserted(event.candidate, Sealed("prev", None, after))]


def open_request(request: ModelRequest, carrier: Carrier, tenant: str) -> tuple[ModelRequest, list[Loss]]:
    """The request with every envelope replaced by what it holds."""
    losses: list[Loss] = []
    turns = [
        _open_turn(turn, f"turns[{index}]", carrier, tenant, losses) if turn.role == "assistant" else turn
        for index, turn in enumerate(request.turns)
    ]
    return msgspec.structs.replace(request, turns=turns), losses


def _open_turn(turn: Turn, path: str, carrier: Carrier, tenant: str, losses: list[Loss]) -> Turn:
    if not any(is_envelope(part.opaque) for part in turn.parts):
        return turn
    out: list[Part] = []
    waiting: Opaque | None = None
    waiting_path = ""
    replace = msgspec.structs.replace
    for index, part in enumerate(turn.parts):
        here = f"{path}.parts[{index}]"
        sealed: Sealed | None = None
        if part.opaque is not None and is_envelope(part.opaque):
            sealed = carrier.open(part.opaque.data, tenant)
            if sealed is None:
                losses.append(_lost(here, "unverified"))
                part = replace(part, opaque=None)
                if isinstance(part, Reasoning) and not (part.summary or part.raw):
                    continue
        if sealed is None:
            out.append(part if waiting is None else replace(part, opaque=waiting))
            waiting = None
            continue
        match sealed.placement:
            case "self":
                _put_back(part, sealed.part, out)
            case "next":
                waiting, waiting_path = sealed.opaque, here
            case "prev":
                losses.extend(_sign_last(out, sealed.opaque, here))
            case "value":
                out.append(replace(part, opaque=sealed.opaque))
    if waiting is not None:
        losses.append(_lost(waiting_path, "its part is missing"))
    return replace(turn, parts=out)


def _lost(path: str, note: str) -> Loss:
    return Loss("reasoning.opaque", path, "dropped", note=note)


def _sign_last(out: list[Part], state: Opaque | None, path: str) -> list[Loss]:
    if not out:
        return [_lost(path, "its part is missing")]
    out[-1] = msgspec.structs.replace(out[-1], opaque=state)
    return []


def _put_back(carrying: Part, original: Part | None, out: list[Part]) -> None:
    """Put a sealed part where its envelope stood."""
    if original is None:
        return
    if not isinstance(carrying, Reasoning):
        if not isinstance(carrying, Text) or carrying.text:
            out.append(msgspec.structs.replace(carrying, opaque=None))
        out.append(original)
        return
    if isinstance(original, Reasoning):
        _absorb(carrying, original, out)
    if carrying.new_item:
        original = msgspec.structs.replace(original, new_item=True)
    out.append(original)


def _absorb(carrying: Reasoning, original: Reasoning, out: list[Part]) -> None:
    """Remove the fragments of the same thought that a client echoed as parts of their own."""
    text = "".join((*original.summary, *original.raw))
    seen = "".join((*carrying.summary, *carrying.raw))
    start = len(out)
    while start and seen != text:
        before = out[start - 1]
        if not isinstance(before, Reasoning) or before.opaque is not None:
            return
        seen = "".join((*before.summary, *before.raw)) + seen
        start -= 1
    if seen == text:
        del out[start:]


def join_continued(request: ModelRequest) -> ModelRequest:
    """Join text that a client echoed in pieces (`Shape.CONTINUES`), as the model wrote it."""
    if not any(part.shape & Shape.CONTINUES for turn in request.turns for part in turn.parts):
        return request
    turns: list[Turn] = []
    for turn in request.turns:
        parts: list[Part] = []
        for part in turn.parts:
            last = parts[-1] if parts else None
            if (
                isinstance(part, Text)
                and part.shape & Shape.CONTINUES
                and isinstance(last, Text)
                and not last.opaque
            ):
                parts[-1] = msgspec.structs.replace(last, text=last.text + part.text, opaque=part.opaque)
            elif isinstance(part, Reasoning) and part.shape & Shape.CONTINUES and _is_unsigned(last):
                assert isinstance(last, Reasoning)
                joined = ["".join((*last.summary, *part.summary))]
                parts[-1] = msgspec.structs.replace(last, summary=joined, opaque=part.opaque)
            else:
                parts.append(part)
        turns.append(msgspec.structs.replace(turn, parts=parts))
    return msgspec.structs.replace(request, turns=turns)


def _is_unsigned(part: Part | None) -> bool:
    return isinstance(part, Reasoning) and part.opaque is None
