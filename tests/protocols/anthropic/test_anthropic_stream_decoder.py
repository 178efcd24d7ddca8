"""Streams of an upstream, decoded."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.events import (
    CandidateEnd,
    Failure,
    NativeEvent,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    UsageReport,
)
from aiclient2api.ir.fold import fold
from aiclient2api.ir.parts import (
    Citation,
    HostedCall,
    Opaque,
    Part,
    Reasoning,
    Text,
    ToolCall,
)
from aiclient2api.ir.response import Finish, Usage
from aiclient2api.wire.sse import SseDecoder
from tests.protocols.anthropic.anthropic_streams import (
    CONVERTER,
    THINKS,
    decoded,
    ends,
    goes_on,
    opens,
    sse,
    start,
    stops,
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


def test_content_inside_message_start_is_content() -> None:
    """Calls from inside a running program come this way."""
    call = {"type": "tool_use", "id": "t", "name": "roll", "input": {"player": 1}, "caller": {"type": "x"}}
    begin = start(input_tokens=0, output_tokens=0)
    begin["message"] |= {"content": [call], "stop_reason": "tool_use"}

    response = fold(decoded(sse(begin, {"type": "message_stop"})), "anthropic")

    assert response.candidates[0].finish == Finish(reason="tool_use", raw="tool_use")
    assert response.candidates[0].turn.parts == [
        ToolCall(
            call_id="t",
            name="roll",
            arguments='{"player": 1}',
            ext={"anthropic": {"caller": Raw(b'{"type": "x"}')}},
        )
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
