"""Google Gemini `generateContent`: the converter. Everything it does lives in the modules beside it."""

from __future__ import annotations

import re

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.request import Operation, StreamMode
from aiclient2api.protocols.base import Endpoint, OpaqueSlots
from aiclient2api.protocols.gemini import errors, models, relay
from aiclient2api.protocols.gemini.decode_request import decode_request
from aiclient2api.protocols.gemini.decode_response import decode_response
from aiclient2api.protocols.gemini.encode_request import encode_request
from aiclient2api.protocols.gemini.encode_response import encode_response
from aiclient2api.protocols.gemini.schema import NAME, SIGNATURE, TOOL_NAME
from aiclient2api.protocols.gemini.source_path import source_path
from aiclient2api.protocols.gemini.stream_decoder import StreamDecoder
from aiclient2api.protocols.gemini.stream_encoder import StreamEncoder
from aiclient2api.protocols.rate_limits import no_limit_headers
from aiclient2api.wire.frames import FrameDecoder
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.json_array import JsonArrayDecoder
from aiclient2api.wire.sse import SseDecoder

_SLOTS = OpaqueSlots(protocol=NAME, native=frozenset({SIGNATURE}), on_parts=True, images="returned")


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

    stream_decoder = StreamDecoder
    stream_encoder = StreamEncoder

    peek = staticmethod(relay.peek)
    source_path = staticmethod(source_path)
    output_bound = staticmethod(relay.output_bound)
    limit_headers = staticmethod(no_limit_headers)
    splice = staticmethod(relay.splice)
    usage = staticmethod(relay.usage)

    list_models_request = staticmethod(models.list_models_request)
    decode_models = staticmethod(models.decode_models)
    encode_models = staticmethod(models.encode_models)
    encode_model = staticmethod(models.encode_model)

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

    def stream_tap(self, request: WireRequest) -> relay.StreamTap:
        """See Converter.stream_tap."""
        is_array = relay.peek(request).stream == "json_array"
        has_many = b"candidateCount" in request.body or b"candidate_count" in request.body
        return relay.StreamTap(is_array=is_array, has_many=has_many)
