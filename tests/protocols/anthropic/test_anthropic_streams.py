from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.events import (
    CandidateEnd,
    Failure,
    NativeEvent,
    PartDelta,
    PartEnd,
    PartStart,
    Ping,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    UsageReport,
)
from aiclient2api.ir.fold import fold, unfold
from aiclient2api.ir.parts import (
    Citation,
    HostedCall,
    Inline,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.ir.response import Candidate, Finish, ModelResponse, Usage
from aiclient2api.protocols.anthropic import AnthropicConverter
from aiclient2api.wire.http import WireResponse
from aiclient2api.wire.sse import SseDecoder, encode_event

CONVERTER = AnthropicConverter()
ASKED = ModelRequest(protocol="anthropic", model="m", stream="sse")


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(encode_event(json.dumps(event).encode(), event["type"]) for event in events)


def decoded(data: bytes, cuts: Iterable[int] = ()) -> list[StreamEvent]:
    frames, decoder = SseDecoder(), CONVERTER.stream_decoder()
    edges = [0, *sorted(cuts), len(data)]
    events: list[StreamEvent] = []
    for start, end in zip(edges, edges[1:], strict=False):
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
    message = {
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

CITED = Raw(b'{"type": "char_location", "cited_text": "q"}')
PARTS: list[Part] = [
    Reasoning(summary=["Need weather."], opaque=Opaque("anthropic.signature", "SIGa")),
    Reasoning(redacted=True, opaque=Opaque("anthropic.redacted", "RD")),
    Text(text="Grüße 🌍", citations=[Citation(kind="document", quote="q", raw=CITED, protocol="anthropic")]),
    ToolCall(call_id="t", name="w", arguments='{"t": 1.50}'),
    ToolCall(call_id="u", name="now", arguments="{}"),
    HostedCall(
        protocol="anthropic",
        wire_type="server_tool_use",
        raw=Raw(b'{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"q"}}'),
        family="web_search",
        side="call",
    ),
]


def test_a_stream_folds_to_its_answer() -> None:
    response = fold(decoded(THINKS), "anthropic")

    assert response.candidates[0].turn.parts == PARTS
    assert response.candidates[0].finish == Finish(reason="tool_use", raw="tool_use")
    assert response.usage == Usage(input=105, cache_read=90, cache_write=5, output=30)
    assert (response.id, response.model) == ("msg_1", "c")


@settings(max_examples=50, deadline=None)
@given(cuts=st.lists(st.integers(0, len(THINKS)), max_size=30))
def test_network_chunks_do_not_matter(cuts: list[int]) -> None:
    assert decoded(THINKS, cuts) == decoded(THINKS)


def test_events_come_as_they_arrive() -> None:
    events = decoded(
        sse(
            start(),
            opens(0, type="text", text=""),
            goes_on(0, "text_delta", text="a"),
            stops(0),
            *ends("end_turn"),
        )
    )

    assert events == [
        ResponseStart(id="msg_1", model="c"),
        PartStart(0, Text(text="")),
        PartDelta(0, "a"),
        PartEnd(0),
        CandidateEnd(Finish(reason="stop", raw="end_turn")),
        ResponseEnd(),
    ]


def test_a_later_count_replaces_the_first() -> None:
    events = decoded(
        sse(start(input_tokens=0, output_tokens=0), *ends("end_turn", input_tokens=350, output_tokens=9))
    )

    assert UsageReport(Usage(input=350, output=9), final=True) in events


@pytest.mark.parametrize("cut", [1, 4, 9, 20], ids=["at the start", "in a block", "between blocks", "late"])
def test_a_cut_stream_is_a_failure(cut: int) -> None:
    frames, decoder = SseDecoder(), CONVERTER.stream_decoder()
    for frame in frames.feed(THINKS)[:cut]:
        decoder.feed(frame)

    events = decoder.close()

    assert [event.error.code for event in events if isinstance(event, Failure)] == ["upstream_truncated"]


def test_a_stream_without_message_stop_is_whole_once_the_reason_is_known() -> None:
    events = decoded(sse(start(), opens(0, type="text", text="a"), ends("max_tokens")[0]))

    assert events[-3:] == [PartEnd(0), CandidateEnd(Finish(reason="length", raw="max_tokens")), ResponseEnd()]


def test_an_error_event_is_a_failure_and_the_last_event() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

    events = decoded(sse(start(), error, *ends("end_turn")))

    assert events[1:] == [
        Failure(
            ErrorInfo(kind="overloaded", message="Overloaded", type="overloaded_error", protocol="anthropic")
        )
    ]


def test_odd_frames_are_tolerated() -> None:
    odd = b": comment\n\nevent: ping\n\ndata: [DONE]\n\n" + sse({"type": "vibe", "delta": 7})

    events = decoded(sse(start()) + odd + sse(start(), stops(9), *ends("someday")))

    assert events[1:] == [
        NativeEvent("anthropic", "vibe", Raw(b'{"type": "vibe", "delta": 7}')),
        CandidateEnd(Finish(reason="unknown", raw="someday")),
        ResponseEnd(),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"data: nonsense\n\n",
        b'data: {"type":"message_start"}\n\n',
        sse(opens(0, type="text", text="")),
        sse(start(), goes_on(0, "text_delta", text="a")),
        sse(start(), opens(0, type="text", text=7)),
        sse(start(), opens(0, type="text", text=""), goes_on(0, "text_delta", text=7)),
        sse({"type": "message_stop"}),
    ],
    ids=["no JSON", "no message", "no start", "no block", "wrong type", "wrong delta", "only an end"],
)
def test_a_broken_stream_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decoded(data)


def test_what_is_decoded_is_encoded_again() -> None:
    data, losses = encoded(decoded(THINKS))

    again = fold(decoded(data), "anthropic")
    first = fold(decoded(THINKS), "anthropic")
    assert again.candidates == first.candidates
    assert losses == []
    assert again.usage == first.usage


def test_a_native_stream_is_written_in_the_official_grammar() -> None:
    data, _ = encoded(
        decoded(sse(start(), opens(0, type="text", text="a"), stops(0), *ends("end_turn", output_tokens=2)))
    )

    assert data == (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message",'
        b'"role":"assistant","model":"c","content":[],"stop_reason":null,"stop_sequence":null,"usage":'
        b'{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}\n\n'
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":'
        b'{"type":"text","text":""}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":'
        b'{"type":"text_delta","text":"a"}}\n\n'
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn",'
        b'"stop_sequence":null},"usage":{"input_tokens":0,"cache_creation_input_tokens":0,'
        b'"cache_read_input_tokens":0,"output_tokens":2}}\n\n'
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )


FINISHED: list[StreamEvent] = [CandidateEnd(Finish(reason="stop", raw="stop")), ResponseEnd()]


def body_of(events: list[StreamEvent]) -> list[dict[str, Any]]:
    data, _ = encoded([ResponseStart(id="chatcmpl-1", model="gpt"), *events, *FINISHED])
    return payloads(data)[1:-2]


def test_parts_that_interleave_are_written_one_after_the_other() -> None:
    events: list[StreamEvent] = [
        PartStart(0, ToolCall(call_id="a", name="f")),
        PartDelta(0, '{"x":', "arguments"),
        PartStart(1, ToolCall(call_id="b", name="g")),
        PartDelta(1, "{}", "arguments"),
        PartStart(2, Text(text="")),
        PartDelta(0, "1}", "arguments"),
        PartDelta(2, "late"),
        PartEnd(1),
        PartEnd(0),
        PartEnd(2),
    ]

    assert body_of(events) == [
        opens(0, type="tool_use", id="a", name="f", input={}),
        goes_on(0, "input_json_delta", partial_json='{"x":'),
        goes_on(0, "input_json_delta", partial_json="1}"),
        stops(0),
        opens(1, type="tool_use", id="b", name="g", input={}),
        goes_on(1, "input_json_delta", partial_json="{}"),
        stops(1),
        opens(2, type="text", text=""),
        goes_on(2, "text_delta", text="late"),
        stops(2),
    ]


SEALED = Opaque("envelope", "Z3ct")

STREAMED: dict[str, tuple[list[StreamEvent], list[dict[str, Any]]]] = {
    "an envelope in a delta": (
        [
            PartStart(0, Reasoning()),
            PartDelta(0, "A", "summary", 0),
            PartDelta(0, "B", "summary", 1),
            PartDelta(0, "", "opaque", 0, SEALED),
            PartEnd(0, Reasoning(summary=["A", "B"], opaque=SEALED)),
        ],
        [
            opens(0, type="thinking", thinking="", signature=""),
            goes_on(0, "thinking_delta", thinking="A"),
            goes_on(0, "thinking_delta", thinking="\n\nB"),
            goes_on(0, "signature_delta", signature="Z3ct"),
            stops(0),
        ],
    ),
    "an envelope in the header, without text": (
        [PartStart(0, Reasoning(opaque=SEALED)), PartEnd(0)],
        [
            opens(0, type="thinking", thinking="", signature=""),
            goes_on(0, "signature_delta", signature="Z3ct"),
            stops(0),
        ],
    ),
    "redacted thinking": (
        [
            PartStart(0, Reasoning(redacted=True)),
            PartDelta(0, "", "opaque", 0, Opaque("anthropic.redacted", "RD")),
            PartEnd(0),
        ],
        [opens(0, type="redacted_thinking", data="RD"), stops(0)],
    ),
    "redacted thinking in an envelope": (
        [PartStart(0, Reasoning(redacted=True)), PartDelta(0, "", "opaque", 0, SEALED), PartEnd(0)],
        [
            opens(0, type="thinking", thinking="", signature=""),
            goes_on(0, "signature_delta", signature="Z3ct"),
            stops(0),
        ],
    ),
    "empty parts": (
        [PartStart(0, Text(text="")), PartEnd(0), PartStart(1, Reasoning()), PartEnd(1)],
        [],
    ),
    "a refusal": (
        [PartStart(0, Refusal()), PartDelta(0, "no", "refusal"), PartEnd(0)],
        [opens(0, type="text", text=""), goes_on(0, "text_delta", text="no"), stops(0)],
    ),
    "no arguments": (
        [PartStart(0, ToolCall(call_id="a", name="f")), PartEnd(0)],
        [opens(0, type="tool_use", id="a", name="f", input={}), stops(0)],
    ),
    "arguments that are no object": (
        [
            PartStart(0, ToolCall(call_id="a", name="f")),
            PartDelta(0, "[1", "arguments"),
            PartDelta(0, "]", "arguments"),
            PartEnd(0),
        ],
        [
            opens(0, type="tool_use", id="a", name="f", input={}),
            goes_on(0, "input_json_delta", partial_json='{"_raw":"[1]"}'),
            stops(0),
        ],
    ),
    "another candidate": (
        [PartStart(0, Text(text="x"), 1), PartDelta(0, "y", candidate=1), PartEnd(0, None, 1)],
        [],
    ),
    "an image": ([PartStart(0, Media(kind="image", source=Inline("image/png", "AA"))), PartEnd(0)], []),
}


@pytest.mark.parametrize(("events", "expected"), STREAMED.values(), ids=STREAMED.keys())
def test_a_part_is_streamed_as_its_block(events: list[StreamEvent], expected: list[dict[str, Any]]) -> None:
    assert body_of(events) == expected


def test_lost_parts_are_reported() -> None:
    _, losses = encoded(
        [PartStart(0, HostedCall(protocol="gemini", wire_type="x", raw=Raw(b"{}"))), PartEnd(0)]
    )

    assert losses == ["tool.hosted"]


def test_arguments_that_break_off_end_the_stream() -> None:
    encoder = CONVERTER.stream_encoder(ASKED)
    encoder.feed(ResponseStart())
    encoder.feed(PartStart(0, ToolCall(call_id="a", name="f")))
    encoder.feed(PartDelta(0, '{"a": 1', "arguments"))

    with pytest.raises(MalformedMessage):
        encoder.feed(PartEnd(0))


def test_nothing_is_written_before_the_start() -> None:
    encoder = CONVERTER.stream_encoder(ASKED)

    assert encoder.feed(Ping()) == b""
    assert encoder.ping() == b'event: ping\ndata: {"type":"ping"}\n\n'


def test_counts_that_are_known_only_at_the_end() -> None:
    usage = Usage(input=1050, cache_read=600, cache_write=100, output=300)
    data, _ = encoded(
        [ResponseStart(), CandidateEnd(Finish(reason="stop")), UsageReport(usage, final=True), ResponseEnd()]
    )

    assert payloads(data)[0]["message"]["usage"]["input_tokens"] == 0
    assert payloads(data)[1]["usage"] == {
        "input_tokens": 350,
        "cache_creation_input_tokens": 100,
        "cache_read_input_tokens": 600,
        "output_tokens": 300,
    }


def test_unknown_counts_are_not_invented() -> None:
    data, _ = encoded([ResponseStart(), *FINISHED])

    assert payloads(data)[1]["usage"] == {"output_tokens": 0}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ErrorInfo(kind="overloaded", message="m", request_id="r"), "overloaded_error"),
        (ErrorInfo(kind="timeout", message="m", request_id="r"), "timeout_error"),
        (ErrorInfo(kind="rate_limit", message="m", request_id="r"), "api_error"),
        (
            ErrorInfo(
                kind="rate_limit", message="m", request_id="r", type="rate_limit_error", protocol="anthropic"
            ),
            "rate_limit_error",
        ),
    ],
    ids=["overloaded", "timeout", "another", "the provider's own"],
)
def test_a_dying_stream(error: ErrorInfo, kind: str) -> None:
    data = CONVERTER.stream_encoder(ASKED).fail(error)

    expected = {"type": "error", "error": {"type": kind, "message": "m"}, "request_id": "r"}
    assert payloads(data) == [expected]


# --- the official SDK as the client


WHOLE = ModelResponse(
    protocol="openai_chat",
    id="chatcmpl-1",
    model="gpt",
    candidates=[
        Candidate(
            turn=Turn(
                role="assistant",
                parts=[
                    Reasoning(summary=["A", "B"], opaque=SEALED),
                    Text(text="Grüße 🌍\n", citations=[Citation(kind="url", url="https://x", title="T")]),
                    ToolCall(call_id="call_1", name="f", arguments='{"a": [1, 2]}'),
                    ToolCall(call_id="call_2", name="g", arguments="not json"),
                ],
            ),
            finish=Finish(reason="tool_use", raw="tool_calls"),
        )
    ],
    usage=Usage(input=12, cache_read=2, output=5, reasoning=3),
)


def by_sdk(data: bytes) -> Message:
    """What the official stream helper makes of our bytes."""
    served = httpx2.Response(200, content=data, headers={"content-type": "text/event-stream"})
    transport = httpx2.MockTransport(lambda _: served)
    with httpx2.Client(transport=transport) as http:
        client = anthropic.Anthropic(api_key="k", base_url="http://gateway", http_client=http, max_retries=0)
        with client.messages.stream(model="m", max_tokens=1, messages=[]) as stream:
            return stream.get_final_message()


def plain(message: Message) -> dict[str, Any]:
    return message.model_dump(
        mode="json", exclude_none=True, exclude={"content": {"__all__": {"parsed_output"}}}
    )


def test_the_sdk_reads_the_same_from_a_stream_and_from_an_answer() -> None:
    unary = CONVERTER.encode_response(WHOLE, ASKED).wire.body
    data, _ = encoded(unfold(WHOLE))

    streamed = by_sdk(data)

    assert plain(streamed) == plain(Message.model_validate_json(unary))
    assert streamed.content[2].to_dict()["input"] == {"a": [1, 2]}
    assert streamed.usage.input_tokens == 10


def test_the_sdk_raises_on_a_dying_stream() -> None:
    encoder = CONVERTER.stream_encoder(ASKED)
    data = (
        encoder.feed(ResponseStart())
        + encoder.ping()
        + encoder.fail(ErrorInfo(kind="overloaded", message="full"))
    )

    with pytest.raises(anthropic.APIStatusError, match="full"):
        by_sdk(data)


def test_the_sdk_reads_models() -> None:
    def answered() -> Iterator[str]:
        served = httpx2.Response(200, content=CONVERTER.encode_models(["a", "b"]).body)
        with httpx2.Client(transport=httpx2.MockTransport(lambda _: served)) as http:
            client = anthropic.Anthropic(api_key="k", base_url="http://gateway", http_client=http)
            yield from (model.id for model in client.models.list())

    assert list(answered()) == ["a", "b"]
    assert CONVERTER.decode_models(CONVERTER.encode_models(["a", "b"])) == ["a", "b"]


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
ANSWERS = st.lists(
    st.one_of(
        TEXTS.map(lambda text: Text(text=text)),
        st.builds(
            lambda texts: Reasoning(summary=texts, opaque=Opaque("anthropic.signature", "S")),
            st.lists(TEXTS, max_size=1),
        ),
        st.just(Reasoning(redacted=True, opaque=Opaque("anthropic.redacted", "R"))),
        st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=2).map(
            lambda value: ToolCall(call_id="t", name="f", arguments=json.dumps(value))
        ),
    ),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(parts=ANSWERS)
def test_streams_and_answers_agree(parts: list[Part]) -> None:
    finish = Finish(reason="stop", raw="end_turn")
    turn = Turn(role="assistant", parts=parts)
    response = ModelResponse(
        protocol="anthropic",
        id="msg_1",
        model="m",
        candidates=[Candidate(turn=turn, finish=finish)],
        usage=Usage(input=1, cache_read=0, cache_write=0, output=1),
    )

    streamed = fold(decoded(encoded(unfold(response))[0]), "anthropic")
    unary = CONVERTER.decode_response(
        WireResponse(status=200, body=CONVERTER.encode_response(response, ASKED).wire.body)
    )

    assert streamed == unary == replace(response, candidates=unary.candidates)
