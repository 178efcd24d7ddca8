"""Small requests of clients and answers of upstreams, and what becomes of one on its way to the other."""

from __future__ import annotations

from typing import Any, Final

from aiclient2api.ir.loss import Loss
from aiclient2api.protocols.base import AnswerStream
from aiclient2api.protocols.conversion import Answer, Conversion, Inbound, Target
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.protocols.registry import converters
from aiclient2api.wire import json
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


def streamed(
    client: str, upstream: str, events: list[dict[str, Any]]
) -> tuple[AnswerStream, str, list[Loss]]:
    """The stream's state at its end, the client's bytes as text, and the losses of the answer."""
    exchange = conversion(client, upstream, stream=True)
    asked = len(exchange.losses)
    stream, frames = exchange.stream(), FACTORY[upstream].frames("text/event-stream")
    names = [event.get("type") for event in events]
    wire = b"".join(
        (b"event: %b\n" % name.encode() if name else b"") + b"data: " + json.encode(event) + b"\n\n"
        for name, event in zip(names, events, strict=True)
    )
    told = b"".join([stream.feed(frame) for frame in frames.feed(wire)]) + stream.close()
    return stream, told.decode(), exchange.losses[asked:]


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
