"""Plain: a prompt in, text out. Clients speak it; no upstream does.

POST /plain/ask  {"model": "m", "prompt": "Hello", "stream": false}  ->  {"text": "..."}
streamed: one line of JSON for each piece, then {"end": true}; errors are {"failed": "..."}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

import msgspec

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.events import PartDelta, ResponseEnd, StreamEvent
from aiclient2api.ir.loss import Encoded, Loss
from aiclient2api.ir.parts import Text
from aiclient2api.ir.request import ModelRequest, StreamMode, Turn
from aiclient2api.ir.response import ModelResponse
from aiclient2api.protocols.base import Endpoint, OpaqueSlots, Peek
from aiclient2api.protocols.rate_limits import RateLimit
from aiclient2api.protocols.source_path import Offence
from aiclient2api.wire.http import JSON_HEADERS, Headers, WireRequest, WireResponse

NAME = "plain"


class Ask(msgspec.Struct, frozen=True):
    """The request."""

    model: str
    prompt: str
    stream: bool = False


def read(body: bytes) -> Ask:
    """The request of a body."""
    try:
        return msgspec.json.decode(body, type=Ask)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedMessage(str(error)) from None


def line(**members: object) -> bytes:
    """One line of JSON."""
    return msgspec.json.encode(members) + b"\n"


class PlainStreamEncoder:
    """See StreamEncoder."""

    def __init__(self) -> None:
        self.losses: list[Loss] = []

    def feed(self, event: StreamEvent) -> bytes:
        """See StreamEncoder."""
        match event:
            case PartDelta(channel="text"):
                return line(piece=event.text)
            case ResponseEnd():
                return line(end=True)
            case _:
                return b""

    def fail(self, error: ErrorInfo) -> bytes:
        """See StreamEncoder."""
        return line(failed=error.message)

    def ping(self) -> bytes:
        """See StreamEncoder."""
        return b""


class PlainConverter:
    """See Converter."""

    name = NAME
    endpoints: Sequence[Endpoint] = (Endpoint("POST", re.compile(r"/plain/ask"), "generate"),)
    slots = OpaqueSlots(native=frozenset(), on_parts=False)
    tool_names = re.compile(r".+")

    def peek(self, request: WireRequest) -> Peek:
        """See Converter."""
        asked = read(request.body)
        return Peek(model=asked.model, stream="sse" if asked.stream else "no")

    def source_path(self, request: WireRequest, offence: Offence) -> str:
        """See Converter."""
        return ""

    def output_bound(self, request: WireRequest) -> int | None:
        """See Converter."""
        return None

    def limit_headers(self, limits: Sequence[RateLimit], wall: float) -> Headers:
        """See Converter."""
        return ()

    def decode_request(self, request: WireRequest) -> ModelRequest:
        """See Converter."""
        asked = read(request.body)
        turn = Turn(role="user", parts=[Text(text=asked.prompt)])
        return ModelRequest(
            protocol=NAME, model=asked.model, stream="sse" if asked.stream else "no", turns=[turn]
        )

    def encode_response(self, response: ModelResponse, request: ModelRequest) -> Encoded[WireResponse]:
        """See Converter."""
        parts = response.candidates[0].turn.parts if response.candidates else []
        text = "".join(part.text for part in parts if isinstance(part, Text))
        return Encoded(WireResponse(status=200, headers=JSON_HEADERS, body=line(text=text)))

    def encode_error(self, error: ErrorInfo) -> WireResponse:
        """See Converter."""
        status = {"auth": 401, "invalid": 400, "not_found": 404}.get(error.kind, 503)
        return WireResponse(status=status, headers=JSON_HEADERS, body=line(failed=error.message))

    def stream_encoder(self, request: ModelRequest) -> PlainStreamEncoder:
        """See Converter."""
        return PlainStreamEncoder()

    def stream_content_type(self, mode: StreamMode) -> str:
        """See Converter."""
        return "application/x-ndjson"

    def encode_models(self, names: Sequence[str]) -> WireResponse:
        """See Converter."""
        return WireResponse(status=200, headers=JSON_HEADERS, body=line(models=names))

    def encode_model(self, name: str) -> WireResponse:
        """See Converter."""
        return WireResponse(status=200, headers=JSON_HEADERS, body=line(model=name))

    def _no_upstream(self, *_: object) -> NoReturn:
        raise MalformedMessage("no upstream speaks this protocol")

    encode_request = splice = list_models_request = _no_upstream
    decode_response = decode_error = decode_models = usage = _no_upstream
    stream_decoder = stream_tap = frames = _no_upstream


PLAIN = PlainConverter()
