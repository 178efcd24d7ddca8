"""Google Gemini `generateContent`: the converter. Everything it does lives in the modules beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.loss import Encoded
from aiclient2api.ir.request import ModelRequest, Operation, StreamMode
from aiclient2api.ir.response import ModelResponse, Usage
from aiclient2api.protocols.base import Endpoint, OpaqueSlots, Peek, Splice
from aiclient2api.protocols.gemini import errors, models, relay
from aiclient2api.protocols.gemini.decode_request import decode_request
from aiclient2api.protocols.gemini.encode_request import encode_request
from aiclient2api.protocols.gemini.response import decode_response, encode_response
from aiclient2api.protocols.gemini.schema import PROTOCOL, SIGNATURE, TOOL_NAME
from aiclient2api.protocols.gemini.stream_decoder import StreamDecoder
from aiclient2api.protocols.gemini.stream_encoder import StreamEncoder
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire.frames import FrameDecoder
from aiclient2api.wire.http import WireRequest, WireResponse
from aiclient2api.wire.json_array import JsonArrayDecoder
from aiclient2api.wire.sse import SseDecoder

_SLOTS = OpaqueSlots(native=frozenset({SIGNATURE}), on_parts=True)


def _endpoint(methods: str, operation: Operation) -> Endpoint:
    path = rf"/(?:v1|v1beta|v1alpha)/(?:models|tunedModels)/.+:(?:{methods})"
    return Endpoint("POST", re.compile(path), operation)


_ENDPOINTS = (
    _endpoint("generateContent|streamGenerateContent", "generate"),
    _endpoint("countTokens", "count_tokens"),
    _endpoint("embedContent|batchEmbedContents", "embed"),
)


class GeminiConverter:
    """See protocols.base.Converter."""

    @property
    def name(self) -> str:
        """See Converter.name."""
        return PROTOCOL

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """See Converter.endpoints."""
        return _ENDPOINTS

    @property
    def slots(self) -> OpaqueSlots:
        """Every part may carry a signature."""
        return _SLOTS

    @property
    def tool_names(self) -> re.Pattern[str]:
        """See Converter.tool_names."""
        return TOOL_NAME

    def decode_request(self, request: WireRequest) -> ModelRequest:
        """See Converter.decode_request."""
        return decode_request(request)

    def encode_request(self, request: ModelRequest, profile: ModelProfile) -> Encoded[WireRequest]:
        """See Converter.encode_request."""
        return encode_request(request, profile)

    def decode_response(self, response: WireResponse) -> ModelResponse:
        """See Converter.decode_response."""
        return decode_response(response)

    def encode_response(self, response: ModelResponse, request: ModelRequest) -> Encoded[WireResponse]:
        """See Converter.encode_response."""
        return encode_response(response, request)

    def decode_error(self, response: WireResponse) -> ErrorInfo:
        """See Converter.decode_error."""
        return errors.decode_error(response)

    def encode_error(self, error: ErrorInfo) -> WireResponse:
        """See Converter.encode_error."""
        return errors.encode_error(error)

    def stream_decoder(self) -> StreamDecoder:
        """See Converter.stream_decoder."""
        return StreamDecoder()

    def stream_encoder(self, request: ModelRequest) -> StreamEncoder:
        """See Converter.stream_encoder."""
        return StreamEncoder(request)

    def frames(self, content_type: str) -> FrameDecoder:
        """Server-sent events, or one JSON array when the client did not ask for `alt=sse`."""
        match content_type.partition(";")[0].strip().lower():
            case "text/event-stream":
                return SseDecoder()
            case "application/json":
                return JsonArrayDecoder()
            case other:
                raise MalformedMessage(f"a stream of the type {other!r} is unknown")

    def stream_content_type(self, mode: StreamMode) -> str:
        """See Converter.stream_content_type."""
        return "text/event-stream" if mode == "sse" else "application/json"

    def peek(self, request: WireRequest) -> Peek:
        """See Converter.peek."""
        return relay.peek(request)

    def splice(self, request: WireRequest, splice: Splice) -> WireRequest:
        """See Converter.splice."""
        return relay.splice(request, splice)

    def stream_tap(self, request: WireRequest) -> relay.StreamTap:
        """See Converter.stream_tap."""
        return relay.StreamTap(is_array=relay.peek(request).stream == "json_array")

    def usage(self, response: WireResponse) -> Usage | None:
        """See Converter.usage."""
        return relay.usage(response)

    def list_models_request(self) -> WireRequest:
        """See Converter.list_models_request."""
        return models.list_models_request()

    def decode_models(self, response: WireResponse) -> list[str]:
        """See Converter.decode_models."""
        return models.decode_models(response)

    def encode_models(self, names: Sequence[str]) -> WireResponse:
        """See Converter.encode_models."""
        return models.encode_models(names)

    def encode_model(self, name: str) -> WireResponse:
        """See Converter.encode_model."""
        return models.encode_model(name)
