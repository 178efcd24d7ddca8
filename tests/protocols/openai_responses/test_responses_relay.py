"""Relaying: same protocol on both sides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.response import Usage
from aiclient2api.protocols.base import Peek, Splice, SystemPrompt
from aiclient2api.protocols.system_prompt import apply_system_prompt
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest
from tests.protocols.openai_responses.responses_wire import CONVERTER, decode, encode, payloads, wire


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param({}, Peek(model="m"), id="unary"),
        pytest.param({"stream": True}, Peek(model="m", stream="sse"), id="stream"),
        pytest.param({"stream": None}, Peek(model="m"), id="null"),
        pytest.param(
            {"previous_response_id": "resp_1"}, Peek(model="m", previous_id="resp_1"), id="previous"
        ),
        pytest.param({"conversation": "conv_1"}, Peek(model="m", previous_id="conv_1"), id="conversation"),
        pytest.param({"conversation": {"id": "conv_1"}}, Peek(model="m", previous_id="conv_1"), id="object"),
        pytest.param({"input": [{"anything": 1}]}, Peek(model="m"), id="input is not looked at"),
    ],
)
def test_peek_reads_what_routing_needs(members: dict[str, Any], expected: Peek) -> None:
    assert CONVERTER.peek(wire({"model": "m", **members})) == expected


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"model":""}', b'{"model":1}', b'{"model":"m","stream":"x"}', b'{"model":"m"'],
)
def test_peek_refuses_what_cannot_be_routed(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        CONVERTER.peek(WireRequest(path="/v1/responses", body=body))


def test_splice_without_a_change_keeps_the_bytes() -> None:
    body = b'{ "model" : "m", "input":"hi", "x": 1.50 }'
    request = WireRequest(
        path="/v1/responses",
        body=body,
        headers=(("authorization", "Bearer k"), ("content-type", "application/json"), ("openai-beta", "b")),
    )

    spliced = CONVERTER.splice(request, Splice(model="m"))

    assert spliced.body is body
    assert spliced.path == "/responses"
    assert spliced.headers == (("content-type", "application/json"), ("openai-beta", "b"))


def test_splice_of_the_model_keeps_every_other_member_byte_for_byte() -> None:
    body = b'{"model":"alias","input":[ {"a": 1.50} ],"x":1e2}'

    spliced = CONVERTER.splice(WireRequest(path="/v1/responses", body=body), Splice(model="real"))

    assert spliced.body == b'{"model":"real","input":[ {"a": 1.50} ],"x":1e2}'


SYSTEM_CASES: dict[str, dict[str, Any]] = {
    "nothing": {"model": "m", "input": "hi"},
    "instructions": {"model": "m", "instructions": "s", "input": "hi"},
    "system item": {
        "model": "m",
        "input": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}],
    },
    "instructions and item": {
        "model": "m",
        "instructions": "s",
        "input": [
            {"type": "message", "role": "developer", "content": "d"},
            {"role": "user", "content": "hi"},
            {"role": "system", "content": "later"},
        ],
    },
}


@pytest.mark.parametrize("mode", ["append", "replace"])
@pytest.mark.parametrize("body", SYSTEM_CASES.values(), ids=SYSTEM_CASES.keys())
def test_spliced_system_text_stands_where_a_patched_request_has_it(body: dict[str, Any], mode: Any) -> None:
    system = SystemPrompt(mode=mode, text="operator")

    spliced = CONVERTER.splice(wire(body), Splice(model="m", system=system))

    patched = encode(apply_system_prompt(decode(body), system))
    assert json.loads(spliced.body) == patched


def test_appended_system_text_follows_the_instructions() -> None:
    system = SystemPrompt(mode="append", text="o")

    spliced = CONVERTER.splice(wire(SYSTEM_CASES["instructions"]), Splice(model="m", system=system))

    assert json.loads(spliced.body)["instructions"] == "s\n\no"


CREATED: dict[str, Any] = {
    "type": "response.created",
    "sequence_number": 0,
    "response": {"id": "resp_1", "status": "in_progress"},
}


def _frame(event: dict[str, Any], *, named: bool = False) -> Frame:
    data = json.dumps(event).encode()
    return Frame(b"data: " + data + b"\n\n", data, event["type"] if named else None)


@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
def test_tap_follows_a_stream(named: bool) -> None:
    tap = CONVERTER.stream_tap(wire({"model": "m"}))
    message: dict[str, Any] = {
        "type": "response.output_item.added",
        "item": {"type": "message", "content": []},
    }
    terminal = {
        "type": "response.completed",
        "response": {"id": "resp_1", "usage": {"input_tokens": 1, "output_tokens": 2}},
    }

    for event in (CREATED, message):
        frame = _frame(event, named=named)
        assert tap.feed(frame) is frame.raw
    assert (tap.response_id, tap.content, tap.ended) == ("resp_1", False, False)
    tap.feed(_frame({"type": "response.output_text.delta", "delta": "x"}, named=named))
    assert tap.content
    tap.feed(_frame(terminal, named=named))
    assert tap.close() == b""

    assert (tap.ended, tap.usage, tap.failure) == (True, Usage(input=1, output=2), None)


def test_tap_takes_a_call_for_content() -> None:
    tap = CONVERTER.stream_tap(wire({"model": "m"}))

    tap.feed(_frame({"type": "response.output_item.added", "item": {"type": "function_call", "name": "f"}}))

    assert tap.content


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"type": "error", "code": "rate_limit_exceeded", "message": "x"}, id="flat"),
        pytest.param(
            {"type": "error", "error": {"code": "rate_limit_exceeded", "message": "x"}}, id="nested"
        ),
        pytest.param(
            {
                "type": "response.failed",
                "response": {"error": {"code": "rate_limit_exceeded", "message": "x"}},
            },
            id="failed",
        ),
    ],
)
def test_tap_sees_the_failure_of_the_upstream(event: dict[str, Any]) -> None:
    tap = CONVERTER.stream_tap(wire({"model": "m"}))

    tap.feed(_frame(event))
    tap.close()

    assert tap.failure is not None
    assert (tap.failure.kind, tap.failure.code, tap.failure.message) == (
        "rate_limit",
        "rate_limit_exceeded",
        "x",
    )


def test_tap_of_a_stream_without_terminal_has_not_finished() -> None:
    tap = CONVERTER.stream_tap(wire({"model": "m"}))
    tap.feed(_frame(CREATED))

    assert (tap.finished, tap.ended) == (False, False)


def test_tap_ends_a_dying_stream_with_the_next_number_and_the_known_response() -> None:
    tap = CONVERTER.stream_tap(wire({"model": "m"}))
    tap.feed(_frame(CREATED))
    tap.feed(_frame({"type": "response.output_text.delta", "delta": "x", "sequence_number": 7}))

    data = tap.fail(ErrorInfo(kind="timeout", message="late"))

    assert data.startswith(b'event: response.failed\ndata: {"type":"response.failed","sequence_number":8,')
    response = json.loads(data.split(b"data: ")[1])["response"]
    assert response == {
        "id": "resp_1",
        "status": "failed",
        "error": {"code": "server_error", "message": "late"},
    }


def test_tap_before_the_response_fails_with_a_flat_error() -> None:
    (event,) = payloads(CONVERTER.stream_tap(wire({})).fail(ErrorInfo(kind="timeout", message="late")))

    assert event["type"] == "error"


def test_pings_are_empty_lines() -> None:
    assert CONVERTER.stream_tap(wire({})).ping() == b"\n"
    assert CONVERTER.stream_encoder(decode({"model": "m"})).ping() == b"\n"


def test_a_second_beginning_is_dropped() -> None:
    tap = CONVERTER.stream_tap(wire({}))
    tap.feed(_frame(CREATED))

    assert tap.feed(_frame(CREATED)) == b""


def test_streams_are_server_sent_events() -> None:
    assert CONVERTER.stream_content_type("sse") == "text/event-stream"
    assert CONVERTER.frames("text/event-stream; charset=utf-8").feed(b"data: x\n\n")[0].data == b"x"
    with pytest.raises(MalformedMessage):
        CONVERTER.frames("text/html")


def test_tap_does_not_break_an_answer_over_odd_counts() -> None:
    tap = CONVERTER.stream_tap(wire({}))

    tap.feed(_frame({"type": "response.completed", "response": {"usage": {"input_tokens": "many"}}}))

    assert (tap.ended, tap.usage) == (True, None)
