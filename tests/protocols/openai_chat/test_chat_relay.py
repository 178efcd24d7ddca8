"""The same protocol on both sides: bytes stay bytes."""

from __future__ import annotations

import json

import pytest

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.response import Usage
from aiclient2api.protocols.base import Peek, Splice, SystemPrompt
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest, WireResponse
from tests.protocols.openai_chat.chat_wire import CONVERTER, delta, frame, wire

CHAT = "/v1/chat/completions"
ASKED = wire({"model": "m", "stream": True, "stream_options": {"include_usage": True}})
NOT_ASKED = wire({"model": "m", "stream": True})
USAGE: dict[str, object] = {"id": "r1", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}


@pytest.mark.parametrize(
    ("body", "path", "expected"),
    [
        (b'{"model":"m"}', CHAT, Peek(model="m")),
        (b'{"model":"m","stream":true}', CHAT, Peek(model="m", stream="sse")),
        (b'{"model":"m","stream":null}', CHAT, Peek(model="m")),
        (b'{"model":"m","input":"x"}', "/v1/embeddings", Peek(model="m", operation="embed")),
    ],
)
def test_a_peek_reads_what_routing_needs(body: bytes, path: str, expected: Peek) -> None:
    assert CONVERTER.peek(wire(body, path)) == expected


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"model":""}', b'{"model":1}', b'{"model":"m","stream":1}']
)
def test_a_peek_refuses_what_cannot_be_routed(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        CONVERTER.peek(wire(body))


def test_a_body_that_needs_no_change_stays_as_it_is() -> None:
    body = b'{ "model" : "m", "temperature": 0.50 }'
    request = WireRequest(
        path=CHAT,
        body=body,
        headers=(
            ("content-type", "application/json"),
            ("authorization", "Bearer x"),
            ("openai-beta", "b"),
            ("cookie", "c"),
        ),
    )
    assert CONVERTER.splice(request, Splice(model="m")) == WireRequest(
        path="/chat/completions",
        body=body,
        headers=(("content-type", "application/json"), ("openai-beta", "b")),
    )


@pytest.mark.parametrize(
    ("body", "splice", "expected"),
    [
        (
            b'{"model": "a", "x": [1.50,  2]}',
            Splice(model="b"),
            b'{"model":"b","x":[1.50,  2]}',
        ),
        (
            b'{"model":"m","stream":true}',
            Splice(model="m"),
            b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}',
        ),
        (
            b'{"model":"m","stream":true,"stream_options":{"include_obfuscation":false,"include_usage":false}}',
            Splice(model="m"),
            b'{"model":"m","stream":true,"stream_options":{"include_obfuscation":false,"include_usage":true}}',
        ),
        (
            b'{"model":"m","stream":true,"stream_options":{"include_usage":true} }',
            Splice(model="m"),
            b'{"model":"m","stream":true,"stream_options":{"include_usage":true} }',
        ),
        (
            b'{"model":"m","messages":[{"role":"system","content":"S"},{ "role":"user"}]}',
            Splice(model="m", system=SystemPrompt(mode="append", text="X")),
            (
                b'{"model":"m","messages":[{"role":"system","content":"S"},'
                b'{"role":"system","content":"X"},{ "role":"user"}]}'
            ),
        ),
        (
            b'{"model":"m","messages":[{"role":"developer","content":"S"},{ "role":"user"}]}',
            Splice(model="m", system=SystemPrompt(mode="replace", text="X")),
            b'{"model":"m","messages":[{"role":"system","content":"X"},{ "role":"user"}]}',
        ),
    ],
    ids=["model", "usage", "usage declined", "usage asked", "append", "replace"],
)
def test_only_the_spliced_members_change(body: bytes, splice: Splice, expected: bytes) -> None:
    assert CONVERTER.splice(wire(body), splice).body == expected


def test_embeddings_have_their_own_path() -> None:
    spliced = CONVERTER.splice(wire(b'{"model":"a","input":[1]}', "/v1/embeddings"), Splice(model="b"))
    assert (spliced.path, spliced.body) == ("/embeddings", b'{"model":"b","input":[1]}')


def test_a_tap_passes_every_byte_on() -> None:
    tap = CONVERTER.stream_tap(ASKED)
    frames = [
        Frame(b": comment\n\n", b""),
        frame(delta({"role": "assistant", "content": ""})),
        frame(delta({"content": "x"})),
        frame(delta({}, "stop")),
        frame(USAGE),
        frame(b"[DONE]"),
    ]
    seen: list[tuple[bool, bool]] = []
    for each in frames:
        assert tap.feed(each) == each.raw
        seen.append((tap.content, tap.ended))
    assert seen == [(False, False), (False, False), (True, False), (True, False), (True, False), (True, True)]
    assert (tap.response_id, tap.failure) == ("r1", None)
    assert tap.usage == Usage(input=1, output=2)


def test_a_tap_removes_the_usage_chunk_that_nobody_asked_for() -> None:
    tap = CONVERTER.stream_tap(NOT_ASKED)
    inside = frame({**delta({}, "stop"), "usage": USAGE["usage"]})
    assert tap.feed(frame(delta({"content": '"usage":{ "error"'}))) != b""
    assert tap.feed(inside) == inside.raw
    assert tap.feed(frame(USAGE)) == b""
    assert tap.usage == Usage(input=1, output=2)
    assert tap.feed(frame(b"[DONE]")) == b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    "members",
    [
        {"content": "x"},
        {"reasoning_content": "x"},
        {"reasoning": "x"},
        {"refusal": "x"},
        {"tool_calls": [{"index": 0}]},
        {"audio": {"id": "a"}},
    ],
    ids=lambda members: next(iter(members)),
)
def test_content_is_whatever_a_client_can_see(members: dict[str, object]) -> None:
    tap = CONVERTER.stream_tap(NOT_ASKED)
    tap.feed(frame(delta(members)))
    assert tap.content


def test_a_stream_without_done_has_ended_when_it_finished() -> None:
    tap = CONVERTER.stream_tap(NOT_ASKED)
    tap.feed(frame(delta({"content": "x"}, "stop")))
    assert (tap.finished, tap.ended) == (True, False)
    assert (tap.close(), tap.ended, tap.failure) == (b"data: [DONE]\n\n", True, None)
    assert tap.close() == b""


def test_a_stream_that_was_cut_has_not_finished() -> None:
    tap = CONVERTER.stream_tap(NOT_ASKED)
    tap.feed(frame(delta({"content": 'x "finish_reason":"stop"'})))
    assert not tap.finished
    with pytest.raises(MalformedMessage):
        tap.feed(frame(b"[DONE]"))
    assert (tap.finished, tap.ended) == (False, False)


def test_the_first_end_counts_and_the_counts_behind_it() -> None:
    tap = CONVERTER.stream_tap(ASKED)
    again = frame({**delta({"content": "more"}, "length"), "usage": USAGE["usage"]})
    tap.feed(frame(delta({"content": "x"})))
    tap.feed(frame(delta({}, "stop")))

    assert tap.feed(frame(delta({"content": "more"}))) == b""
    assert tap.feed(frame(delta({}, "length"))) == b""
    passed = json.loads(tap.feed(again).removeprefix(b"data: "))
    assert (passed["choices"], passed["usage"]) == ([], USAGE["usage"])
    assert tap.usage == Usage(input=1, output=2)
    filtered = frame({"id": "r1", "choices": [{"index": 0, "content_filter_offsets": {"start": 1}}]})
    assert tap.feed(filtered) == filtered.raw


def test_several_candidates_finish_one_by_one() -> None:
    tap = CONVERTER.stream_tap(wire(b'{"model":"m","n":2,"stream":true}'))
    second = {"index": 1, "delta": {"content": "y"}, "finish_reason": "stop"}
    tap.feed(frame(delta({"content": "x"}, "stop")))
    assert not tap.finished
    tap.feed(frame({"id": "r1", "choices": [second]}))
    assert tap.finished


def test_an_error_told_as_a_finish_reason_is_an_error() -> None:
    tap = CONVERTER.stream_tap(NOT_ASKED)
    tap.feed(frame(delta({"content": "x"})))
    assert tap.feed(frame(delta({}, "error"))) == b""
    assert (tap.finished, tap.failure is not None) == (False, True)


@pytest.mark.parametrize("count", ['"many"', "-5", "1" + "0" * 400], ids=["no number", "negative", "huge"])
def test_odd_counts_break_no_stream(count: str) -> None:
    tap = CONVERTER.stream_tap(ASKED)
    data = b'{"id":"r1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":%s}}' % count.encode()
    odd = Frame(b"data: " + data + b"\n\n", data)
    assert tap.feed(odd) == odd.raw
    assert tap.usage is None or (tap.usage.input, tap.usage.output) == (3, None)


def test_an_error_event_is_left_to_the_gateway() -> None:
    tap = CONVERTER.stream_tap(NOT_ASKED)
    error = {"error": {"message": "slow", "code": "rate_limit_exceeded"}}
    assert tap.feed(frame(error)) == b""
    assert tap.feed(frame(delta({"content": "x"}))) == b""
    assert tap.failure is not None and tap.failure.kind == "rate_limit"
    assert not tap.ended


def test_the_tap_speaks_for_the_gateway() -> None:
    tap = CONVERTER.stream_tap(NOT_ASKED)
    assert tap.ping() == b"\n"
    failed = tap.fail(ErrorInfo(kind="timeout", code="upstream_timeout", message="slow"))
    assert json.loads(failed.removeprefix(b"data: "))["error"] == {
        "message": "slow",
        "type": "server_error",
        "code": "upstream_timeout",
        "param": None,
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"usage":{"prompt_tokens":3,"total_tokens":3}}', Usage(input=3)),
        (b'{"usage":null}', None),
        (b"{}", None),
        (b"nonsense", None),
        (b'{"usage":{"prompt_tokens":"many"}}', None),
    ],
)
def test_the_usage_of_a_relayed_answer(body: bytes, expected: Usage | None) -> None:
    assert CONVERTER.usage(WireResponse(status=200, body=body)) == expected


def test_frames_are_server_sent_events() -> None:
    assert CONVERTER.stream_content_type("sse") == "text/event-stream"
    assert len(CONVERTER.frames("text/event-stream; charset=utf-8").feed(b"data: {}\n\n")) == 1
    with pytest.raises(MalformedMessage):
        CONVERTER.frames("text/html")


def test_model_lists() -> None:
    assert CONVERTER.list_models_request() == WireRequest(method="GET", path="/models")
    listed = CONVERTER.encode_models(["a", "b/c"])
    assert CONVERTER.decode_models(listed) == ["a", "b/c"]
    assert json.loads(CONVERTER.encode_model("a").body) == {
        "id": "a",
        "object": "model",
        "created": 0,
        "owned_by": "aiclient2api",
    }


def test_what_the_converter_says_of_itself() -> None:
    assert CONVERTER.name == "openai_chat"
    assert [(each.method, each.operation) for each in CONVERTER.endpoints] == [
        ("POST", "generate"),
        ("POST", "embed"),
    ]
    assert CONVERTER.endpoints[0].path.fullmatch(CHAT)
    assert CONVERTER.slots.on_parts and CONVERTER.slots.native == {"openai_chat.details"}
    assert CONVERTER.tool_names.fullmatch("get_weather-2") and not CONVERTER.tool_names.fullmatch("a.b")


@pytest.mark.parametrize(
    "data",
    [
        b'{"id":5,"choices":[]}',
        b'{"choices":[{"index":null,"delta":{"role":"assistant"}}]}',
        b"[HELLO]",
    ],
    ids=["number as id", "no index", "a sentinel"],
)
def test_an_odd_event_before_the_content_is_passed_on(data: bytes) -> None:
    tap = CONVERTER.stream_tap(NOT_ASKED)
    odd = frame(data)
    assert tap.feed(odd) == odd.raw
    tap.feed(frame(delta({"content": "x"}, "stop")))
    tap.close()
    assert (tap.content, tap.ended, tap.failure) == (True, True, None)


def test_an_event_that_is_not_whole_is_not_passed_on() -> None:
    tap = CONVERTER.stream_tap(NOT_ASKED)
    with pytest.raises(MalformedMessage):
        tap.feed(frame(b'{"id":"r1","choices":[{"del'))


def test_an_event_that_no_client_can_parse_is_not_passed_on() -> None:
    with pytest.raises(MalformedMessage):
        CONVERTER.stream_tap(NOT_ASKED).feed(frame(b"hello"))
