"""Streams for a client, encoded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.events import (
    CandidateEnd,
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
from aiclient2api.ir.request import Turn
from aiclient2api.ir.response import Candidate, Finish, ModelResponse, Usage
from aiclient2api.wire.http import WireResponse
from tests.protocols.anthropic.anthropic_streams import (
    ASKED,
    CONVERTER,
    SEALED,
    THINKS,
    decoded,
    encoded,
    ends,
    goes_on,
    opens,
    payloads,
    sse,
    start,
    stops,
)


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


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


ANSWERS = st.lists(
    st.one_of(
        TEXTS.map(lambda text: Text(text=text)),
        TEXTS.map(lambda text: Reasoning(summary=[text], opaque=Opaque("anthropic.signature", "S"))),
        st.just(Reasoning(opaque=Opaque("anthropic.signature", "S"))),
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
