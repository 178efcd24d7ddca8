"""Streams of upstreams, also of those that read the specification differently."""

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
from aiclient2api.ir.parts import (
    Citation,
    Inline,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    TokenLogprob,
    ToolCall,
)
from aiclient2api.ir.response import Finish, Usage
from aiclient2api.protocols.ids import SYNTHETIC
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.sse import SseDecoder
from tests.protocols.openai_chat.chat_wire import CONVERTER, check, decode_stream, delta, frame

END = delta({}, "stop")
CALLS_END = delta({}, "tool_calls")
USAGE: dict[str, object] = {
    "id": "r1",
    "choices": [],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}


def call(index: int | None, arguments: str, **members: object) -> dict[str, object]:
    function: dict[str, object] = {"arguments": arguments}
    if "name" in members:
        function["name"] = members.pop("name")
    fragment: dict[str, object] = {"function": function, **members}
    return fragment if index is None else {"index": index, **fragment}


def parts(*chunks: object) -> list[Part]:
    return fold(decode_stream(*chunks), "openai_chat").candidates[0].turn.parts


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


PARTS: dict[str, tuple[list[dict[str, object]], list[Part]]] = {
    "a switch of kind closes the part": (
        [
            delta({"reasoning_content": "a"}),
            delta({"content": "b"}),
            delta({"reasoning": "c"}),
            delta({"refusal": "d"}),
        ],
        [Reasoning(raw=["a"]), Text(text="b"), Reasoning(raw=["c"]), Refusal(text="d")],
    ),
    "all in one chunk": (
        [delta({"reasoning_content": "a", "content": "b", "tool_calls": [call(0, "{}", id="c", name="f")]})],
        [Reasoning(raw=["a"]), Text(text="b"), ToolCall(call_id="c", name="f", arguments="{}")],
    ),
    "parallel calls interleave": (
        [
            delta({"tool_calls": [call(0, "", id="a", name="f"), call(1, "", id="b", name="g")]}),
            delta({"tool_calls": [call(0, '{"x"')]}),
            delta({"tool_calls": [call(1, "{}")]}),
            delta({"tool_calls": [call(0, ":1.50}")]}),
        ],
        [
            ToolCall(call_id="a", name="f", arguments='{"x":1.50}'),
            ToolCall(call_id="b", name="g", arguments="{}"),
        ],
    ),
    "an index that is used again": (
        [
            delta({"tool_calls": [call(0, "{}", id="a", name="f")]}),
            delta({"tool_calls": [call(0, "{}", id="b", name="f")]}),
        ],
        [
            ToolCall(call_id="a", name="f", arguments="{}"),
            ToolCall(call_id="b", name="f", arguments="{}"),
        ],
    ),
    "no index, id repeated": (
        [
            delta({"tool_calls": [call(None, '{"a"', id="a", name="f")]}),
            delta({"tool_calls": [call(None, ":1}", id="a", name="f")]}),
        ],
        [ToolCall(call_id="a", name="f", arguments='{"a":1}')],
    ),
    "empty ids and names afterwards": (
        [
            delta({"tool_calls": [call(0, "", id="a", name="f")]}),
            delta({"tool_calls": [call(0, "{}", id="", name="")]}),
        ],
        [ToolCall(call_id="a", name="f", arguments="{}")],
    ),
    "the name comes late": (
        [
            delta({"tool_calls": [call(0, '{"a"', id="a")]}),
            delta({"tool_calls": [call(0, ":1}", name="f")]}),
        ],
        [ToolCall(call_id="a", name="f", arguments='{"a":1}')],
    ),
    "a custom call": (
        [
            delta(
                {
                    "tool_calls": [
                        {"index": 0, "id": "a", "type": "custom", "custom": {"name": "s", "input": "SELECT"}}
                    ]
                }
            ),
            delta({"tool_calls": [{"index": 0, "custom": {"input": " 1"}}]}),
        ],
        [ToolCall(call_id="a", name="s", arguments="SELECT 1", kind="custom")],
    ),
    "signatures on calls, early and late": (
        [
            delta(
                {
                    "tool_calls": [
                        call(
                            0,
                            "{}",
                            id="a",
                            name="f",
                            extra_content={"google": {"thought_signature": "S1"}},
                        )
                    ]
                }
            ),
            delta({"tool_calls": [call(1, "{}", id="b", name="f")]}),
            delta({"tool_calls": [call(1, "", extra_content={"google": {"thought_signature": "S2"}})]}),
        ],
        [
            ToolCall(call_id="a", name="f", arguments="{}", opaque=Opaque("gemini.signature", "S1")),
            ToolCall(call_id="b", name="f", arguments="{}", opaque=Opaque("gemini.signature", "S2")),
        ],
    ),
    "a signature on a text, and one alone": (
        [
            delta({"content": "x"}),
            delta({"extra_content": {"google": {"thought_signature": "S1"}}}),
            delta({"extra_content": {"google": {"thought_signature": "S2"}}}),
        ],
        [
            Text(text="x", opaque=Opaque("gemini.signature", "S1")),
            Text(text="", opaque=Opaque("gemini.signature", "S2")),
        ],
    ),
    "details in pieces": (
        [
            delta(
                {
                    "reasoning": "a",
                    "reasoning_details": [
                        {"type": "reasoning.text", "text": "a", "index": 0, "signature": None}
                    ],
                }
            ),
            delta(
                {"reasoning": "b", "reasoning_details": [{"type": "reasoning.text", "text": "b", "index": 0}]}
            ),
            delta({"reasoning_details": [{"type": "reasoning.text", "signature": "s", "index": 0}]}),
            delta({"reasoning_details": [{"type": "reasoning.encrypted", "data": "g", "index": 1}]}),
            delta({"content": "x"}),
        ],
        [
            Reasoning(
                raw=["ab"],
                opaque=Opaque(
                    "openai_chat.details",
                    '{"type":"reasoning.text","text":"ab","index":0,"signature":"s"}',
                ),
            ),
            Reasoning(
                opaque=Opaque("openai_chat.details", '{"type":"reasoning.encrypted","data":"g","index":1}')
            ),
            Text(text="x"),
        ],
    ),
    "content in parts": (
        [
            delta({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}]}),
            delta({"content": [{"type": "text", "text": "x"}]}),
        ],
        [Reasoning(raw=["t"]), Text(text="x")],
    ),
    "citations and logprobs": (
        [
            delta(
                {"content": "a"},
                logprobs={"content": [{"token": "a", "logprob": -1, "bytes": None, "top_logprobs": None}]},
            ),
            delta({"annotations": [{"type": "url_citation", "url_citation": {"url": "https://x"}}]}),
        ],
        [
            Text(
                text="a",
                citations=[Citation(kind="url", url="https://x", protocol="openai_chat")],
                logprobs=[TokenLogprob(token="a", logprob=-1)],
            )
        ],
    ),
    "speech and images": (
        [
            delta({"audio": {"id": "audio_1", "transcript": "hi"}}),
            delta({"audio": {"data": "Ukl"}}),
            delta({"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}]}),
            delta({"audio": {"data": "G"}}),
        ],
        [
            Media(kind="audio", id="audio_1", source=Inline("audio/wav", "UklG"), transcript="hi"),
            Media(kind="image", source=Inline("image/png", "iVBO")),
        ],
    ),
}


def _without_raw(part: Part) -> Part:
    if isinstance(part, Text) and part.citations:
        citations = [
            Citation(kind=each.kind, url=each.url, protocol=each.protocol) for each in part.citations
        ]
        return Text(text=part.text, citations=citations, logprobs=part.logprobs)
    return part


@pytest.mark.parametrize(("chunks", "expected"), PARTS.values(), ids=PARTS.keys())
def test_deltas_become_parts(chunks: list[dict[str, object]], expected: list[Part]) -> None:
    assert [_without_raw(part) for part in parts(*chunks, END)] == expected


def test_a_call_without_an_id_gets_a_derived_one() -> None:
    chunks = [delta({"tool_calls": [call(i, "{}", name="f") for i in (0, 1)]}), CALLS_END]
    first, second = parts(*chunks)
    assert isinstance(first, ToolCall) and isinstance(second, ToolCall)
    assert first.synthetic_id and first.call_id.startswith(SYNTHETIC) and first.call_id != second.call_id
    assert parts(*chunks) == [first, second]


def test_a_legacy_function_call_is_a_call() -> None:
    (part,) = parts(
        delta({"function_call": {"name": "f", "arguments": ""}}),
        delta({"function_call": {"arguments": "{}"}}),
        delta({}, "function_call"),
    )
    assert isinstance(part, ToolCall) and (part.name, part.arguments) == ("f", "{}")


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
