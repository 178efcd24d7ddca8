from __future__ import annotations

import json

import pytest

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.response import Usage
from aiclient2api.protocols.anthropic import AnthropicConverter
from aiclient2api.protocols.anthropic.relay import MessageStreamTap
from aiclient2api.protocols.base import Peek, Splice, SystemPrompt
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest
from aiclient2api.wire.sse import SseDecoder

CONVERTER = AnthropicConverter()
BODY = b'{ "model": "alias",  "temperature": 1.50, "system": [{"type":"text", "text":"S"}], "messages": [ ] }'
REQUEST = WireRequest(
    path="/v1/messages",
    query="beta=true",
    body=BODY,
    headers=(
        ("host", "gateway"),
        ("authorization", "Bearer secret"),
        ("x-api-key", "secret"),
        ("content-type", "application/json"),
        ("anthropic-version", "2026-10-21"),
        ("anthropic-beta", "a,b"),
    ),
)
APPEND = SystemPrompt(mode="append", text="own")
REPLACE = SystemPrompt(mode="replace", text="own")


def request(body: bytes, path: str = "/v1/messages") -> WireRequest:
    return WireRequest(path=path, body=body)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        (request(b'{"model":"m","stream":true}'), Peek(model="m", stream="sse")),
        (request(b'{"model":"m","stream":false,"messages":7}'), Peek(model="m")),
        (request(b'{"model":"m"}', "/v1/messages/count_tokens"), Peek(model="m", operation="count_tokens")),
    ],
    ids=["stream", "unary", "count"],
)
def test_routing_reads_little(wire: WireRequest, expected: Peek) -> None:
    assert CONVERTER.peek(wire) == expected


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"model":""}', b'{"model":1}', b'{"model":"m","stream":1}']
)
def test_routing_refuses_what_it_cannot_read(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        CONVERTER.peek(request(body))


def test_an_unchanged_request_keeps_its_bytes_and_loses_its_credentials() -> None:
    spliced = CONVERTER.splice(REQUEST, Splice(model="alias"))

    assert spliced == WireRequest(
        path="/v1/messages",
        body=BODY,
        headers=(
            ("content-type", "application/json"),
            ("anthropic-version", "2026-10-21"),
            ("anthropic-beta", "a,b"),
        ),
    )


def test_another_model_leaves_every_other_member_alone() -> None:
    spliced = CONVERTER.splice(REQUEST, Splice(model="real"))

    assert spliced.body == (
        b'{"model":"real","temperature":1.50,"system":[{"type":"text", "text":"S"}],"messages":[ ]}'
    )


SYSTEMS: dict[str, tuple[bytes, SystemPrompt, bytes]] = {
    "append to nothing": (b'{"model":"m"}', APPEND, b'[{"type":"text","text":"own"}]'),
    "append to null": (b'{"model":"m","system":null}', APPEND, b'[{"type":"text","text":"own"}]'),
    "append to a string": (
        b'{"model":"m","system":"S"}',
        APPEND,
        b'[{"type":"text","text":"S"},{"type":"text","text":"own"}]',
    ),
    "append to blocks": (
        b'{"model":"m","system":[{"type": "text", "text":"S", "x":1.0}]}',
        APPEND,
        b'[{"type": "text", "text":"S", "x":1.0},{"type":"text","text":"own"}]',
    ),
    "replace": (b'{"model":"m","system":[1]}', REPLACE, b'"own"'),
}


@pytest.mark.parametrize(("body", "system", "expected"), SYSTEMS.values(), ids=SYSTEMS.keys())
def test_the_operators_system_text(body: bytes, system: SystemPrompt, expected: bytes) -> None:
    spliced = CONVERTER.splice(request(body), Splice(model="m", system=system))

    assert b'"system":' + expected in spliced.body
    assert json.loads(spliced.body)["model"] == "m"


def test_an_empty_system_text_changes_nothing() -> None:
    body = b'{ "model": "m" }'

    spliced = CONVERTER.splice(request(body), Splice(model="m", system=SystemPrompt(mode="append", text="")))

    assert spliced.body == body
    assert spliced.header("anthropic-version") == "2023-06-01"


STREAM = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","usage":{"input_tokens":3}}}\n\n'
    b'event: ping\ndata: {"type": "ping"}\n\n'
    b'event: content_block_start\r\ndata: {"type":"content_block_start","index":0,"content_block":{}}\r\n\r\n'
    b'data: {"type":"content_block_delta","index":0}\n\n'
    b": comment\n\n"
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
    b'"usage":{"output_tokens":2}}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)


def test_a_relayed_stream_passes_untouched_and_is_understood() -> None:
    tap = CONVERTER.stream_tap(REQUEST)
    seen: list[tuple[bool, bool]] = []
    out = b""

    for frame in SseDecoder().feed(STREAM):
        out += tap.feed(frame)
        seen.append((tap.content, tap.ended))

    assert out == STREAM
    assert seen == [(False, False)] * 2 + [(True, False)] * 4 + [(True, True)]
    assert (tap.response_id, tap.usage, tap.failure) == ("msg_1", Usage(input=3, output=2), None)
    assert tap.close() == b""


def test_a_relayed_stream_without_its_terminal_gets_one() -> None:
    tap = CONVERTER.stream_tap(REQUEST)
    for frame in SseDecoder().feed(STREAM)[:-1]:
        tap.feed(frame)

    assert tap.close() == b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    assert tap.ended


def test_a_relayed_stream_that_is_cut_has_not_finished() -> None:
    tap = CONVERTER.stream_tap(REQUEST)
    for frame in SseDecoder().feed(STREAM)[:4]:
        tap.feed(frame)

    assert (tap.finished, tap.ended) == (False, False)


def test_a_second_beginning_and_what_follows_the_end_are_dropped() -> None:
    tap = CONVERTER.stream_tap(REQUEST)
    frames = SseDecoder().feed(STREAM)
    for frame in frames[:-1]:
        tap.feed(frame)

    assert tap.finished
    assert [tap.feed(frames[index]) for index in (0, 2, 3)] == [b"", b"", b""]
    assert tap.feed(frames[-1]) == frames[-1].raw


def test_a_reason_in_the_beginning_is_no_end() -> None:
    tap = CONVERTER.stream_tap(REQUEST)
    early = b'event: message_start\ndata: {"type":"message_start","message":{"stop_reason":"end_turn"}}\n\n'
    tap.feed(SseDecoder().feed(early)[0])

    assert not tap.finished


def test_a_relayed_error_is_left_to_the_gateway() -> None:
    error = (
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n'
    )
    tap = CONVERTER.stream_tap(REQUEST)

    out = tap.feed(SseDecoder().feed(error)[0])

    assert out == b""
    error_info = ErrorInfo(
        kind="overloaded", message="Overloaded", type="overloaded_error", protocol="anthropic"
    )
    assert tap.failure == error_info
    assert b'"type":"overloaded_error"' in tap.fail(error_info)


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/messages", "generate"),
        ("/v1/messages/count_tokens", "count_tokens"),
        ("/v1/messages/batches", None),
    ],
)
def test_endpoints(path: str, operation: str | None) -> None:
    found = [endpoint.operation for endpoint in CONVERTER.endpoints if endpoint.path.fullmatch(path)]

    assert found == ([operation] if operation else [])


def test_only_event_streams_are_understood() -> None:
    assert isinstance(CONVERTER.frames("text/event-stream; charset=utf-8"), SseDecoder)
    with pytest.raises(MalformedMessage):
        CONVERTER.frames("application/json")
    assert CONVERTER.stream_content_type("sse").startswith("text/event-stream")


def test_the_model_list_is_asked_for_with_a_version() -> None:
    asked = CONVERTER.list_models_request()

    assert (asked.method, asked.path, asked.header("anthropic-version")) == (
        "GET",
        "/v1/models",
        "2023-06-01",
    )
    assert json.loads(CONVERTER.encode_model("m").body)["id"] == "m"


def _block(kind: bytes, index: int, members: bytes) -> Frame:
    data = b'{"type":"content_block_%b","index":%d,%b}' % (kind, index, members)
    return Frame(
        b"event: content_block_%b\ndata: %b\n\n" % (kind, data), data, f"content_block_{kind.decode()}"
    )


def test_a_text_that_has_only_begun_is_no_content_and_a_call_is() -> None:
    text, call = MessageStreamTap(), MessageStreamTap()
    text.feed(_block(b"start", 0, b'"content_block":{"type":"text","text":""}'))
    call.feed(_block(b"start", 0, b'"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}'))
    assert (text.content, call.content) == (False, True)

    text.feed(_block(b"delta", 0, b'"delta":{"type":"text_delta","text":"x"}'))
    assert text.content


@pytest.mark.parametrize("index", [7, 12])
def test_a_piece_of_a_block_that_never_began_breaks_the_stream(index: int) -> None:
    tap = MessageStreamTap()
    tap.feed(_block(b"start", 1, b'"content_block":{"type":"text","text":""}'))
    tap.feed(_block(b"delta", 1, b'"delta":{"type":"text_delta","text":"x"}'))

    with pytest.raises(MalformedMessage, match="has not begun"):
        tap.feed(_block(b"delta", index, b'"delta":{"type":"text_delta","text":"x"}'))
