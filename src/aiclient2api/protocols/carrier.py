"""How provider-bound state survives a client that speaks another protocol.

An envelope holds another protocol's part or signature, sealed so that only we can have made it and only for
the same tenant. It is plain base64 (Gemini clients destroy anything else) and always begins with `MAGIC`, so
one scan of a request body tells whether it holds any. Envelopes go to clients only; `open_request` puts the
original state back before an upstream sees it, and drops what it cannot verify (`opening.py`).
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

from aiclient2api.ir.events import CandidateEnd, PartDelta, PartEnd, PartStart, StreamEvent
from aiclient2api.ir.fold import PartBuilder
from aiclient2api.ir.loss import Loss
from aiclient2api.ir.parts import Citation, HostedCall, Opaque, Part, Reasoning, Text
from aiclient2api.protocols.base import OpaqueSlots
from aiclient2api.protocols.carried_sources import Source, Sources
from aiclient2api.protocols.drawn_images import drawn_image, without_image

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
    `next` and `prev` are what belongs to the neighbouring part and has no place there: its signature, the phase of
    a text, its citations. `value` is the signature of the very part that carries the envelope.
    """

    placement: Literal["self", "next", "prev", "value"]
    part: Reasoning | Text | HostedCall | None = None
    opaque: Opaque | None = None
    phase: str | None = None
    citations: list[list[Source]] = []
    """Those of each of the texts before the envelope, the last ones."""
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
        self._sources = Sources(slots.protocol)
        self._swallowed: set[tuple[int, int]] = set()
        self._numbers: dict[tuple[int, int], int] = {}
        self._next: dict[int, int] = {}
        self.losses: list[Loss] = []

    def feed(self, event: StreamEvent) -> list[StreamEvent]:
        """The events that take this one's place."""
        match event:
            case PartDelta():
                return self._delta(event)
            case PartStart(part=Text()):
                self._sources.begin(event.candidate, event.number)
                return self._start(event)
            case PartStart():
                return [*self._end_of_texts(event.candidate), *self._start(event)]
            case PartEnd():
                return self._end(event)
            case CandidateEnd():
                return [*self._end_of_texts(event.candidate), event]
            case _:
                return [event]

    def _is_foreign(self, state: Opaque | None) -> bool:
        return state is not None and state.kind not in self._slots.native

    def _is_foreign_block(self, part: HostedCall) -> bool:
        """A block of a hosted tool travels as state does: only its own upstream can read it."""
        return bool(self._slots.protocol) and part.protocol != self._slots.protocol

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
            return self._block(event, part)
        if isinstance(part, Text) and part.phase is not None and self._hides_phase(part):
            phase = Sealed("next", phase=part.phase)
            told = self._inserted(event.candidate, phase, "message.phase")
            plain = msgspec.structs.replace(part, phase=None)
            return [*told, *self._start(msgspec.structs.replace(event, part=plain))]
        if part.opaque is not None and self._is_foreign(part.opaque):
            return self._signed(event, part, part.opaque)
        return [PartStart(self._number(*key), part, event.candidate)]

    def _hides_phase(self, part: Text) -> bool:
        """Whether a text's phase has no place in the answer, and the text is not carried whole for its signature."""
        return not self._slots.phases and (bool(part.text) or not self._is_foreign(part.opaque))

    def _signed(self, event: PartStart, part: Part, state: Opaque) -> list[StreamEvent]:
        """A part with foreign state, in itself or beside it."""
        key = (event.candidate, event.number)
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

    def _block(self, event: PartStart, part: HostedCall) -> list[StreamEvent]:
        """An envelope for the block, and the image that it holds, where the client can see it."""
        image = drawn_image(part) if self._slots.images != "none" else None
        kept = without_image(part) if image is not None and self._slots.images == "returned" else part
        out: list[StreamEvent] = []
        if len(bytes(kept.raw)) <= MAX_BLOCK:
            out += self._inserted(event.candidate, Sealed("self", kept), "tool.hosted")
        elif image is None:
            return [PartStart(self._number(event.candidate, event.number), part, event.candidate)]
        else:
            self.losses.append(Loss("tool.hosted", "response", "dropped", note="too large to carry"))
        self._swallowed.add((event.candidate, event.number))
        if image is not None:
            number = self._number(event.candidate, -1)
            out += [PartStart(number, image, event.candidate), PartEnd(number, image, event.candidate)]
        return out

    def text_number(self, candidate: int, number: int) -> int | None:
        """The number of a text for the client, where nothing else of its pieces changes; else None."""
        return self._numbers.get((candidate, number)) if not self._building else None

    def _delta(self, event: PartDelta) -> list[StreamEvent]:
        key = (event.candidate, event.number)
        if key in self._swallowed:
            return []
        builder = self._building.get(key) if self._building else None
        if builder is not None:
            builder.add(event)
        if event.value is not None:
            if isinstance(event.value, Opaque) and self._is_foreign(event.value):
                return self._foreign_state(event, event.value)
            if isinstance(event.value, Citation):
                return self._citation(event, event.value)
        number = self._numbers[key]
        if number == event.number:
            return [event]
        return [PartDelta(number, event.text, event.channel, event.index, event.value, event.candidate)]

    def _foreign_state(self, event: PartDelta, state: Opaque) -> list[StreamEvent]:
        key = (event.candidate, event.number)
        if key in self._building:
            return []
        if not self._slots.on_parts:
            self._after[key] = state
            return []
        sealed = self._seal(Sealed("value", None, state))
        return [PartDelta(self._numbers[key], "", "opaque", 0, sealed, event.candidate)]

    def _citation(self, event: PartDelta, citation: Citation) -> list[StreamEvent]:
        """What the client sees of a citation; the whole of it is carried where that is less."""
        shown = self._sources.note(event.candidate, event.number, citation)
        if shown is None:
            return []
        number = self._numbers[event.candidate, event.number]
        return [PartDelta(number, "", "citation", 0, shown, event.candidate)]

    def _end_of_texts(self, candidate: int) -> list[StreamEvent]:
        """The sources of the texts that were just told, where the client has no form for them."""
        closed = self._sources.close(candidate)
        if closed is None:
            return []
        texts, features = closed
        if sum(len(bytes(source.raw)) for sources in texts for source in sources) > MAX_BLOCK:
            note = "too much to carry"
            self.losses.extend(Loss(feature, "response", "dropped", note=note) for feature in features)
            return []
        self.losses.extend(Loss(feature, "response", "carried") for feature in features[1:])
        return self._inserted(candidate, Sealed("prev", citations=texts), features[0])

    def _as_shown(self, whole: Part | None) -> Part | None:
        """The authoritative whole of a text without what is carried."""
        if not isinstance(whole, Text):
            return whole
        if whole.phase is not None and not self._slots.phases:
            whole = msgspec.structs.replace(whole, phase=None)
        return self._sources.as_shown(whole)

    def _end(self, event: PartEnd) -> list[StreamEvent]:
        key = (event.candidate, event.number)
        if key in self._swallowed:
            self._swallowed.discard(key)
            return []
        number, whole = self._numbers[key], self._as_shown(event.part)
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
            return [PartEnd(number, whole, event.candidate)]
        if whole is not None and self._is_foreign(whole.opaque):
            whole = None  # the header and the deltas carry the envelope
        ended = PartEnd(number, whole, event.candidate, event.cut)
        after = self._after.pop(key, None)
        if after is None:
            return [ended]
        return [ended, *self._inserted(event.candidate, Sealed("prev", None, after))]
