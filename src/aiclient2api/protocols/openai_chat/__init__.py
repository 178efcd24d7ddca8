"""OpenAI Chat Completions: messages in, choices out; also what most compatible servers speak."""

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
from aiclient2api.protocols.openai_chat import relay
from aiclient2api.protocols.openai_chat.decode_request import decode_request
from aiclient2api.protocols.openai_chat.decode_response import decode_response
from aiclient2api.protocols.openai_chat.encode_request import encode_request
from aiclient2api.protocols.openai_chat.encode_response import encode_response
from aiclient2api.protocols.openai_chat.schema import NAME, TOOL_NAME
from aiclient2api.protocols.openai_chat.stream_decoder import ChatStreamDecoder
from aiclient2api.protocols.openai_chat.stream_encoder import ChatStreamEncoder
from aiclient2api.protocols.openai_errors import decode_openai_error, encode_openai_error
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire.http import WireRequest, WireResponse
from aiclient2api.wire.sse import SseDecoder

_SLOTS: Final = OpaqueSlots(native=frozenset(("openai_chat.details",)), on_parts=True)
_ENDPOINTS: Final = (
    Endpoint("POST", re.compile(r"/v1/chat/completions"), "generate"),
    Endpoint("POST", re.compile(r"/v1/embeddings"), "embed"),
)
_EVENT_STREAM: Final = "text/event-stream"


class OpenAIChatConverter:
    """The Chat protocol."""

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
        """State travels in the de-facto extensions of messages and calls."""
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

    def stream_decoder(self) -> ChatStreamDecoder:
        """See Converter."""
        return ChatStreamDecoder()

    def stream_encoder(self, request: ModelRequest) -> ChatStreamEncoder:
        """See Converter."""
        return ChatStreamEncoder(request)

    def frames(self, content_type: str) -> SseDecoder:
        """See Converter."""
        if content_type.split(";")[0].strip().lower() != _EVENT_STREAM:
            raise MalformedMessage(f"a Chat stream cannot have the content type {content_type!r}")
        return SseDecoder()

    def stream_content_type(self, mode: StreamMode) -> str:
        """See Converter."""
        return _EVENT_STREAM

    def peek(self, request: WireRequest) -> Peek:
        """See Converter."""
        return relay.peek(request)

    def splice(self, request: WireRequest, splice: Splice) -> WireRequest:
        """See Converter."""
        return relay.splice(request, splice)

    def stream_tap(self, request: WireRequest) -> relay.ChatStreamTap:
        """See Converter."""
        return relay.ChatStreamTap(request)

    def usage(self, response: WireResponse) -> Usage | None:
        """See Converter."""
        return relay.whole_usage(response)

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
