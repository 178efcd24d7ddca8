"""Streams to a client: the official grammar."""

from __future__ import annotations

from aiclient2api.ir.events import PartDelta, PartEnd, PartStart, ResponseEnd, StreamEvent
from aiclient2api.ir.fold import fold, unfold
from aiclient2api.ir.parts import Opaque, Reasoning, Text, ToolCall
from aiclient2api.ir.response import Usage
from tests.protocols.openai_responses.responses_stream import EVENT, FULL, REQUEST, START
from tests.protocols.openai_responses.responses_wire import (
    CONVERTER,
    answer,
    encode_answer,
    encode_stream,
    payloads,
)


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


def test_whole_answer_equals_its_stream() -> None:
    response = answer(
        Text(text="a"),
        ToolCall(call_id="c", name="f", arguments="{}"),
        Text(text="b"),
        usage=Usage(input=1, output=1),
    )

    terminal = payloads(encode_stream(unfold(response), REQUEST))[-1]["response"]

    assert terminal == encode_answer(response, REQUEST)
