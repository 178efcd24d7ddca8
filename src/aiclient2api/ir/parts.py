"""The parts of a turn, and the small values they are made of."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

Protocol = str
"""A protocol's name: `openai_chat`, `openai_responses`, `anthropic`, `gemini`, or a third party's."""

Ext = dict[Protocol, dict[str, Raw]]
"""Members of a node that the IR has no field for, verbatim, under the protocol they came from."""


class Shape:
    """Bits for representational choices without meaning; consulted only by the same protocol's encoder."""

    CONTENT_STRING = 1
    CONTENT_NULL = 2
    EASY_MESSAGE = 4
    SINGLE_STOP_STRING = 8
    SNAKE_CASE = 16
    LEGACY_FUNCTION = 32
    EMPTY_LIST = 64
    CONTENT_ABSENT = 128
    CONTINUES = 256
    """This text goes on where the part before it stopped (Gemini chats echo each stream chunk as a content)."""


class Node(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every IR node has."""

    ext: Ext | None = None
    shape: int = 0


class Origin(Struct, frozen=True, omit_defaults=True):
    """Who produced opaque state: it may only go back there."""

    provider: str
    scope: str = ""
    """A keyed hash of the account, so that a conversation can prefer it."""
    model: str = ""


class Opaque(Struct, frozen=True, omit_defaults=True):
    """Provider-bound state exactly as received: never decoded, trimmed or joined.

    `kind` says whose it is. `envelope` is our own sealed carrier of another protocol's state
    (`protocols/carrier.py`); encoders for clients put it where their native state goes, encoders for upstreams
    never see it.
    """

    kind: Literal[
        "anthropic.signature",
        "anthropic.redacted",
        "openai.encrypted",
        "openai_chat.details",
        "gemini.signature",
        "envelope",
    ]
    data: str
    origin: Origin | None = None


class CacheMark(Node, frozen=True, kw_only=True):
    """A prompt-cache breakpoint after the part that carries it."""

    ttl: str | None = None


class Citation(Node, frozen=True, kw_only=True):
    """Where a text comes from. `span` counts Unicode code points of its Text part."""

    kind: Literal["url", "file", "document", "search_result", "other"]
    url: str | None = None
    title: str | None = None
    quote: str | None = None
    span: tuple[int, int] | None = None
    raw: Raw | None = None
    """The whole native citation, for its own protocol."""
    protocol: Protocol = ""


class TokenLogprob(Node, frozen=True, kw_only=True):
    """One token with its logarithmic probability and the alternatives."""

    token: str
    logprob: float
    bytes: list[int] | None = None
    top: list[TokenLogprob] = []


class PartBase(Node, frozen=True, kw_only=True, tag_field="part"):
    """What every part may carry."""

    id: str | None = None
    """The source protocol's own id of the item or part."""
    status: str | None = None
    new_item: bool = False
    """This part starts a new wire message or item inside its turn."""
    cache: CacheMark | None = None
    opaque: Opaque | None = None


class Text(PartBase, frozen=True, kw_only=True, tag="text"):
    """Plain text."""

    text: str
    citations: list[Citation] = []
    logprobs: list[TokenLogprob] | None = None
    phase: str | None = None
    """Responses: `commentary` or `final_answer`; must be sent back."""


class Refusal(PartBase, frozen=True, kw_only=True, tag="refusal"):
    """The model declines, in its own words."""

    text: str = ""
    category: str | None = None


class Reasoning(PartBase, frozen=True, kw_only=True, tag="reasoning"):
    """Thinking: its summaries, its raw text where an upstream shows it, and its signature in `opaque`."""

    summary: list[str] = []
    raw: list[str] = []
    redacted: bool = False


class Inline(Struct, frozen=True, tag="inline", tag_field="source"):
    """Base64 text as received."""

    mime: str
    data: str


class Url(Struct, frozen=True, tag="url", tag_field="source"):
    """An address the upstream fetches."""

    url: str
    mime: str | None = None


class FileRef(Struct, frozen=True, tag="file", tag_field="source"):
    """A file id that is valid only at the provider that issued it."""

    ref: str
    mime: str | None = None
    protocol: Protocol = ""


class TextSource(Struct, frozen=True, tag="text", tag_field="source"):
    """A document given as plain text."""

    text: str
    mime: str = "text/plain"


class PartsSource(Struct, frozen=True, tag="parts", tag_field="source"):
    """A document given as parts."""

    parts: list[Part]


Source = Inline | Url | FileRef | TextSource | PartsSource


class Media(PartBase, frozen=True, kw_only=True, tag="media"):
    """An image, a sound, a film, a document."""

    kind: Literal["image", "audio", "video", "document", "file"]
    source: Source
    filename: str | None = None
    title: str | None = None
    context: str | None = None
    detail: str | None = None
    """low, high, auto, original."""
    cite: bool | None = None
    transcript: str | None = None
    expires_at: int | None = None
    thought: bool = False


class ToolCall(PartBase, frozen=True, kw_only=True, tag="tool_call"):
    """The model calls a tool. `arguments` is exact JSON text (`function`) or free text (`custom`)."""

    call_id: str
    name: str
    arguments: str = ""
    kind: Literal["function", "custom"] = "function"
    namespace: str | None = None
    synthetic_id: bool = False
    """The upstream sent no id; this one was derived from content and position."""


class ToolResult(PartBase, frozen=True, kw_only=True, tag="tool_result"):
    """What a tool answered. `structured` is the JSON value when the source had one instead of text."""

    call_id: str
    name: str | None = None
    parts: list[Part] = []
    structured: Raw | None = None
    is_error: bool | None = None
    kind: Literal["function", "custom"] = "function"


class HostedCall(PartBase, frozen=True, kw_only=True, tag="hosted"):
    """A tool the provider ran itself, with its native block; replayed only to its own protocol."""

    protocol: Protocol
    wire_type: str
    raw: Raw
    family: str = "other"
    side: Literal["call", "result", "both"] = "both"
    shadow: str | None = None


class Control(PartBase, frozen=True, kw_only=True, tag="control"):
    """A native element that steers the conversation (compaction, effort change, item reference)."""

    protocol: Protocol
    kind: str
    raw: Raw


class Native(PartBase, frozen=True, kw_only=True, tag="native"):
    """A part of a type we do not know, kept whole for its own protocol."""

    protocol: Protocol
    wire_type: str | None
    raw: Raw


Part = Text | Refusal | Reasoning | Media | ToolCall | ToolResult | HostedCall | Control | Native
