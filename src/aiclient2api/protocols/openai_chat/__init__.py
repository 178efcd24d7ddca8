"""OpenAI Chat Completions: messages in, choices out; also what most compatible servers speak."""

from __future__ import annotations

import re
from typing import Final

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.request import StreamMode
from aiclient2api.protocols import openai_models
from aiclient2api.protocols.base import Endpoint, OpaqueSlots
from aiclient2api.protocols.openai_chat import relay
from aiclient2api.protocols.openai_chat.decode_request import decode_request
from aiclient2api.protocols.openai_chat.decode_response import decode_response
from aiclient2api.protocols.openai_chat.encode_request import encode_request
from aiclient2api.protocols.openai_chat.encode_response import encode_response
from aiclient2api.protocols.openai_chat.retelling import retold
from aiclient2api.protocols.openai_chat.schema import NAME, TOOL_NAME
from aiclient2api.protocols.openai_chat.source_path import source_path
from aiclient2api.protocols.openai_chat.stream_decoder import ChatStreamDecoder
from aiclient2api.protocols.openai_chat.stream_encoder import ChatStreamEncoder
from aiclient2api.protocols.openai_errors import decode_openai_error, encode_openai_error
from aiclient2api.protocols.rate_limits import openai_limit_headers
from aiclient2api.wire.http import WireRequest, WireResponse
from aiclient2api.wire.sse import SseDecoder

_SLOTS: Final = OpaqueSlots(
    protocol=NAME, native=frozenset(("openai_chat.details",)), on_parts=True, images="shown"
)
_ENDPOINTS: Final = (
    Endpoint("POST", re.compile(r"/v1/chat/completions"), "generate"),
    Endpoint("POST", re.compile(r"/v1/embeddings"), "embed"),
)
_EVENT_STREAM: Final = "text/event-stream"


class OpenAIChatConverter:
    """The Chat protocol."""

    name = NAME
    endpoints = _ENDPOINTS
    slots = _SLOTS
    tool_names = TOOL_NAME

    decode_request = staticmethod(decode_request)
    encode_request = staticmethod(encode_request)
    decode_response = staticmethod(decode_response)
    encode_response = staticmethod(encode_response)
    encode_error = staticmethod(encode_openai_error)

    stream_decoder = ChatStreamDecoder
    stream_encoder = ChatStreamEncoder

    peek = staticmethod(relay.peek)
    source_path = staticmethod(source_path)
    output_bound = staticmethod(relay.output_bound)
    limit_headers = staticmethod(openai_limit_headers)
    splice = staticmethod(relay.splice)
    stream_tap = relay.ChatStreamTap
    usage = staticmethod(relay.whole_usage)
    retold = staticmethod(retold)

    decode_models = staticmethod(openai_models.decode_models)
    encode_models = staticmethod(openai_models.encode_models)
    encode_model = staticmethod(openai_models.encode_model)

    def decode_error(self, response: WireResponse) -> ErrorInfo:
        """See Converter."""
        return decode_openai_error(response, NAME)

    def frames(self, content_type: str) -> SseDecoder:
        """See Converter."""
        if content_type.split(";")[0].strip().lower() != _EVENT_STREAM:
            raise MalformedMessage(f"a Chat stream cannot have the content type {content_type!r}")
        return SseDecoder()

    def stream_content_type(self, mode: StreamMode) -> str:
        """See Converter."""
        return _EVENT_STREAM

    def list_models_request(self) -> WireRequest:
        """See Converter."""
        return openai_models.LIST_MODELS
