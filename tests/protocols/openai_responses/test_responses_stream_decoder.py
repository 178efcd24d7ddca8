"""Streams of an upstream, decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from aiclient2api.errors import MalformedMessage
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
from aiclient2api.ir.fold import fold
from aiclient2api.ir.parts import (
    HostedCall,
    Opaque,
    Reasoning,
    Text,
    ToolCall,
)
from aiclient2api.ir.response import Finish, Usage
from aiclient2api.wire.frames import Frame
from tests.protocols.openai_responses.responses_wire import (
    CONVERTER,
    check,
    decode_stream,
)

RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 5,
    "model": "gpt",
    "status": "in_progress",
    "output": [],
}
CREATED: dict[str, Any] = {"type": "response.created", "response": RESPONSE}
START = ResponseStart(id="resp_1", model="gpt", created=5.0)


def _completed(**members: Any) -> dict[str, Any]:
    return {"type": "response.completed", "response": {**RESPONSE, "status": "completed", **members}}


def _added(output_index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": output_index, "item": item}


def _done(output_index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": output_index, "item": item}


def _delta(kind: str, output_index: int, delta: str, **members: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", "output_index": output_index, "delta": delta, **members}


def _message(*parts: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": list(parts), **members}


def test_text_stream_is_decoded_to_the_events_of_one_part() -> None:
    text: dict[str, Any] = {"type": "output_text", "text": "Hello", "annotations": []}
    events = decode_stream(
        [
            CREATED,
            {"type": "response.in_progress", "response": RESPONSE},
            _added(0, _message(status="in_progress")),
            {"type": "response.content_part.added", "output_index": 0, "part": {**text, "text": ""}},
            _delta("output_text", 0, "Hel"),
            _delta("output_text", 0, "lo"),
            {"type": "response.output_text.done", "output_index": 0, "text": "Hello"},
            {"type": "response.content_part.done", "output_index": 0, "part": text},
            _done(0, _message(text, status="completed")),
            _completed(usage={"input_tokens": 1, "output_tokens": 2}),
        ]
    )

    header = Text(text="", id="msg_1", new_item=True)
    assert events == [
        START,
        PartStart(0, header),
        PartDelta(0, "Hel"),
        PartDelta(0, "lo"),
        PartEnd(0, Text(text="Hello", id="msg_1", status="completed", new_item=True)),
        UsageReport(Usage(input=1, output=2), final=True),
        CandidateEnd(Finish(reason="stop", raw="completed")),
        ResponseEnd(),
    ]


def test_sealed_reasoning_is_taken_from_the_last_word_of_the_item() -> None:
    added: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "partial"}
    done = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "A"}, {"type": "summary_text", "text": "B"}],
        "encrypted_content": "gAAA",
    }
    events = decode_stream(
        [
            CREATED,
            _added(0, added),
            _delta("reasoning_summary_text", 0, "A", summary_index=0),
            _delta("reasoning_summary_text", 0, "B", summary_index=1),
            _done(0, done),
            _completed(),
        ]
    )

    state = Opaque("openai.encrypted", "gAAA")
    assert events[1:6] == [
        PartStart(0, Reasoning(id="rs_1", new_item=True)),
        PartDelta(0, "A", "summary", 0),
        PartDelta(0, "B", "summary", 1),
        PartDelta(0, "", "opaque", 0, state),
        PartEnd(0, Reasoning(id="rs_1", summary=["A", "B"], opaque=state, new_item=True)),
    ]


def test_interleaved_calls_are_told_apart_by_their_index() -> None:
    one = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f"}
    two = {"type": "custom_tool_call", "id": "ctc_2", "call_id": "c2", "name": "sql"}
    events = decode_stream(
        [
            CREATED,
            _added(0, {**one, "arguments": ""}),
            _added(1, {**two, "input": ""}),
            _delta("function_call_arguments", 0, '{"a":', item_id="rotated"),
            _delta("custom_tool_call_input", 1, "SELECT 1"),
            _delta("function_call_arguments", 0, "1.50}"),
            _done(1, {**two, "input": "SELECT 1"}),
            _done(0, {**one, "arguments": '{"a":1.50}'}),
            _completed(),
        ]
    )

    check(events)
    parts = fold(events, "openai_responses").candidates[0].turn.parts
    assert parts == [
        ToolCall(id="fc_1", call_id="c1", name="f", arguments='{"a":1.50}', new_item=True),
        ToolCall(id="ctc_2", call_id="c2", name="sql", arguments="SELECT 1", kind="custom", new_item=True),
    ]
    assert CandidateEnd(Finish(reason="tool_use", raw="completed")) in events


def _deltas(events: Sequence[StreamEvent]) -> list[tuple[int, str, str]]:
    return [(event.number, event.channel, event.text) for event in events if isinstance(event, PartDelta)]


LENIENT: dict[str, tuple[list[dict[str, Any]], list[tuple[int, str, str]]]] = {
    "no created": (
        [_added(0, _message()), _delta("output_text", 0, "x"), _completed()],
        [(0, "text", "x")],
    ),
    "nothing but deltas": ([CREATED, _delta("output_text", 0, "x"), _completed()], [(0, "text", "x")]),
    "call without deltas": (
        [
            CREATED,
            _done(0, {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}),
            _completed(),
        ],
        [(0, "arguments", "{}")],
    ),
    "call that is incomplete at first": (
        [
            CREATED,
            _added(0, {"type": "function_call", "id": "fc_1"}),
            _delta("function_call_arguments", 0, "{}"),
            _done(0, {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}),
            _completed(),
        ],
        [(0, "arguments", "{}")],
    ),
    "only the terminal": (
        [CREATED, _completed(output=[_message({"type": "output_text", "text": "x", "annotations": []})])],
        [(0, "text", "x")],
    ),
    "items that are never done": (
        [
            CREATED,
            _added(0, _message()),
            _delta("output_text", 0, "x"),
            _completed(output=[_message({"type": "output_text", "text": "xy", "annotations": []})]),
        ],
        [(0, "text", "x"), (0, "text", "y")],
    ),
    "raw reasoning without an item": (
        [CREATED, _delta("reasoning_text", 0, "R"), _completed()],
        [(0, "raw", "R")],
    ),
    "refusal": (
        [
            CREATED,
            _added(0, _message()),
            _delta("refusal", 0, "no"),
            _done(0, _message({"type": "refusal", "refusal": "no"})),
            _completed(),
        ],
        [(0, "refusal", "no")],
    ),
    "several content parts": (
        [
            CREATED,
            _added(0, _message()),
            _delta("output_text", 0, "a", content_index=0),
            _delta("output_text", 0, "b", content_index=1),
            _completed(),
        ],
        [(0, "text", "a"), (1, "text", "b")],
    ),
}


@pytest.mark.parametrize(("events", "expected"), LENIENT.values(), ids=LENIENT.keys())
def test_streams_of_compatible_servers_are_understood(
    events: list[dict[str, Any]], expected: list[tuple[int, str, str]]
) -> None:
    decoded = decode_stream(events)

    check(decoded)
    assert _deltas(decoded) == expected
    assert isinstance(decoded[-1], ResponseEnd)


def test_annotations_and_logprobs_are_deltas() -> None:
    annotation = {"type": "url_citation", "start_index": 0, "end_index": 1, "title": "A", "url": "https://a"}
    logprob = {"token": "x", "bytes": [120], "logprob": -1.0, "top_logprobs": []}
    text: dict[str, Any] = {
        "type": "output_text",
        "text": "x",
        "annotations": [annotation],
        "logprobs": [logprob],
    }
    streamed = decode_stream(
        [
            CREATED,
            _added(0, _message()),
            _delta("output_text", 0, "x", logprobs=[logprob]),
            {"type": "response.output_text.annotation.added", "output_index": 0, "annotation": annotation},
            _done(0, _message(text)),
            _completed(),
        ]
    )
    late = decode_stream([CREATED, _done(0, _message(text)), _completed()])

    expected = [(0, "text", "x"), (0, "logprobs", ""), (0, "citation", "")]
    assert _deltas(streamed) == expected
    assert sorted(_deltas(late)) == sorted(expected)


def test_hosted_items_arrive_whole_and_their_progress_as_native_events() -> None:
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    events = decode_stream(
        [
            CREATED,
            _added(0, {**item, "status": "in_progress"}),
            {"type": "response.web_search_call.searching", "output_index": 0, "delta": {"odd": 1}},
            _done(0, item),
            _completed(),
        ]
    )

    check(events)
    assert [type(event) for event in events] == [
        ResponseStart,
        NativeEvent,
        PartStart,
        PartEnd,
        CandidateEnd,
        ResponseEnd,
    ]
    assert isinstance(cast(PartStart, events[2]).part, HostedCall)


FAILURES: dict[str, tuple[list[dict[str, Any]], str, str | None]] = {
    "failed": (
        [
            CREATED,
            {
                "type": "response.failed",
                "response": {**RESPONSE, "error": {"code": "server_error", "message": "x"}},
            },
        ],
        "upstream",
        "server_error",
    ),
    "failed without error": ([CREATED, {"type": "response.failed", "response": RESPONSE}], "upstream", None),
    "rate limited": (
        [CREATED, {"type": "error", "code": "rate_limit_exceeded", "message": "x", "param": None}],
        "rate_limit",
        "rate_limit_exceeded",
    ),
    "nested": (
        [
            CREATED,
            {"type": "error", "error": {"type": "x", "code": "context_length_exceeded", "message": "x"}},
        ],
        "context_length",
        "context_length_exceeded",
    ),
    "chat style": ([{"error": {"message": "x", "code": "bio_policy"}}], "content_policy", "bio_policy"),
    "broken image": (
        [CREATED, {"type": "error", "code": "invalid_base64_image", "message": "x"}],
        "invalid",
        "invalid_base64_image",
    ),
    "cut": (
        [CREATED, _added(0, _message()), _delta("output_text", 0, "x")],
        "upstream",
        "upstream_truncated",
    ),
    "empty": ([], "upstream", "upstream_truncated"),
}


@pytest.mark.parametrize(("events", "kind", "code"), FAILURES.values(), ids=FAILURES.keys())
def test_failed_stream_ends_in_a_failure(events: list[dict[str, Any]], kind: str, code: str | None) -> None:
    decoded = decode_stream(events)

    check(decoded)
    last = decoded[-1]
    assert isinstance(last, Failure)
    assert (last.error.kind, last.error.code) == (kind, code)


def test_incomplete_stream_is_a_complete_answer_of_a_shorter_text() -> None:
    details = {"reason": "max_output_tokens"}
    event: dict[str, Any] = {
        "type": "response.incomplete",
        "response": {**RESPONSE, "incomplete_details": details},
    }
    event["response"]["status"] = "incomplete"

    assert CandidateEnd(Finish(reason="length", raw="max_output_tokens")) in decode_stream([CREATED, event])


def test_signs_of_life_and_done_markers_are_tolerated() -> None:
    decoder = CONVERTER.stream_decoder()

    assert decoder.feed(Frame(b": ping\n\n", b"")) == [Ping()]
    assert decoder.feed(Frame(b"", b"[DONE]")) == []


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b'{"type":1}', b'{"type":"response.created"}', b'{"type":"response.completed"}']
)
def test_broken_events_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        CONVERTER.stream_decoder().feed(Frame(b"", data))
