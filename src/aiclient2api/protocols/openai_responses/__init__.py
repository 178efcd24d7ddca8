"""OpenAI Responses: items instead of messages, and a stream grammar with a name for everything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.loss import Encoded
from aiclient2api.ir.request import ModelRequest, StreamMode
from aiclient2api.ir.response import ModelResponse, Usage
from aiclient2api.protocols import openai_models
from aiclient2api.protocols.base import Endpoint, OpaqueSlots, Peek, Splice
from aiclient2api.protocols.openai_errors import decode_openai_error, encode_openai_error
from aiclient2api.protocols.openai_responses import relay
from aiclient2api.protocols.openai_responses.decode_request import decode_request
from aiclient2api.protocols.openai_responses.encode_request import encode_request
from aiclient2api.protocols.openai_responses.response import decode_response, encode_response
from aiclient2api.protocols.openai_responses.schema import NAME, NATIVE_OPAQUE, TOOL_NAME
from aiclient2api.protocols.openai_responses.stream_decoder import ResponsesStreamDecoder
from aiclient2api.protocols.openai_responses.stream_encoder import ResponsesStreamEncoder
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire.http import WireRequest, WireResponse
from aiclient2api.wire.sse import SseDecoder

_SLOTS: Final = OpaqueSlots(native=frozenset((NATIVE_OPAQUE,)), on_parts=False)
_ENDPOINTS: Final = (Endpoint("POST", re.compile(r"/v1/responses"), "generate"),)


class OpenAIResponsesConverter:
    """The Responses protocol."""

    @property
    def name(self) -> str:
        """See Converter."""
        return NAME

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """See Converter."""
        return _ENDPOINTS

    @property
    def slots(self) -> OpaqueSlots:
        """State travels in reasoning items, which stand beside what they belong to."""
        return _SLOTS

    @property
    def tool_names(self) -> re.Pattern[str]:
        """See Converter."""
        return TOOL_NAME

    def decode_request(self, request: WireRequest) -> ModelRequest:
        """See Converter."""
        return decode_request(request)

    def encode_request(self, request: ModelRequest, profile: ModelProfile) -> Encoded[WireRequest]:
        """See Converter."""
        return encode_request(request, profile)

    def decode_response(self, response: WireResponse) -> ModelResponse:
        """See Converter."""
        return decode_response(response)

    def encode_response(self, response: ModelResponse, request: ModelRequest) -> Encoded[WireResponse]:
        """See Converter."""
        return encode_response(response, request)

    def decode_error(self, response: WireResponse) -> ErrorInfo:
        """See Converter."""
        return decode_openai_error(response, NAME)

    def encode_error(self, error: ErrorInfo) -> WireResponse:
        """See Converter."""
        return encode_openai_error(error)

    def stream_decoder(self) -> ResponsesStreamDecoder:
        """See Converter."""
        return ResponsesStreamDecoder()

    def stream_encoder(self, request: ModelRequest) -> ResponsesStreamEncoder:
        """See Converter."""
        return ResponsesStreamEncoder(request)

    def frames(self, content_type: str) -> SseDecoder:
        """See Converter."""
        if content_type.split(";")[0].strip().lower() != "text/event-stream":
            raise MalformedMessage(f"{content_type!r} is not a stream of this protocol")
        return SseDecoder()

    def stream_content_type(self, mode: StreamMode) -> str:
        """See Converter."""
        return "text/event-stream"

    def peek(self, request: WireRequest) -> Peek:
        """See Converter."""
        return relay.peek(request)

    def splice(self, request: WireRequest, splice: Splice) -> WireRequest:
        """See Converter."""
        return relay.splice(request, splice)

    def stream_tap(self, request: WireRequest) -> relay.ResponsesStreamTap:
        """See Converter."""
        return relay.ResponsesStreamTap()

    def usage(self, response: WireResponse) -> Usage | None:
        """See Converter."""
        return relay.usage(response)

    def list_models_request(self) -> WireRequest:
        """See Converter."""
        return openai_models.LIST_MODELS

    def decode_models(self, response: WireResponse) -> list[str]:
        """See Converter."""
        return openai_models.decode_models(response)

    def encode_models(self, names: Sequence[str]) -> WireResponse:
        """See Converter."""
        return openai_models.encode_models(names)

    def encode_model(self, name: str) -> WireResponse:
        """See Converter."""
        return openai_models.encode_model(name)
