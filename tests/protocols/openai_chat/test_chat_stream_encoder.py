"""Streams to clients: the exact grammar, and the same answer as the one that is not streamed."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from aiclient2api.errors import ErrorInfo
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
    Citation,
    HostedCall,
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
from aiclient2api.ir.request import CustomTool
from aiclient2api.ir.response import Finish, ModelResponse, Usage
from tests.protocols.openai_chat.chat_wire import (
    CONVERTER,
    ENVELOPE,
    accumulate,
    answer,
    chunks_of,
    decode,
    deltas,
    encode_stream,
    foreign,
    message,
    streamed,
    without_nulls,
)

SIGNED = Opaque("envelope", ENVELOPE)
TOOL_USE = Finish(reason="tool_use", raw="tool_use")
ASKED = foreign(include_usage=True, stream="sse")
NOT_ASKED = foreign(include_usage=False, stream="sse")


def test_claude_thinking_and_a_call() -> None:
    events = [
        ResponseStart(id="msg_1", model="m", created=7),
        PartStart(0, Reasoning()),
        PartDelta(0, "Need weather.", "summary"),
        PartDelta(0, "", "opaque", 0, SIGNED),
        PartEnd(0),
        PartStart(1, Text(text="")),
        PartDelta(1, "Checking."),
        PartEnd(1),
        PartStart(2, ToolCall(call_id="toolu_1", name="w")),
        PartDelta(2, '{"city":"Oslo","t":1.50}', "arguments"),
        PartEnd(2),
        UsageReport(Usage(input=1, output=2), final=True),
        CandidateEnd(TOOL_USE),
        ResponseEnd(),
    ]
    chunks = chunks_of(encode_stream(events, ASKED))
    assert deltas(chunks) == [
        {"role": "assistant", "content": ""},
        {
            "reasoning_content": "Need weather.",
            "reasoning_details": [
                {
                    "index": 0,
                    "type": "reasoning.text",
                    "format": "gateway-v1",
                    "text": "Need weather.",
                }
            ],
        },
        {"reasoning_details": [{"index": 0, "signature": ENVELOPE}]},
        {"content": "Checking."},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "toolu_1",
                    "type": "function",
                    "function": {"name": "w", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":"Oslo","t":1.50}'}}]},
        {},
    ]
    assert {(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks} == {
        ("chatcmpl-msg_1", 7, "m")
    }
    assert [each["choices"][0]["finish_reason"] for each in chunks[:-1]] == [None] * 6 + ["tool_calls"]
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * 7
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 3


def test_the_bytes_of_a_short_answer() -> None:
    assert encode_stream(unfold(answer(Text(text='a"b\n'))), NOT_ASKED) == (
        b'data: {"id":"chatcmpl-msg_1","object":"chat.completion.chunk","created":0,"model":"m","choices":'
        b'[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n'
        b'data: {"id":"chatcmpl-msg_1","object":"chat.completion.chunk","created":0,"model":"m","choices":'
        b'[{"index":0,"delta":{"content":"a\\"b\\n"},"logprobs":null,"finish_reason":null}]}\n\n'
        b'data: {"id":"chatcmpl-msg_1","object":"chat.completion.chunk","created":0,"model":"m","choices":'
        b'[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n'
        b"data: [DONE]\n\n"
    )


def test_usage_goes_only_to_those_who_asked() -> None:
    response = answer(Text(text="x"), usage=Usage(input=1, output=1))
    assert all("usage" not in chunk for chunk in streamed(response, NOT_ASKED))
    assert streamed(response, ASKED)[-1]["usage"]["prompt_tokens"] == 1
    assert streamed(answer(Text(text="x")), ASKED)[-1]["choices"] != []


ANSWERS: dict[str, ModelResponse] = {
    "text": answer(Text(text="hi")),
    "nothing": answer(),
    "signed thoughts": answer(
        Reasoning(summary=["a", "b"], opaque=SIGNED), Reasoning(raw=["c"], opaque=SIGNED), Text(text="x")
    ),
    "a signature alone": answer(Reasoning(opaque=SIGNED), Text(text="x")),
    "signed text": answer(Text(text="x", opaque=SIGNED)),
    "an empty signed text": answer(Text(text="x"), Text(text="", opaque=SIGNED)),
    "parallel calls": answer(
        ToolCall(call_id="a", name="f", arguments='{"x":1.50}', opaque=SIGNED),
        ToolCall(call_id="b", name="f"),
        finish=TOOL_USE,
    ),
    "custom call": answer(ToolCall(call_id="a", name="f", arguments="x", kind="custom"), finish=TOOL_USE),
    "another order": answer(
        Reasoning(raw=["A"], opaque=SIGNED),
        ToolCall(call_id="a", name="f", arguments="{}"),
        Reasoning(raw=["B"], opaque=SIGNED),
        ToolCall(call_id="b", name="f", arguments="{}"),
        Text(text="x"),
        finish=TOOL_USE,
    ),
    "two texts": answer(Text(text="a"), ToolCall(call_id="a", name="f", arguments="{}"), Text(text="b")),
    "refusal": answer(Refusal(text="no"), finish=Finish(reason="refusal")),
    "refusal without words": answer(Text(text="I can"), finish=Finish(reason="refusal", category="cyber")),
    "citations": answer(
        Text(text="ab"),
        Text(
            text="cd",
            citations=[
                Citation(kind="url", url="https://x", title="T"),
                Citation(kind="url", url="https://y", span=(0, 1)),
                Citation(kind="document"),
            ],
        ),
    ),
    "logprobs": answer(Text(text="a", logprobs=[TokenLogprob(token="a", logprob=-1, bytes=[97])])),
    "image": answer(Media(kind="image", source=Inline("image/png", "iVBO"))),
    "speech": answer(
        Media(kind="audio", id="audio_1", source=Inline("audio/wav", "UklG"), transcript="hi", expires_at=9)
    ),
    "hosted": answer(HostedCall(protocol="anthropic", wire_type="x", raw=Raw(b"{}")), Text(text="x")),
}


# the helper knows no custom calls in streams, and raises for an answer that was filtered
_UNREADABLE = ("custom call", "refusal", "refusal without words")


def _unindexed(message: dict[str, Any]) -> dict[str, Any]:
    for list_ in ("tool_calls", "annotations"):
        for each in message.get(list_, ()):
            each.pop("index", None)
    return without_nulls(message | {"content": message["content"] or None})


@pytest.mark.parametrize("response", ANSWERS.values(), ids=ANSWERS.keys())
def test_a_stream_accumulates_to_the_whole_answer(response: ModelResponse) -> None:
    chunks = streamed(response)
    assert _unindexed(accumulate(chunks)) == _unindexed(message(response))
    for chunk in chunks:
        if response is not ANSWERS["custom call"]:  # the SDK's types know only function calls in streams
            ChatCompletionChunk.model_validate(chunk)


@pytest.mark.parametrize("response", ANSWERS.values(), ids=ANSWERS.keys())
def test_a_stream_loses_what_the_whole_answer_loses(response: ModelResponse) -> None:
    encoder = CONVERTER.stream_encoder(foreign())
    for event in unfold(response):
        encoder.feed(event)
    whole = CONVERTER.encode_response(response, foreign()).losses
    assert sorted((loss.feature, loss.act) for loss in encoder.losses) == sorted(
        (loss.feature, loss.act) for loss in whole
    )


@pytest.mark.parametrize("name", [name for name in ANSWERS if name not in _UNREADABLE])
def test_the_official_stream_helper_reads_it(name: str) -> None:
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState(
        input_tools=openai.omit, response_format=openai.omit
    )
    chunks = streamed(ANSWERS[name])
    for chunk in chunks:
        list(state.handle_chunk(ChatCompletionChunk.model_validate(chunk)))
    final = state.get_final_completion().choices[0]
    assert (final.message.content or None) == message(ANSWERS[name])["content"]
    assert len(final.message.tool_calls or []) == len(message(ANSWERS[name]).get("tool_calls", []))


def test_a_message_from_the_stream_helper_comes_back_with_all_parts() -> None:
    response = ANSWERS["another order"]
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState(
        input_tools=openai.omit, response_format=openai.omit
    )
    for chunk in streamed(response):
        list(state.handle_chunk(ChatCompletionChunk.model_validate(chunk)))
    echoed = state.get_final_completion().choices[0].message.model_dump()
    assert decode({"model": "m", "messages": [echoed]}).turns[0].parts == response.candidates[0].turn.parts


def test_a_signature_that_comes_after_its_call_has_begun() -> None:
    events = [
        ResponseStart(id="r", model="m"),
        PartStart(0, ToolCall(call_id="a", name="f")),
        PartDelta(0, "{}", "arguments"),
        PartDelta(0, "", "opaque", 0, SIGNED),
        PartEnd(0),
        CandidateEnd(TOOL_USE),
        ResponseEnd(),
    ]
    assert deltas(chunks_of(encode_stream(events)))[3] == {
        "tool_calls": [
            {
                "index": 0,
                "function": {"arguments": ""},
                "extra_content": {"google": {"thought_signature": ENVELOPE}},
            }
        ]
    }


def test_calls_that_interleave_keep_their_indexes() -> None:
    events: list[StreamEvent] = [
        ResponseStart(id="r", model="m"),
        PartStart(0, ToolCall(call_id="a", name="f")),
        PartStart(1, ToolCall(call_id="b", name="g")),
        PartDelta(1, "[", "arguments"),
        PartDelta(0, "{", "arguments"),
        PartDelta(1, "]", "arguments"),
        PartDelta(0, "}", "arguments"),
        PartEnd(0),
        PartEnd(1),
        CandidateEnd(TOOL_USE),
        ResponseEnd(),
    ]
    calls = accumulate(chunks_of(encode_stream(events)))["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [("a", "{}"), ("b", "[]")]


def test_an_emulated_custom_tool_gets_its_text_back() -> None:
    request = foreign(tools=[CustomTool(name="sql")])
    response = answer(
        ToolCall(call_id="a", name="sql", arguments='{"input": "SELECT 1"}'),
        ToolCall(call_id="b", name="sql", arguments='{"other": 1}'),
        ToolCall(call_id="c", name="f", arguments="{}"),
        finish=TOOL_USE,
    )
    assert _unindexed(accumulate(streamed(response, request))) == _unindexed(message(response, request))


def test_a_legacy_client_gets_a_function_call() -> None:
    request = decode({"model": "m", "messages": [], "functions": [{"name": "f"}]})
    call = ToolCall(call_id="a", name="f", arguments='{"a":1}')
    chunks = streamed(answer(call, call, finish=TOOL_USE), request)
    assert accumulate(chunks)["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert chunks[-1]["choices"][0]["finish_reason"] == "function_call"


def test_a_refusal_in_mid_stream_ends_the_answer_with_words() -> None:
    chunks = streamed(answer(Text(text="I can"), finish=Finish(reason="refusal", category="cyber")))
    last = chunks[-1]["choices"][0]
    assert last["delta"] == {"refusal": "Request declined (cyber)."}
    assert last["finish_reason"] == "content_filter"


def test_a_blocked_prompt_is_a_filtered_choice() -> None:
    blocked = Finish(reason="content_filter", raw="SAFETY")
    events = [ResponseStart(id="r", model="m"), ResponseEnd(blocked=blocked)]
    chunks = chunks_of(encode_stream(events))
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, "content_filter"]


def test_candidates_begin_with_their_own_role() -> None:
    events: list[StreamEvent] = [
        ResponseStart(id="r", model="m"),
        PartStart(0, Text(text="")),
        PartStart(0, Text(text=""), 1),
        PartDelta(0, "b", candidate=1),
        PartDelta(0, "a"),
        PartEnd(0, None, 1),
        PartEnd(0),
        CandidateEnd(Finish(reason="length"), 1),
        CandidateEnd(Finish(reason="stop")),
        ResponseEnd(),
    ]
    choices = [chunk["choices"][0] for chunk in chunks_of(encode_stream(events))]
    assert [(each["index"], each["delta"], each["finish_reason"]) for each in choices] == [
        (0, {"role": "assistant", "content": ""}, None),
        (1, {"role": "assistant", "content": ""}, None),
        (1, {"content": "b"}, None),
        (0, {"content": "a"}, None),
        (1, {}, "length"),
        (0, {}, "stop"),
    ]


def test_a_failure_is_an_error_without_an_end() -> None:
    encoder = CONVERTER.stream_encoder(foreign())
    encoder.feed(ResponseStart(id="r", model="m"))
    assert encoder.fail(ErrorInfo(kind="upstream", code="upstream_truncated", message="cut")) == (
        b'data: {"error":{"message":"cut","type":"server_error","code":"upstream_truncated","param":null}}\n\n'
    )
    assert encoder.feed(ResponseEnd()) == b""


@pytest.mark.parametrize("reason", ["malformed", "error", "cancelled"])
def test_an_end_that_is_an_error_is_an_error(reason: Any) -> None:
    stream = encode_stream(unfold(answer(Text(text="x"), finish=Finish(reason=reason))))
    assert b'data: {"error":' in stream
    assert b"[DONE]" not in stream and b'"finish_reason":"' not in stream


def test_the_keep_alive_is_an_empty_line() -> None:
    encoder = CONVERTER.stream_encoder(foreign())
    assert encoder.ping() == encoder.feed(Ping()) == b"\n"


def test_nothing_is_written_before_the_answer_begins() -> None:
    assert CONVERTER.stream_encoder(foreign()).feed(UsageReport(Usage(input=1))) == b""


_TEXTS = st.text(min_size=1, max_size=4)
_OPAQUE: st.SearchStrategy[Opaque | None] = st.none() | st.just(SIGNED)


@st.composite
def _parts(draw: st.DrawFn) -> Part:
    text, opaque = draw(_TEXTS), draw(_OPAQUE)
    several = draw(st.lists(_TEXTS, max_size=2))
    kinds: list[Part] = [
        Text(text=text, opaque=opaque),
        Reasoning(raw=several, opaque=opaque),
        Refusal(text=text),
        ToolCall(call_id="c", name="f", arguments=text, opaque=opaque),
    ]
    return draw(st.sampled_from(kinds))


@settings(max_examples=100, deadline=None)
@given(st.lists(_parts(), max_size=5))
def test_any_answer_streams_to_the_same_text_and_calls(parts: list[Part]) -> None:
    response = answer(*parts)
    events = unfold(response)
    got, expected = _unindexed(accumulate(chunks_of(encode_stream(events)))), _unindexed(message(response))
    for each in (got, expected):
        each.pop("reasoning_details", None)
        each.get("extra_content", {}).pop(
            "gateway", None
        )  # unsigned thoughts have no place in the whole answer
        if not each.get("extra_content", True):
            del each["extra_content"]
    assert got == expected
    assert fold(events, "anthropic").candidates[0].turn.parts == parts
