"""The wire: names, enumerations, and the typed chunks of a stream."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct

from aiclient2api.ir.response import FinishReason
from aiclient2api.wire.json import NULL

NAME: Final = "openai_chat"

TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
CALL_ID: Final = re.compile(r"[\x21-\x7e]{1,40}")

GATEWAY_FORMAT: Final = "gateway-v1"
"""`format` of our own `reasoning_details`: their signature is an envelope, their text only for display."""

# this protocol's own shape bits, above those that all protocols share
USER_ALIAS: Final = 1 << 16
"""The client sent `user`, the deprecated name of `safety_identifier`."""
CONTENT_LIST: Final = 1 << 17
"""Content was a list, even if one string would do."""
REFUSAL_PART: Final = 1 << 18
"""The refusal was a content part, not the message's member."""
MAX_TOKENS_ALIAS: Final = 1 << 19
"""The client sent `max_tokens`, the deprecated name of `max_completion_tokens`."""

TIERS: Final = frozenset(("auto", "default", "flex", "scale", "priority", "fast"))

FINISH_TO_IR: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filter",
    # compatible servers: Mistral, OpenRouter, vLLM; api-docs.deepseek.com/api/create-chat-completion;
    # Zhipu (docs.z.ai/api-reference/llm/chat-completion)
    "model_length": "context_length",
    "model_context_window_exceeded": "context_length",
    "error": "error",
    "abort": "cancelled",
    "insufficient_system_resource": "error",
    "network_error": "error",
    "sensitive": "content_filter",
}

FINISH_FROM_IR: Final[dict[FinishReason, str]] = {
    "length": "length",
    "context_length": "length",
    "continuation": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "content_filter": "content_filter",
    "recitation": "content_filter",
}
"""Everything else is `stop`, except `BROKEN`."""

BROKEN: Final[frozenset[FinishReason]] = frozenset(("malformed", "error", "cancelled"))
"""Ends that this protocol can only tell as an error."""


class FunctionFragment(Struct, frozen=True, gc=False):
    """The function of a tool call, or a piece of it."""

    name: str | None = None
    arguments: str | None = None


class CustomFragment(Struct, frozen=True, gc=False):
    """The custom tool of a call, or a piece of it."""

    name: str | None = None
    input: str | None = None


class ToolFragment(Struct, frozen=True):
    """A piece of a tool call. Compatible servers leave out `index`."""

    index: int | None = None
    id: str | None = None
    type: str | None = None
    function: FunctionFragment | None = None
    custom: CustomFragment | None = None
    extra_content: Raw = Raw()


class AudioFragment(Struct, frozen=True, gc=False):
    """A piece of spoken answer."""

    id: str | None = None
    data: str | None = None
    transcript: str | None = None
    expires_at: int | None = None


ABSENT: Final = Raw()
"""The default of raw members: most are not there."""
NOTHING: Final = (ABSENT, NULL)
"""What an optional raw member says nothing with."""


class Delta(Struct, frozen=True):
    """What a chunk adds to a message. Mistral's content may be a list of parts."""

    content: str | list[Raw] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[Raw] | None = None
    refusal: str | None = None
    tool_calls: list[Raw] | None = None
    function_call: FunctionFragment | None = None
    audio: AudioFragment | None = None
    images: list[Raw] | None = None
    annotations: list[Raw] | None = None
    extra_content: Raw = ABSENT


class ChunkChoice(Struct, frozen=True):
    """One candidate's part of a chunk."""

    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None
    logprobs: Raw = ABSENT
    usage: Raw = ABSENT
    message: Raw = ABSENT
    """What servers that only seem to stream have all of the answer in, instead of a delta."""


class Chunk(Struct, frozen=True):
    """One event of a stream."""

    id: str | None = None
    created: float | None = None
    model: str | None = None
    choices: list[ChunkChoice] | None = None
    usage: Raw = ABSENT
    error: Raw = ABSENT
    service_tier: str | None = None
    system_fingerprint: str | None = None
    moderation: Raw = ABSENT


class TextDelta(Struct, frozen=True, gc=False):
    """A delta that is nothing but a piece of text."""

    content: Annotated[str, Meta(min_length=1)]
    reasoning_content: None = None
    reasoning: None = None
    reasoning_details: None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None
    audio: None = None
    images: None = None
    annotations: None = None
    extra_content: None = None


class TextChoice(Struct, frozen=True, gc=False):
    """A candidate's part of a chunk that is nothing but a piece of text."""

    delta: TextDelta
    index: int = 0
    finish_reason: None = None
    logprobs: None = None
    usage: None = None


class TextChunk(Struct, frozen=True, gc=False):
    """A `Chunk` that only adds text to one candidate, as most of a stream do; anything else is refused as invalid."""

    choices: tuple[TextChoice]
    id: str | None = None
    created: float | None = None
    model: str | None = None
    usage: None = None
    error: None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    moderation: None = None


class _KnownDelta(Delta, frozen=True, forbid_unknown_fields=True):
    role: Raw = ABSENT


class _KnownChoice(ChunkChoice, frozen=True, forbid_unknown_fields=True):
    delta: _KnownDelta | None = None


class _KnownChunk(Chunk, frozen=True, forbid_unknown_fields=True):
    choices: list[_KnownChoice] | None = None  # pyright: ignore[reportIncompatibleVariableOverride]
    object: Raw = ABSENT
    obfuscation: Raw = ABSENT


known_decoder: Final = msgspec.json.Decoder(_KnownChunk)
"""For a look whether there is any member that nobody knows."""
CHOICE_MEMBERS: Final = frozenset(_KnownChoice.__struct_fields__)
DELTA_MEMBERS: Final = frozenset(_KnownDelta.__struct_fields__)
chunk_decoder: Final = msgspec.json.Decoder(Chunk)
text_decoder: Final = msgspec.json.Decoder(TextChunk)
CHUNK_MEMBERS: Final = frozenset(_KnownChunk.__struct_fields__)
fragment_decoder: Final = msgspec.json.Decoder(ToolFragment)
CALL_MEMBERS: Final = frozenset(ToolFragment.__struct_fields__)


def has_value(raw: Raw) -> bool:
    """Whether an optional raw member is there and not null."""
    return raw not in NOTHING
