"""Requests of few words: a model, a bound, turns of bare text. One typed decode reads them whole."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Shape, Text
from aiclient2api.ir.request import ModelRequest, Sampling, Turn
from aiclient2api.protocols.anthropic.schema import EXPLICIT_STREAM, NAME, STRICT_VERSION
from aiclient2api.wire import json

MOST: Final = 64 * 1024
"""Bytes of a request that is looked at; in a longer one there is nearly always more than text."""
_UNSAID: Final = Sampling()


class _Message(Struct, frozen=True, forbid_unknown_fields=True):
    role: Literal["user", "assistant", "system"]
    content: str


class _Request(Struct, frozen=True, forbid_unknown_fields=True):
    """Anything else is refused as invalid."""

    model: Annotated[str, Meta(min_length=1)]
    max_tokens: Annotated[int, Meta(ge=0)]
    messages: list[_Message]
    system: str | None = None
    stream: bool | None = None
    temperature: float | UnsetType = UNSET


def decode_plain(body: bytes, dialect: str) -> ModelRequest | None:
    """The request, None where there is more to it, or something wrong with it."""
    if len(body) > MOST:
        return None
    try:
        asked = json.decode(body, _Request)
    except MalformedMessage:
        return None
    sampling = _UNSAID
    if asked.temperature is not UNSET:
        if dialect >= STRICT_VERSION:
            return None
        sampling = Sampling(temperature=asked.temperature)
    turns = [
        Turn(role=message.role, parts=[Text(text=message.content)], shape=Shape.CONTENT_STRING)
        for message in asked.messages
    ]
    if asked.system is not None:
        system = Turn(role="system", parts=[Text(text=asked.system)], shape=Shape.CONTENT_STRING)
        turns.insert(0, system)
    return ModelRequest(
        protocol=NAME,
        model=asked.model,
        dialect=dialect,
        stream="sse" if asked.stream else "no",
        turns=turns,
        hoisted=0 if asked.system is None else 1,
        max_output=asked.max_tokens,
        sampling=sampling,
        shape=EXPLICIT_STREAM if asked.stream is False else 0,
    )
