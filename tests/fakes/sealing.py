"""An answer on its way to a client of any protocol and back, in sealed envelopes."""

from __future__ import annotations

from aiclient2api.ir.fold import fold, unfold
from aiclient2api.ir.parts import (
    Opaque,
    Part,
)
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.ir.response import Candidate, Finish, ModelResponse
from aiclient2api.protocols.base import OpaqueSlots
from aiclient2api.protocols.builtin import BUILTIN
from aiclient2api.protocols.carrier import (
    Carrier,
    SealingStream,
)
from aiclient2api.protocols.opening import open_request

CARRIER = Carrier({1: b"a key of sixteen", 2: b"another, older one"}, current=1)
SIGNATURE = Opaque("anthropic.signature", "EqQB/+==")
THOUGHT = Opaque("gemini.signature", "CiQB")
ENCRYPTED = Opaque("openai.encrypted", "gAAAA")
DETAILS = Opaque("openai_chat.details", '[{"type":"reasoning.encrypted"}]')

SLOTS = {converter.name: converter.slots for converter in BUILTIN}


def answer(parts: list[Part]) -> ModelResponse:
    """An upstream's answer."""
    candidate = Candidate(turn=Turn(role="assistant", parts=parts), finish=Finish(reason="stop"))
    return ModelResponse(protocol="upstream", id="r", model="m", candidates=[candidate])


def sealed(parts: list[Part], slots: OpaqueSlots) -> list[Part]:
    """What a client is given, and sends back as the assistant's turn."""
    sealing = SealingStream(CARRIER, "alice", slots)
    events = [event for one in unfold(answer(parts)) for event in sealing.feed(one)]
    return fold(events, "upstream").candidates[0].turn.parts


def opened(parts: list[Part], tenant: str = "alice") -> list[Part]:
    """What an upstream gets of the turn that a client sends back."""
    request = ModelRequest(protocol="client", model="m", turns=[Turn(role="assistant", parts=parts)])
    return open_request(request, CARRIER, tenant)[0].turns[0].parts
