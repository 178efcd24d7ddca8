"""Streams of upstreams: how they begin, end and fail, also where they read the specification differently."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.events import (
    CandidateEnd,
    Failure,
    PartDelta,
    PartEnd,
    PartStart,
    Ping,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    UsageReport,
)
from aiclient2api.ir.fold import fold
from aiclient2api.ir.parts import Reasoning, Text, ToolCall
from aiclient2api.ir.response import Finish, Usage
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.sse import SseDecoder
from tests.protocols.openai_chat.chat_chunks import CALLS_END, END, USAGE, call
from tests.protocols.openai_chat.chat_wire import CONVERTER, check, decode_stream, delta, frame


def test_a_text_is_one_part() -> None:
    events = decode_stream(
        delta({"role": "assistant", "content": ""}),
        delta({"content": "He"}),
        delta({"content": "y"}),
        END,
        USAGE,
    )
    assert events == [
        ResponseStart(id="r1", model="m", created=7),
        PartStart(0, Text(text="")),
        PartDelta(0, "He"),
        PartDelta(0, "y"),
        PartEnd(0),
        CandidateEnd(Finish(reason="stop", raw="stop")),
        UsageReport(Usage(input=1, output=2), final=True),
        ResponseEnd(),
    ]


@pytest.mark.parametrize(
    ("content", "word", "reason"),
    [
        ({"content": "x"}, "stop", "stop"),
        ({"content": "x"}, "length", "length"),
        ({"content": "x"}, "model_length", "context_length"),
        ({"content": "x"}, "eos", "other"),
        ({"refusal": "x"}, "stop", "refusal"),
        ({"tool_calls": [{"id": "a", "function": {"name": "f"}}]}, "stop", "tool_use"),
        ({"tool_calls": [{"id": "a", "function": {"name": "f"}}]}, "length", "length"),
    ],
)
def test_the_finish_reason_is_what_happened(content: object, word: str, reason: str) -> None:
    finish = fold(decode_stream(delta(content), delta({}, word)), "openai_chat").candidates[0].finish
    assert finish is not None and (finish.reason, finish.raw) == (reason, word)


def test_whatever_follows_the_finish_reason_is_ignored() -> None:
    events = decode_stream(delta({"content": "x"}), END, END, delta({"content": "late"}))
    assert [event for event in events if isinstance(event, PartDelta)] == [PartDelta(0, "x")]


def test_usage_is_reported_once_whichever_chunk_has_it() -> None:
    usage = USAGE["usage"]
    events = decode_stream(
        {**delta({"content": "x"}), "usage": {"prompt_tokens": 1}}, {**END, "usage": usage}, done=False
    )
    assert [event for event in events if isinstance(event, UsageReport)] == [
        UsageReport(Usage(input=1, output=2), final=True)
    ]
    in_choice = decode_stream(delta({"content": "x"}), delta({}, "stop", usage=usage))
    assert UsageReport(Usage(input=1, output=2), final=True) in in_choice


def test_candidates_are_independent() -> None:
    def choice(index: int, members: object, finish: str | None = None) -> dict[str, object]:
        return {"id": "r", "choices": [{"index": index, "delta": members, "finish_reason": finish}]}

    response = fold(
        decode_stream(
            choice(0, {"content": "a"}),
            choice(1, {"content": "b"}),
            choice(0, {}, "stop"),
            choice(1, {"content": "c"}),
            choice(1, {}, "length"),
        ),
        "openai_chat",
    )
    assert [each.turn.parts for each in response.candidates] == [[Text(text="a")], [Text(text="bc")]]


def test_the_answer_begins_with_the_first_chunk_that_has_a_choice() -> None:
    prompt_filter: dict[str, object] = {
        "id": "",
        "model": "",
        "created": 0,
        "choices": [],
        "prompt_filter_results": [],
    }
    first = {**delta({"content": "x"}), "system_fingerprint": "fp", "service_tier": "flex"}
    start = decode_stream(prompt_filter, first, END)[0]
    assert isinstance(start, ResponseStart)
    assert (start.id, start.model, start.tier) == ("r1", "m", "flex")


@pytest.mark.parametrize(
    "chunks",
    [[], [delta({"content": "x"})], [delta({"tool_calls": [call(0, '{"a"', id="a", name="f")]}), USAGE]],
    ids=["nothing", "text", "half a call"],
)
@pytest.mark.parametrize("done", [True, False], ids=["with [DONE]", "without"])
def test_an_answer_that_was_cut_is_a_failure(chunks: list[object], done: bool) -> None:
    last = decode_stream(*chunks, done=done)[-1]
    assert isinstance(last, Failure) and last.error.code == "upstream_truncated"


def test_a_stream_without_done_is_whole_when_it_finished() -> None:
    assert decode_stream(delta({"content": "x"}), END, done=False)[-1] == ResponseEnd()


def test_an_error_in_the_stream_is_a_failure() -> None:
    events = decode_stream(
        delta({"content": "x"}),
        {"error": {"message": "busy", "type": "server_error", "code": "server_is_overloaded"}},
        delta({"content": "y"}),
    )
    last = events[-1]
    assert isinstance(last, Failure)
    assert (last.error.kind, last.error.message, last.error.protocol) == ("overloaded", "busy", "openai_chat")


def test_a_comment_is_a_sign_of_life() -> None:
    assert CONVERTER.stream_decoder().feed(Frame(b": ka\n\n", b"")) == [Ping()]


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"choices":3}', b'{"id":"\xff"}'])
def test_what_is_not_a_chunk_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        CONVERTER.stream_decoder().feed(frame(data))


STREAM = b"".join(
    b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\r\n\r\n"
    for chunk in (
        delta({"role": "assistant", "content": "", "reasoning_content": "denk 🤔"}),
        delta({"content": "hé"}),
        delta({"tool_calls": [call(0, '{"a"', id="a", name="f")]}),
        delta({"tool_calls": [call(0, ":1}")]}),
        CALLS_END,
        USAGE,
    )
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, len(STREAM)), max_size=12).map(sorted))
def test_the_cuts_of_the_bytes_do_not_matter(cuts: list[int]) -> None:
    frames, decoder = SseDecoder(), CONVERTER.stream_decoder()
    events: list[StreamEvent] = []
    for start, end in zip([0, *cuts], [*cuts, len(STREAM)], strict=True):
        events.extend(event for each in frames.feed(STREAM[start:end]) for event in decoder.feed(each))
    # a lone CR at the very end may be half a line end
    events.extend(event for each in frames.feed(b"data: [DONE]\n\n") for event in decoder.feed(each))
    check(events)
    assert fold(events, "openai_chat").candidates[0].turn.parts == [
        Reasoning(raw=["denk 🤔"]),
        Text(text="hé"),
        ToolCall(call_id="a", name="f", arguments='{"a":1}'),
    ]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "content": st.text(max_size=3),
                "reasoning_content": st.text(max_size=3),
                "refusal": st.text(max_size=3),
                "tool_calls": st.lists(
                    st.fixed_dictionaries(
                        {},
                        optional={
                            "index": st.integers(0, 2),
                            "id": st.sampled_from(["", "a", "b"]),
                            "function": st.fixed_dictionaries(
                                {},
                                optional={
                                    "name": st.sampled_from(["", "f"]),
                                    "arguments": st.text(max_size=3),
                                },
                            ),
                            "extra_content": st.just({"google": {"thought_signature": "S"}}),
                        },
                    ),
                    max_size=2,
                ),
                "extra_content": st.just({"google": {"thought_signature": "S"}}),
            },
        ),
        max_size=6,
    )
)
def test_any_deltas_keep_the_invariants(members: list[dict[str, object]]) -> None:
    decode_stream(*[delta(each) for each in members], END)
