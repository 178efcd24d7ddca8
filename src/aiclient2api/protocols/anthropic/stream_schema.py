"""Stream events as typed structs, and the bytes of those that an encoder writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from aiclient2api.errors import MalformedMessage
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.json import encode

NOTHING: Final = Raw(b"")
"""An absent member."""


class BlockDelta(Struct, gc=False):
    """The `delta` of a content_block_delta: one of its textual members is set."""

    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: Raw = NOTHING


class WireEvent(Struct, gc=False):
    """Any event; members of other events are skipped without being decoded."""

    type: str = ""
    index: int = 0
    delta: BlockDelta | None = None
    content_block: Raw = NOTHING


class _TextDelta(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    type: Literal["text_delta"]
    text: Annotated[str, Meta(min_length=1)]


class TextEvent(Struct, frozen=True, gc=False):
    """A content_block_delta that adds text; anything else is refused as invalid."""

    type: Literal["content_block_delta"]
    delta: _TextDelta
    index: int = 0


class _Named(Struct, gc=False):
    type: str = ""


_events = msgspec.json.Decoder(WireEvent)
_decode_text = msgspec.json.Decoder(TextEvent).decode
_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_names = msgspec.json.Decoder(_Named)

_TYPED = frozenset({"content_block_start", "content_block_delta", "content_block_stop"})


def parse_event(frame: Frame) -> WireEvent:
    """The event of a frame; of a type without blocks only its name is read. Raises MalformedMessage."""
    try:
        return _events.decode(frame.data)
    except msgspec.ValidationError as error:
        name = event_name(frame)
        if not name or name in _TYPED:
            raise MalformedMessage(str(error), name) from None
        return WireEvent(name)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedMessage(f"not valid JSON: {error}") from None


def text_in(data: bytes) -> TextEvent | None:
    """The event, if it adds text to a block; None for any other, and for what is no event."""
    try:
        return _decode_text(data)
    except _FAULTS:
        return None


def event_name(frame: Frame) -> str:
    """The type of an event, empty when it cannot be told."""
    if frame.event is not None:
        return frame.event
    try:
        return _names.decode(frame.data).type
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def one_line(value: Mapping[str, object] | Raw) -> bytes:
    """JSON without line breaks, which would end a `data:` line; kept members may have some between values."""
    data = encode(value)
    return msgspec.json.format(data, indent=-1) if b"\n" in data or b"\r" in data else data


PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
MESSAGE_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":'


def _delta(kind: bytes, member: bytes) -> bytes:
    return _DELTA + b'"' + kind + b'","' + member + b'":%b}}\n\n'


TEXT_DELTA: Final = _delta(b"text_delta", b"text")
JSON_DELTA: Final = _delta(b"input_json_delta", b"partial_json")
THINKING_DELTA: Final = _delta(b"thinking_delta", b"thinking")
SIGNATURE_DELTA: Final = _delta(b"signature_delta", b"signature")
CITATION_DELTA: Final = _delta(b"citations_delta", b"citation")
"""Templates of a block's index and of a JSON value."""

_BLOCK_START = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
)
_BLOCK_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'


def block_start(index: int, block: Mapping[str, object] | Raw | bytes) -> bytes:
    """The event that opens a block; one given as bytes must be on one line."""
    return _BLOCK_START % (index, block if isinstance(block, bytes) else one_line(block))


def block_stop(index: int) -> bytes:
    """The event that closes a block."""
    return _BLOCK_STOP % index
