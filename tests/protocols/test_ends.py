"""How answers end: none is taken for whole that does not say so, and ends without a word in the client's protocol are told."""

from __future__ import annotations

from typing import Any, Final

import pytest

from aiclient2api.errors import Incomplete, MalformedMessage
from aiclient2api.ir.loss import Loss
from aiclient2api.protocols.base import AnswerStream
from aiclient2api.wire import json
from aiclient2api.wire.http import WireRequest
from tests.protocols.exchanges import ASKS, FACTORY, chat, content, message, response, streamed, whole

SAID: Final = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}
UNENDED: Final = {
    "a choice without a reason": ("openai_chat", chat({"content": "Hi"}, None)),
    "a message without a reason": ("anthropic", message([{"type": "text", "text": "Hi"}], None)),
    "a candidate without a reason": ("gemini", content([{"text": "Hi"}])),
    "a response without a status": ("openai_responses", response([SAID])),
    "a response in progress": ("openai_responses", response([], status="in_progress")),
}


@pytest.mark.parametrize("name", UNENDED)
def test_an_answer_that_does_not_say_that_it_ended_is_malformed(name: str) -> None:
    upstream, body = UNENDED[name]
    for client in ASKS.keys() - {upstream}:
        with pytest.raises(MalformedMessage, match="does not say why it ended"):
            whole(client, upstream, body)


UNKNOWN: Final = {
    "Chat's": ("openai_chat", chat({"content": "Hi"}, "future")),
    "Claude's": ("anthropic", message([{"type": "text", "text": "Hi"}], "future")),
    "Claude's compaction": ("anthropic", message([{"type": "text", "text": "Hi"}], "compaction")),
    "Google's": ("gemini", content([{"text": "Hi"}], finishReason="FUTURE_REASON")),
    "Responses'": ("openai_responses", response([SAID], status="future")),
    "Responses' limit of messages": (
        "openai_responses",
        response([SAID], status="incomplete", incomplete_details={"reason": "max_messages"}),
    ),
}


def ends(losses: list[Loss]) -> list[str]:
    return [loss.act for loss in losses if loss.feature == "finish.reason"]


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_end_that_nobody_knows_is_told(name: str) -> None:
    upstream, body = UNKNOWN[name]
    for client in ASKS.keys() - {upstream}:
        assert ends(whole(client, upstream, body).losses) == ["approximated"]


def test_a_message_stream_that_stops_without_a_reason_is_cut() -> None:
    events = [{"type": "message_start", "message": message([], None)}, {"type": "message_stop"}]
    stream, _, _ = streamed("openai_chat", "anthropic", events)
    assert stream.failure is not None and not stream.ended


HALVES: Final = {
    "Responses' cancelled": ("openai_responses", response([SAID], status="cancelled")),
    "DeepSeek's": ("openai_chat", chat({"content": "Hi"}, "insufficient_system_resource")),
    "Zhipu's": ("openai_chat", chat({"content": "Hi"}, "network_error")),
    "vLLM's": ("openai_chat", chat({"content": "Hi"}, "abort")),
}


@pytest.mark.parametrize("name", HALVES)
def test_an_answer_that_its_upstream_gave_up_is_no_complete_one_to_anybody(name: str) -> None:
    upstream, body = HALVES[name]
    for client in ASKS.keys() - {upstream}:
        try:
            told = whole(client, upstream, body).response.body
        except (MalformedMessage, Incomplete):
            continue
        ends = (b'"finish_reason":', b'"stop_reason":', b'"STOP"', b'"status":"completed"')
        body_of_message = b'"type":"message","status":"completed"'
        assert not any(end in told.replace(body_of_message, b"") for end in ends)


@pytest.mark.parametrize("details", [{"reason": "max_messages"}, {"reason": "future"}, None])
def test_an_incomplete_answer_is_told_as_one_whatever_stopped_it(details: dict[str, str] | None) -> None:
    body = response([SAID], status="incomplete", incomplete_details=details)
    for client, word in {
        "openai_chat": b'"finish_reason":"length"',
        "anthropic": b'"stop_reason":"max_tokens"',
        "gemini": b'"finishReason":"MAX_TOKENS"',
    }.items():
        assert word in whole(client, "openai_responses", body).response.body


def _tapped(protocol: str, asked: dict[str, Any], events: list[bytes]) -> AnswerStream:
    path = {"openai_chat": "/v1/chat/completions", "gemini": "/v1beta/models/m:streamGenerateContent"}[
        protocol
    ]
    wire = WireRequest(path=path, query="alt=sse", body=json.encode({"model": "m", "stream": True, **asked}))
    tap = FACTORY[protocol].stream_tap(wire)
    for frame in (
        FACTORY[protocol]
        .frames("text/event-stream")
        .feed(b"".join(b"data: %b\n\n" % event for event in events))
    ):
        tap.feed(frame)
    return tap


def _piece(index: int, text: str, finish: str | None = None) -> bytes:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    return json.encode({"id": "c", "choices": [choice]})


def _candidate(index: int, text: str, **members: str) -> bytes:
    content = {"role": "model", "parts": [{"text": text}]}
    return json.encode({"candidates": [{"index": index, "content": content, **members}]})


def test_one_of_two_relayed_answers_that_was_cut_is_no_complete_end() -> None:
    chunks = [_piece(0, "A"), _piece(1, "B"), _piece(0, "A"), _piece(1, "", "stop")]
    with pytest.raises(MalformedMessage):
        _tapped("openai_chat", {"n": 2}, [*chunks, b"[DONE]"])
    assert _tapped("openai_chat", {"n": 2}, [*chunks, _piece(0, "", "stop"), b"[DONE]"]).ended

    two = {"generationConfig": {"candidateCount": 2}}
    parts = [_candidate(0, "A"), _candidate(1, "B"), _candidate(1, "B", finishReason="STOP")]
    assert not _tapped("gemini", two, parts).finished
    assert _tapped("gemini", two, [*parts, _candidate(0, "A", finishReason="STOP")]).finished


def test_fewer_answers_than_asked_for_end_all_the_same() -> None:
    assert _tapped("openai_chat", {"n": 2}, [_piece(0, "A"), _piece(0, "", "stop"), b"[DONE]"]).ended


def test_a_whole_message_in_an_event_of_a_stream_is_the_answer() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    body = chat({"content": "Hello", "tool_calls": [call]}, "tool_calls")
    for client in ("openai_responses", "anthropic", "gemini"):
        stream, told, losses = streamed(client, "openai_chat", [body])
        assert stream.content and stream.ended
        assert "Hello" in told and '"call_1"' in told
        assert not [loss for loss in losses if loss.act == "dropped"]


def test_a_message_beside_the_deltas_repeats_them() -> None:
    first = {"index": 0, "delta": {"content": "Hi"}, "message": {"content": "Hi"}}
    last = {"index": 0, "message": {"content": "Hi"}, "finish_reason": "stop"}
    _, told, _ = streamed(
        "anthropic", "openai_chat", [{"id": "c", "choices": [each]} for each in (first, last)]
    )
    assert told.count('"Hi"') == 1
