"""Short words for streams of this protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from aiclient2api.ir.events import (
    StreamEvent,
)
from aiclient2api.ir.parts import (
    Opaque,
)
from aiclient2api.ir.request import ModelRequest
from aiclient2api.protocols.anthropic import AnthropicConverter
from aiclient2api.wire.sse import SseDecoder, encode_event

CONVERTER = AnthropicConverter()


ASKED = ModelRequest(protocol="anthropic", model="m", stream="sse")


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(encode_event(json.dumps(event).encode(), event["type"]) for event in events)


def decoded(data: bytes, cuts: Iterable[int] = ()) -> list[StreamEvent]:
    frames, decoder = SseDecoder(), CONVERTER.stream_decoder()
    edges = [0, *sorted(cuts), len(data)]
    events: list[StreamEvent] = []
    for start, end in pairwise(edges):
        for frame in frames.feed(data[start:end]):
            events += decoder.feed(frame)
    return [*events, *decoder.close()]


def encoded(events: Iterable[StreamEvent]) -> tuple[bytes, list[str]]:
    encoder = CONVERTER.stream_encoder(ASKED)
    data = b"".join([encoder.feed(event) for event in events])
    return data, [loss.feature for loss in encoder.losses]


def payloads(data: bytes) -> list[dict[str, Any]]:
    frames = SseDecoder().feed(data)
    parsed = [json.loads(frame.data) for frame in frames]
    assert [frame.event for frame in frames] == [event["type"] for event in parsed]
    return parsed


def start(**usage: int) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "c",
        "content": [],
        "usage": usage,
    }
    return {"type": "message_start", "message": message | {"stop_reason": None, "stop_sequence": None}}


def opens(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def goes_on(index: int, kind: str, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}


def stops(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def ends(reason: str, **usage: int) -> list[dict[str, Any]]:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]


THINKS = sse(
    start(input_tokens=10, cache_read_input_tokens=90, output_tokens=1),
    opens(0, type="thinking", thinking="", signature=""),
    {"type": "ping"},
    goes_on(0, "thinking_delta", thinking="Need "),
    goes_on(0, "thinking_delta", thinking="weather."),
    goes_on(0, "signature_delta", signature="SIGa"),
    stops(0),
    opens(1, type="redacted_thinking", data="RD"),
    stops(1),
    opens(2, type="text", text=""),
    goes_on(2, "text_delta", text="Grüße 🌍"),
    goes_on(2, "citations_delta", citation={"type": "char_location", "cited_text": "q"}),
    stops(2),
    opens(3, type="tool_use", id="t", name="w", input={}),
    goes_on(3, "input_json_delta", partial_json=""),
    goes_on(3, "input_json_delta", partial_json='{"t":'),
    goes_on(3, "input_json_delta", partial_json=" 1.50}"),
    stops(3),
    opens(4, type="tool_use", id="u", name="now", input={}),
    stops(4),
    opens(5, type="server_tool_use", id="s", name="web_search", input={}),
    goes_on(5, "input_json_delta", partial_json='{"query":"q"}'),
    stops(5),
    *ends("tool_use", output_tokens=30, cache_creation_input_tokens=5),
)


SEALED = Opaque("envelope", "Z3ct")
