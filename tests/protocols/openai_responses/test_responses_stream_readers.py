"""What reads our streams: our own decoder, the official SDK, and the same client's next request."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import OpenAI

from aiclient2api.ir.events import Ping, StreamEvent
from aiclient2api.ir.fold import fold, unfold
from aiclient2api.ir.parts import Opaque, Reasoning, Text, ToolCall
from aiclient2api.protocols.carrier import Carrier, SealingStream
from aiclient2api.protocols.opening import open_request
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.wire.sse import SseDecoder
from tests.protocols.openai_responses.responses_stream import FULL, REQUEST
from tests.protocols.openai_responses.responses_wire import (
    CONVERTER,
    answer,
    builtins,
    check,
    decode,
    encode_stream,
    payloads,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 200), max_size=60))
def test_cuts_of_the_byte_stream_do_not_matter(sizes: list[int]) -> None:
    data = b": ping\n\n" + encode_stream(FULL, REQUEST)
    decoder, stream = SseDecoder(), CONVERTER.stream_decoder()

    events: list[StreamEvent] = []
    for chunk in _cut(data, sizes):
        for frame in decoder.feed(chunk):
            events.extend(stream.feed(frame))
    events.extend(stream.close())

    assert events[0] == Ping()
    check(events[1:])
    whole = CONVERTER.decode_response(CONVERTER.encode_response(fold(FULL, "anthropic"), REQUEST).wire)
    folded = fold(events[1:], "openai_responses")
    assert builtins(folded.candidates) == builtins(whole.candidates)
    assert folded.usage == whole.usage


def _cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


def test_official_sdk_accumulates_what_we_stream() -> None:
    data = encode_stream(FULL, REQUEST)

    def answer_with(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=data)

    client = OpenAI(
        api_key="k",
        base_url="http://gateway/v1",
        http_client=httpx2.Client(transport=httpx2.MockTransport(answer_with)),
    )
    with client, client.responses.stream(model="m", input="hi") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()

    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert final.output_text == 'Hel"loend'
    assert [item.type for item in final.output] == [
        "reasoning",
        "message",
        "function_call",
        "custom_tool_call",
        "message",
    ]
    assert json.loads(final.model_dump_json())["usage"]["total_tokens"] == 15


def test_sealed_state_of_other_protocols_survives_a_client_of_this_one() -> None:
    carrier = Carrier({1: b"k" * 16}, 1)
    thought = Reasoning(summary=["Need weather."], opaque=Opaque("anthropic.signature", "SIGa"))
    redacted = Reasoning(redacted=True, opaque=Opaque("anthropic.redacted", "RD"))
    signed = ToolCall(
        call_id="c", name="f", arguments='{"t":1.50}', opaque=Opaque("gemini.signature", "SIGg")
    )
    sealing = SealingStream(carrier, "tenant", CONVERTER.slots)
    encoder = CONVERTER.stream_encoder(REQUEST)

    data = b"".join(
        encoder.feed(sealed)
        for event in unfold(answer(thought, redacted, Text(text="Hi"), signed))
        for sealed in sealing.feed(event)
    )
    output = payloads(data)[-1]["response"]["output"]
    echoed = decode({"model": "m", "input": [{"role": "user", "content": "hi"}, *output]})
    opened, lost = open_request(echoed, carrier, "tenant")

    assert [item["type"] for item in output] == [
        "reasoning",
        "reasoning",
        "message",
        "reasoning",
        "function_call",
    ]
    assert lost == []
    parts = [
        msgspec.structs.replace(part, id=None, status=None, new_item=False, shape=0)
        for part in opened.turns[1].parts
    ]
    assert parts == [thought, redacted, Text(text="Hi"), signed]
    upstream = CONVERTER.encode_request(opened, DEFAULT_PROFILE)
    assert b"SIG" not in upstream.wire.body
    assert b"Z3ctY2Fycnkx" not in upstream.wire.body
