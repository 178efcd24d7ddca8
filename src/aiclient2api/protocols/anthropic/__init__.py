"""Anthropic Messages: `POST /v1/messages` and `/v1/messages/count_tokens`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.loss import Encoded
from aiclient2api.ir.request import ModelRequest, StreamMode
from aiclient2api.ir.response import ModelResponse, Usage
from aiclient2api.protocols.anthropic import errors, models, relay
from aiclient2api.protocols.anthropic.decode_request import decode_request
from aiclient2api.protocols.anthropic.encode_request import encode_request
from aiclient2api.protocols.anthropic.response import decode_response, encode_response
from aiclient2api.protocols.anthropic.schema import NAME, TOOL_NAME
from aiclient2api.protocols.anthropic.stream_decoder import MessageStreamDecoder
from aiclient2api.protocols.anthropic.stream_encoder import MessageStreamEncoder
from aiclient2api.protocols.anthropic.usage import usage_of
from aiclient2api.protocols.base import Endpoint, OpaqueSlots, Peek, Splice
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire.http import WireRequest, WireResponse
from aiclient2api.wire.sse import SseDecoder

_ENDPOINTS = (
    Endpoint("POST", re.compile(r"/v1/messages"), "generate"),
    Endpoint("POST", re.compile(r"/v1/messages/count_tokens"), "count_tokens"),
)
_SLOTS = OpaqueSlots(
    native=frozenset({"anthropic.signature", "anthropic.redacted"}), on_parts=False, always=True
)


class AnthropicConverter:
    """The converter; see `protocols.base.Converter`."""

    @property
    def name(self) -> str:
        """The protocol's name."""
        return NAME

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """Messages and token counts."""
        return _ENDPOINTS

    @property
    def slots(self) -> OpaqueSlots:
        """Signatures of thinking blocks, which every client has to send back."""
        return _SLOTS

    @property
    def tool_names(self) -> re.Pattern[str]:
        """What a tool may be called."""
        return TOOL_NAME

    def decode_request(self, request: WireRequest) -> ModelRequest:
        """A client's request."""
        return decode_request(request)

    def encode_request(self, request: ModelRequest, profile: ModelProfile) -> Encoded[WireRequest]:
        """A request for an upstream."""
        return encode_request(request, profile)

    def decode_response(self, response: WireResponse) -> ModelResponse:
        """An upstream's message."""
        return decode_response(response)

    def encode_response(self, response: ModelResponse, request: ModelRequest) -> Encoded[WireResponse]:
        """A message for a client."""
        return encode_response(response, request)

    def decode_error(self, response: WireResponse) -> ErrorInfo:
        """An upstream's error."""
        return errors.decode_error(response)

    def encode_error(self, error: ErrorInfo) -> WireResponse:
        """An error for a client."""
        return errors.encode_error(error)

    def stream_decoder(self) -> MessageStreamDecoder:
        """A decoder for one stream."""
        return MessageStreamDecoder()

    def stream_encoder(self, request: ModelRequest) -> MessageStreamEncoder:
        """An encoder for one stream."""
        return MessageStreamEncoder()

    def frames(self, content_type: str) -> SseDecoder:
        """Streams are server-sent events."""
        if content_type.partition(";")[0].strip().lower() != "text/event-stream":
            raise MalformedMessage(f"a stream of type {content_type!r} instead of text/event-stream")
        return SseDecoder()

    def stream_content_type(self, mode: StreamMode) -> str:
        """Server-sent events."""
        return "text/event-stream; charset=utf-8"

    def peek(self, request: WireRequest) -> Peek:
        """What routing needs."""
        return relay.peek(request)

    def splice(self, request: WireRequest, splice: Splice) -> WireRequest:
        """A client's request for an upstream of the same protocol."""
        return relay.splice(request, splice)

    def stream_tap(self, request: WireRequest) -> relay.MessageStreamTap:
        """A tap for one relayed stream."""
        return relay.MessageStreamTap()

    def usage(self, response: WireResponse) -> Usage | None:
        """Token counts of a complete relayed answer; None where there are none that can be read."""
        try:
            return usage_of(response.body)
        except MalformedMessage:
            return None

    def list_models_request(self) -> WireRequest:
        """The first page of the model list."""
        return models.list_models_request()

    def decode_models(self, response: WireResponse) -> list[str]:
        """The model names of an upstream's list."""
        return models.decode_models(response)

    def encode_models(self, names: Sequence[str]) -> WireResponse:
        """A model list for a client."""
        return models.encode_models(names)

    def encode_model(self, name: str) -> WireResponse:
        """One model for a client."""
        return models.encode_model(name)
