"""What a protocol has to offer. Everything here is pure: bytes in, bytes out, no clock and no randomness."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from aiclient2api.errors import ErrorInfo
from aiclient2api.ir.events import StreamEvent
from aiclient2api.ir.loss import Encoded, Loss
from aiclient2api.ir.request import ModelRequest, Operation, StreamMode
from aiclient2api.ir.response import ModelResponse, Usage
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.protocols.rate_limits import RateLimit
from aiclient2api.protocols.source_path import Offence
from aiclient2api.wire.frames import Frame, FrameDecoder
from aiclient2api.wire.http import Headers, WireRequest, WireResponse


class Endpoint(Struct, frozen=True):
    """Where clients reach an operation. `path` is a pattern that must match the whole path."""

    method: str
    path: re.Pattern[str]
    operation: Operation


class Peek(Struct, frozen=True, kw_only=True):
    """What routing needs of a request, read without decoding the rest."""

    model: str
    stream: StreamMode = "no"
    operation: Operation = "generate"
    previous_id: str | None = None
    """Responses: this request continues one that exists on one account only."""


class SystemPrompt(Struct, frozen=True, kw_only=True):
    """The operator's own system text."""

    mode: Literal["append", "replace"]
    text: str


class Splice(Struct, frozen=True, kw_only=True):
    """The members a relay has to change."""

    model: str
    system: SystemPrompt | None = None


class OpaqueSlots(Struct, frozen=True, kw_only=True):
    """What a protocol's messages have room for.

    `native` are the kinds it carries as they are. `on_parts`: text and tool calls can carry opaque state
    themselves; otherwise it travels in a reasoning part beside them. `always`: every reasoning part must be signed.
    `phases`: texts can say what they are to the answer (commentary, final answer). `images`: whether an answer can show
    an image, and whether clients send it back.
    """

    native: frozenset[str]
    protocol: str = ""
    """Whose they are: blocks of hosted tools of another one are carried too."""
    on_parts: bool
    always: bool = False
    phases: bool = False
    images: Literal["none", "shown", "returned"] = "none"


class StreamDecoder(Protocol):
    """An upstream's frames to events."""

    @property
    def finished(self) -> bool:
        """As AnswerStream.finished."""
        ...

    @property
    def goes_on(self) -> bool:
        """As AnswerStream.goes_on, as far as the upstream's own behaviour shows it."""
        ...

    def feed(self, frame: Frame) -> list[StreamEvent]:
        """The events of one frame. Raises MalformedMessage when the upstream breaks its protocol."""
        ...

    def close(self) -> list[StreamEvent]:
        """The upstream closed the stream: the missing ResponseEnd, or a Failure when it was cut."""
        ...


class TextDecoder(StreamDecoder, Protocol):
    """A StreamDecoder with a shorter way for what most of a stream consists of.

    Both are asked as long as nothing but text came since `feed` returned a piece of it as its last event. A piece is
    never empty.
    """

    def more_text(self, frame: Frame) -> str | None:
        """The next piece of that text, if the frame is nothing else; otherwise it has yet to be fed."""
        ...

    def more_texts(self, frames: Sequence[Frame]) -> list[str]:
        """The same for as many of the first frames as are nothing else."""
        ...


class StreamEncoder(Protocol):
    """Events to the client's bytes, framed. Emits nothing before ResponseStart."""

    @property
    def losses(self) -> list[Loss]:
        """What the client's protocol could not take."""
        ...

    def feed(self, event: StreamEvent) -> bytes:
        """The bytes of one event; ResponseEnd emits the terminal."""
        ...

    def fail(self, error: ErrorInfo) -> bytes:
        """The stream dies: the protocol's in-band error, without anything that looks like a normal end."""
        ...

    def ping(self) -> bytes:
        """A sign of life that the protocol's clients tolerate between events."""
        ...


class TextEncoder(StreamEncoder, Protocol):
    """A StreamEncoder with a shorter way for what most of a stream consists of."""

    def more_text(self, candidate: int, number: int) -> Callable[[str], bytes] | None:
        """Writes the next pieces of a text that is open, as `feed` would, until that gets another event.

        None where there is no shorter way. A piece is never empty.
        """
        ...


class AnswerStream(Protocol):
    """An upstream's stream on its way to the client: relayed under a protocol's tap, or converted.

    It only says what it saw. What that means when the upstream stops, breaks or falls silent is decided in
    `gateway/upstream.py`, for all protocols alike.
    """

    content: bool
    """The first content event has passed."""
    ended: bool
    """The upstream's terminal was seen, or made up for by `close`."""
    refused: bool
    """The answer was withheld or cut by a policy: it may be empty and is an answer all the same."""
    usage: Usage | None
    failure: ErrorInfo | None
    """An error event of the upstream."""
    response_id: str

    @property
    def finished(self) -> bool:
        """Every candidate that began told why it ended: nothing is missing but the terminal and perhaps counts."""
        ...

    @property
    def goes_on(self) -> bool:
        """Content may follow in spite of `finished`: other candidates, or an upstream that repeats its reason."""
        ...

    def feed(self, frame: Frame) -> bytes:
        """The next frame; returns what goes to the client. Raises MalformedMessage."""
        ...

    def close(self) -> bytes:
        """Nothing more will come after `finished`: the terminal that the client still lacks. Sets `ended`."""
        ...

    def fail(self, error: ErrorInfo) -> bytes:
        """As StreamEncoder.fail."""
        ...

    def ping(self) -> bytes:
        """As StreamEncoder.ping."""
        ...


class BatchStream(AnswerStream, Protocol):
    """An AnswerStream that takes what one network read brought at less cost than frame by frame."""

    def feed_all(self, frames: list[Frame], out: list[bytes]) -> None:
        """The next frames, up to the end or failure of the answer; appends to `out` what `feed` would return.

        Raises MalformedMessage as `feed` does: `out` has then what came before.
        """
        ...


class Converter(Protocol):
    """One protocol, both ways. Stateless: one instance serves everybody.

    Decoders raise MalformedMessage on bytes that are not their protocol and keep unknown members in `ext`.
    Encoders for an upstream only emit opaque state of their own kind; encoders for a client also emit envelopes.
    """

    @property
    def name(self) -> str:
        """The protocol's name."""
        ...

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """Where clients reach this protocol; empty for an upstream-only protocol."""
        ...

    @property
    def slots(self) -> OpaqueSlots:
        """Where this protocol's clients can carry opaque state."""
        ...

    @property
    def tool_names(self) -> re.Pattern[str]:
        """What a tool may be called; others are renamed on the way in and restored on the way out."""
        ...

    def decode_request(self, request: WireRequest) -> ModelRequest:
        """A client's request."""
        ...

    def encode_request(self, request: ModelRequest, profile: ModelProfile) -> Encoded[WireRequest]:
        """A request for an upstream; the path is relative to the account's base URL. Raises Unrepresentable."""
        ...

    def decode_response(self, response: WireResponse) -> ModelResponse:
        """An upstream's complete answer (status 200)."""
        ...

    def encode_response(self, response: ModelResponse, request: ModelRequest) -> Encoded[WireResponse]:
        """A complete answer for a client."""
        ...

    def decode_error(self, response: WireResponse) -> ErrorInfo:
        """An upstream's error answer; never raises, whatever the body is."""
        ...

    def encode_error(self, error: ErrorInfo) -> WireResponse:
        """An error for a client, with `retry-after` and `x-should-retry` headers."""
        ...

    def stream_decoder(self) -> StreamDecoder:
        """A decoder for one stream of an upstream."""
        ...

    def stream_encoder(self, request: ModelRequest) -> StreamEncoder:
        """An encoder for one stream to a client."""
        ...

    def frames(self, content_type: str) -> FrameDecoder:
        """How an upstream's stream of this content type is cut. Raises MalformedMessage for an unknown type."""
        ...

    def stream_content_type(self, mode: StreamMode) -> str:
        """The content type of a stream to a client."""
        ...

    def peek(self, request: WireRequest) -> Peek:
        """What routing needs. Raises MalformedMessage."""
        ...

    def source_path(self, request: WireRequest, offence: Offence) -> str:
        """Where in a client's body refused content stands; empty where it cannot be said."""
        ...

    def output_bound(self, request: WireRequest) -> int | None:
        """The most tokens a request lets its answers have together; None without a bound. Never raises."""
        ...

    def limit_headers(self, limits: Sequence[RateLimit], wall: float) -> Headers:
        """How a client is told what it may still ask for; `wall` is Unix time in seconds."""
        ...

    def splice(self, request: WireRequest, change: Splice, /) -> WireRequest:
        """A client's request for an upstream of the same protocol: all but the spliced members byte-identical.

        The result's path is relative to the account's base URL; only headers that mean something upstream stay.
        """
        ...

    def stream_tap(self, request: WireRequest) -> AnswerStream:
        """A tap for one relayed stream; `request` is the client's."""
        ...

    def usage(self, response: WireResponse) -> Usage | None:
        """Token counts of a complete relayed answer; None when it has none."""
        ...

    def list_models_request(self) -> WireRequest:
        """How an upstream of this protocol is asked for its models (first page)."""
        ...

    def decode_models(self, response: WireResponse) -> list[str]:
        """The model names of an upstream's list."""
        ...

    def encode_models(self, names: Sequence[str]) -> WireResponse:
        """A model list for a client."""
        ...

    def encode_model(self, name: str) -> WireResponse:
        """One model for a client."""
        ...


class RetellingConverter(Converter, Protocol):
    """A Converter that can tell a whole answer of an upstream as a stream with nothing added and nothing left out."""

    def retold(self, body: bytes) -> bytes:
        """The stream of an answer without line breaks. Raises MalformedMessage."""
        ...
