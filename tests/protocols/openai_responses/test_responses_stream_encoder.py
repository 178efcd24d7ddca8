"""Streams to a client: the official grammar, and what the official SDK makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import OpenAI
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from aiclient2api.errors import ErrorInfo
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
from aiclient2api.ir.fold import fold, unfold
from aiclient2api.ir.parts import (
    Citation,
    Opaque,
    Reasoning,
    Refusal,
    Text,
    TokenLogprob,
    ToolCall,
)
from aiclient2api.ir.response import Finish, Usage
from aiclient2api.protocols.carrier import Carrier, SealingStream, open_request
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.wire.sse import SseDecoder
from tests.protocols.openai_responses.responses_wire import (
    CONVERTER,
    answer,
    builtins,
    check,
    decode,
    encode_answer,
    encode_stream,
    payloads,
)

EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
REQUEST = decode(
    {
        "model": "m",
        "input": "hi",
        "tools": [{"type": "custom", "name": "sql"}, {"type": "function", "name": "f"}],
    }
)
START = ResponseStart(id="resp_1", model="gpt", created=5.0)

FULL: list[StreamEvent] = [
    ResponseStart(id="msg_1", model="claude"),
    PartStart(0, Reasoning(id="rs_1")),
    PartDelta(0, "A", "summary", 0),
    PartDelta(0, "B", "summary", 1),
    PartDelta(0, "R", "raw", 0),
    PartDelta(0, "", "opaque", 0, Opaque("envelope", "Z3ctY2Fycnkx")),
    PartEnd(0),
    PartStart(1, Text(text="", id="msg_1", phase="commentary")),
    PartDelta(1, 'Hel"'),
    PartDelta(1, "lo"),
    PartDelta(1, "", "logprobs", 0, [TokenLogprob(token="lo", logprob=-1.0)]),
    PartDelta(1, "", "citation", 0, Citation(kind="url", url="https://a")),
    PartEnd(1),
    PartStart(2, Refusal()),
    PartDelta(2, "no", "refusal"),
    PartEnd(2),
    PartStart(3, ToolCall(id="fc_1", call_id="c1", name="f")),
    PartStart(4, ToolCall(id="ctc_1", call_id="c2", name="sql")),
    PartDelta(3, '{"a":', "arguments"),
    PartDelta(4, '{"input":"SELECT 1"}', "arguments"),
    PartDelta(3, "1.50}", "arguments"),
    PartEnd(4),
    PartEnd(3),
    PartStart(5, Text(text="", new_item=True)),
    PartDelta(5, "end"),
    PartEnd(5),
    UsageReport(Usage(input=10, output=5), final=True),
    CandidateEnd(Finish(reason="tool_use")),
    ResponseEnd(),
]


def test_grammar_of_every_kind_of_item() -> None:
    events = payloads(encode_stream(FULL, REQUEST))

    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    for event in events:
        EVENT.validate_python(event)


def test_terminal_has_the_whole_answer_as_the_unary_form_would() -> None:
    terminal = payloads(encode_stream(FULL, REQUEST))[-1]["response"]

    assert terminal == encode_answer(fold(FULL, "anthropic"), REQUEST)
    assert [item["type"] for item in terminal["output"]] == [
        "reasoning",
        "message",
        "function_call",
        "custom_tool_call",
        "message",
    ]
    assert terminal["output"][3]["input"] == "SELECT 1"
    assert terminal["usage"]["total_tokens"] == 15


def test_items_of_the_terminal_are_the_items_that_were_done() -> None:
    events = payloads(encode_stream(FULL, REQUEST))

    done = {event["output_index"]: event["item"] for event in events if event["type"].endswith("item.done")}
    assert [done[index] for index in sorted(done)] == events[-1]["response"]["output"]


def test_thought_without_text_carries_its_envelope_when_done() -> None:
    events = payloads(
        encode_stream(
            [
                START,
                PartStart(0, Reasoning()),
                PartDelta(0, "", "opaque", 0, Opaque("envelope", "Z3ctY2Fycnkx")),
                PartEnd(0),
                ResponseEnd(),
            ]
        )
    )

    assert [event["type"] for event in events[2:4]] == [
        "response.output_item.added",
        "response.output_item.done",
    ]
    assert events[3]["item"]["encrypted_content"] == "Z3ctY2Fycnkx"
    assert events[3]["item"]["summary"] == []


def test_state_in_the_header_and_in_the_last_word_are_both_kept() -> None:
    state = Opaque("openai.encrypted", "gAAA")
    in_header = [START, PartStart(0, Reasoning(opaque=state)), PartEnd(0), ResponseEnd()]
    in_delta = [
        START,
        PartStart(0, Reasoning()),
        PartDelta(0, "", "opaque", 0, state),
        PartEnd(0, Reasoning()),
        ResponseEnd(),
    ]

    for events in (in_header, in_delta):
        output = payloads(encode_stream(events))[-1]["response"]["output"]
        assert output[0]["encrypted_content"] == "gAAA"


def test_foreign_parts_are_dropped_and_named() -> None:
    encoder = CONVERTER.stream_encoder(REQUEST)
    signature = Opaque("gemini.signature", "SIG")
    events: list[StreamEvent] = [
        START,
        PartStart(0, Text(text="", opaque=signature)),
        PartEnd(0),
        PartStart(1, ToolCall(call_id="c", name="f")),
        PartDelta(1, "", "opaque", 0, signature),
        PartEnd(1),
        PartStart(0, Text(text=""), candidate=1),
        PartDelta(0, "x", candidate=1),
        PartEnd(0, candidate=1),
        ResponseEnd(),
    ]

    output = payloads(b"".join(map(encoder.feed, events)))[-1]["response"]["output"]

    assert [item["type"] for item in output] == ["function_call"]
    assert [loss.feature for loss in encoder.losses] == ["reasoning.opaque", "candidates"]


def test_text_that_comes_with_its_header_is_written() -> None:
    events = [START, PartStart(0, Text(text="Hi")), PartEnd(0), ResponseEnd()]

    assert [event.get("delta") for event in payloads(encode_stream(events))][4] == "Hi"


def test_truncated_answer_ends_incomplete() -> None:
    last = payloads(encode_stream([START, CandidateEnd(Finish(reason="length")), ResponseEnd()]))[-1]

    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["response"]["usage"] is None


def test_blocked_prompt_ends_incomplete() -> None:
    last = payloads(encode_stream([START, ResponseEnd(blocked=Finish(reason="content_filter"))]))[-1]

    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "content_filter"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(
            ErrorInfo(kind="upstream", message="x", code="upstream_error"), "server_error", id="ours"
        ),
        pytest.param(ErrorInfo(kind="rate_limit", message="x"), "rate_limit_exceeded", id="rate limit"),
        pytest.param(
            ErrorInfo(kind="content_policy", message="x", code="bio_policy", protocol="openai_responses"),
            "bio_policy",
            id="of this family",
        ),
    ],
)
def test_dying_stream_says_so_and_nothing_after(error: ErrorInfo, code: str) -> None:
    encoder = CONVERTER.stream_encoder(REQUEST)
    head = b"".join(map(encoder.feed, FULL[:9]))

    last = payloads(head + encoder.fail(error))[-1]

    EVENT.validate_python(last)
    assert last["type"] == "response.failed"
    assert (last["response"]["status"], last["response"]["error"]["code"]) == ("failed", code)
    assert [item["type"] for item in last["response"]["output"]] == ["reasoning"]
    assert encoder.feed(ResponseEnd()) == b""
    assert encoder.fail(error) == b""


def test_failure_before_the_response_is_a_flat_error() -> None:
    (event,) = payloads(CONVERTER.stream_encoder(REQUEST).fail(ErrorInfo(kind="timeout", message="late")))

    EVENT.validate_python(event)
    assert event == {
        "type": "error",
        "sequence_number": 0,
        "code": "timeout",
        "message": "late",
        "param": None,
    }


def test_failure_event_is_written_like_fail() -> None:
    encoder = CONVERTER.stream_encoder(REQUEST)
    encoder.feed(START)

    data = encoder.feed(Failure(ErrorInfo(kind="upstream", message="x")))

    assert data.startswith(b"event: response.failed\n")


def test_whole_answer_equals_its_stream() -> None:
    response = answer(
        Text(text="a"),
        ToolCall(call_id="c", name="f", arguments="{}"),
        Text(text="b"),
        usage=Usage(input=1, output=1),
    )

    terminal = payloads(encode_stream(unfold(response), REQUEST))[-1]["response"]

    assert terminal == encode_answer(response, REQUEST)


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
