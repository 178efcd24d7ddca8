"""OpenAI Responses: items instead of messages, and a stream grammar with a name for everything."""

from __future__ import annotations

import re
from typing import Final

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.request import StreamMode
from aiclient2api.protocols import openai_models
from aiclient2api.protocols.base import Endpoint, OpaqueSlots
from aiclient2api.protocols.openai_errors import decode_openai_error, encode_openai_error
from aiclient2api.protocols.openai_responses import relay
from aiclient2api.protocols.openai_responses.decode_request import decode_request
from aiclient2api.protocols.openai_responses.decode_response import decode_response
from aiclient2api.protocols.openai_responses.encode_request import encode_request
from aiclient2api.protocols.openai_responses.encode_response import encode_response
from aiclient2api.protocols.openai_responses.schema import NAME, NATIVE_OPAQUE, TOOL_NAME
from aiclient2api.protocols.openai_responses.source_path import source_path
from aiclient2api.protocols.openai_responses.stream_decoder import ResponsesStreamDecoder
from aiclient2api.protocols.openai_responses.stream_encoder import ResponsesStreamEncoder
from aiclient2api.protocols.rate_limits import openai_limit_headers
from aiclient2api.wire.http import WireRequest, WireResponse
from aiclient2api.wire.sse import SseDecoder

_SLOTS: Final = OpaqueSlots(protocol=NAME, native=frozenset((NATIVE_OPAQUE,)), on_parts=False, phases=True)
_ENDPOINTS: Final = (
    Endpoint("POST", re.compile(r"/v1/responses"), "generate"),
    Endpoint("POST", re.compile(r"/v1/responses/input_tokens"), "count_tokens"),
)


class OpenAIResponsesConverter:
    """The Responses protocol."""

    name = NAME
    endpoints = _ENDPOINTS
    slots = _SLOTS
    tool_names = TOOL_NAME

    decode_request = staticmethod(decode_request)
    encode_request = staticmethod(encode_request)
    decode_response = staticmethod(decode_response)
    encode_response = staticmethod(encode_response)
    encode_error = staticmethod(encode_openai_error)

    stream_decoder = ResponsesStreamDecoder
    stream_encoder = ResponsesStreamEncoder

    peek = staticmethod(relay.peek)
    source_path = staticmethod(source_path)
    output_bound = staticmethod(relay.output_bound)
    limit_headers = staticmethod(openai_limit_headers)
    splice = staticmethod(relay.splice)
    usage = staticmethod(relay.usage)

    decode_models = staticmethod(openai_models.decode_models)
    encode_models = staticmethod(openai_models.encode_models)
    encode_model = staticmethod(openai_models.encode_model)

    def decode_error(self, response: WireResponse) -> ErrorInfo:
        """See Converter."""
        return decode_openai_error(response, NAME)

    def frames(self, content_type: str) -> SseDecoder:
        """See Converter."""
        if content_type.split(";")[0].strip().lower() != "text/event-stream":
            raise MalformedMessage(f"{content_type!r} is not a stream of this protocol")
        return SseDecoder()

    def stream_content_type(self, mode: StreamMode) -> str:
        """See Converter."""
        return "text/event-stream"

    def stream_tap(self, request: WireRequest) -> relay.ResponsesStreamTap:
        """See Converter."""
        return relay.ResponsesStreamTap()

    def list_models_request(self) -> WireRequest:
        """See Converter."""
        return openai_models.LIST_MODELS
