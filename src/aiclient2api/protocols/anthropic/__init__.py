"""Anthropic Messages: `POST /v1/messages` and `/v1/messages/count_tokens`."""

from __future__ import annotations

import re

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.request import ModelRequest, StreamMode
from aiclient2api.ir.response import Usage
from aiclient2api.protocols.anthropic import errors, models, relay
from aiclient2api.protocols.anthropic.decode_request import decode_request
from aiclient2api.protocols.anthropic.decode_response import decode_response
from aiclient2api.protocols.anthropic.encode_request import encode_request
from aiclient2api.protocols.anthropic.encode_response import encode_response
from aiclient2api.protocols.anthropic.schema import NAME, TOOL_NAME
from aiclient2api.protocols.anthropic.source_path import source_path
from aiclient2api.protocols.anthropic.stream_decoder import MessageStreamDecoder
from aiclient2api.protocols.anthropic.stream_encoder import MessageStreamEncoder
from aiclient2api.protocols.anthropic.usage import usage_of
from aiclient2api.protocols.base import Endpoint, OpaqueSlots
from aiclient2api.protocols.rate_limits import anthropic_limit_headers
from aiclient2api.wire.http import WireRequest, WireResponse
from aiclient2api.wire.sse import SseDecoder

_ENDPOINTS = (
    Endpoint("POST", re.compile(r"/v1/messages"), "generate"),
    Endpoint("POST", re.compile(r"/v1/messages/count_tokens"), "count_tokens"),
)
_SLOTS = OpaqueSlots(
    protocol=NAME,
    native=frozenset({"anthropic.signature", "anthropic.redacted"}),
    on_parts=False,
    always=True,
)


class AnthropicConverter:
    """The converter; see `protocols.base.Converter`."""

    name = NAME
    endpoints = _ENDPOINTS
    slots = _SLOTS
    tool_names = TOOL_NAME

    decode_request = staticmethod(decode_request)
    encode_request = staticmethod(encode_request)
    decode_response = staticmethod(decode_response)
    encode_response = staticmethod(encode_response)
    decode_error = staticmethod(errors.decode_error)
    encode_error = staticmethod(errors.encode_error)

    stream_decoder = MessageStreamDecoder

    peek = staticmethod(relay.peek)
    source_path = staticmethod(source_path)
    output_bound = staticmethod(relay.output_bound)
    limit_headers = staticmethod(anthropic_limit_headers)
    splice = staticmethod(relay.splice)

    list_models_request = staticmethod(models.list_models_request)
    decode_models = staticmethod(models.decode_models)
    encode_models = staticmethod(models.encode_models)
    encode_model = staticmethod(models.encode_model)

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

    def stream_tap(self, request: WireRequest) -> relay.MessageStreamTap:
        """A tap for one relayed stream."""
        return relay.MessageStreamTap()

    def usage(self, response: WireResponse) -> Usage | None:
        """Token counts of a complete relayed answer; None where there are none that can be read."""
        try:
            return usage_of(response.body)
        except MalformedMessage:
            return None
