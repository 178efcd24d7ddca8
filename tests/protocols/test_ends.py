"""How answers end: none is taken for whole that does not say so, and ends without a word in the client's protocol are told."""

from __future__ import annotations

from typing import Any, Final

import pytest

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.loss import Loss
from aiclient2api.protocols.conversion import Answer, Conversion, Inbound, Target
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.protocols.registry import converters
from aiclient2api.wire import json
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest, WireResponse
from tests.fakes.sealing import CARRIER

FACTORY: Final = ConverterFactory(converters(), CARRIER)
ASKS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "openai_chat": ("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": "x"}]}),
    "openai_responses": ("/v1/responses", {"model": "m", "input": "x"}),
    "anthropic": (
        "/v1/messages",
        {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
    ),
    "gemini": (
        "/v1beta/models/m:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "x"}]}]},
    ),
}


def conversion(client: str, upstream: str, *, stream: bool = False) -> Conversion:
    path, body = ASKS[client]
    if client == "gemini":
        path = path.replace("generateContent", "streamGenerateContent") if stream else path
    elif stream:
        body = {**body, "stream": True}
    query = "alt=sse" if client == "gemini" and stream else ""
    wire = WireRequest(path=path, query=query, body=json.encode(body))
    target = Target(model="m", profile=DEFAULT_PROFILE, streams=stream)
    return FACTORY.convert(Inbound(FACTORY[client], wire, "t"), upstream, target)


def whole(client: str, upstream: str, body: dict[str, Any]) -> Answer:
    return conversion(client, upstream).whole(WireResponse(status=200, body=json.encode(body)))


def chat(message: dict[str, Any], finish: str | None) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}


def message(content: list[Any], stop: str | None) -> dict[str, Any]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "usage": usage}
    return {**head, "content": content, "stop_reason": stop, "stop_sequence": None}


def content(parts: list[Any], **candidate: Any) -> dict[str, Any]:
    return {"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, **candidate}]}


def response(output: list[Any], **members: Any) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": output, **members}


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
        own_word = client == "gemini" and name in ("Chat's", "Responses' limit of messages")
        assert ends(whole(client, upstream, body).losses) == ([] if own_word else ["approximated"])


def test_a_message_stream_that_stops_without_a_reason_is_cut() -> None:
    stream = conversion("openai_chat", "anthropic", stream=True).stream()
    start = {"type": "message_start", "message": message([], None)}
    stream.feed(Frame(raw=b"", data=json.encode(start), event="message_start"))
    stream.feed(Frame(raw=b"", data=b'{"type":"message_stop"}', event="message_stop"))
    assert stream.failure is not None and not stream.ended
