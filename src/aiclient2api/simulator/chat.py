"""Chat Completions answers, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from aiclient2api.simulator.brain import Answer, Finish, Reply, ToolCall, Usage
from aiclient2api.simulator.chat_request import VOICE, ChatRequest
from aiclient2api.simulator.chat_rules import parse
from aiclient2api.simulator.exchange import Exchange, StreamEvent, unnamed_event
from aiclient2api.simulator.jsontext import Json, dump
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.simulator.signatures import shown_model
from aiclient2api.simulator.voices import Voice

_FINISH: dict[Finish, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class ChatExchange(Exchange):
    """One Chat Completions call."""

    def __init__(self, body: bytes, settings: SimulatorSettings, created: float) -> None:
        request, conversation = parse(body, settings)
        super().__init__(conversation, created, stream=bool(request.stream))
        self._request = request

    @property
    def voice(self) -> Voice:
        """How the provider words its errors."""
        return VOICE

    def unary(self, reply: Reply) -> bytes:
        """A `chat.completion`."""
        completion = self._envelope("chat.completion")
        completion["choices"] = [
            {
                "index": index,
                "message": _message(answer),
                "logprobs": None,
                "finish_reason": _FINISH[answer.finish],
            }
            for index, answer in enumerate(reply.answers)
        ]
        if reply.usage_shown:
            completion["usage"] = _usage(reply.usage)
        return dump(completion)

    def events(self, reply: Reply) -> Iterator[StreamEvent]:
        """Chunks: roles, deltas of all choices in turn, finishes, usage when asked for, `[DONE]`."""
        for index in range(len(reply.answers)):
            yield self._chunk(index, {"role": "assistant", "content": "", "refusal": None})
        for row in zip_longest(*(_deltas(answer) for answer in reply.answers)):
            for index, delta in enumerate(row):
                if delta is not None:
                    yield self._chunk(index, delta)
        for index, answer in enumerate(reply.answers):
            chunk = self._chunk(index, {}, _FINISH[answer.finish])
            yield StreamEvent(chunk.data, "end")
        if _wants_usage(self._request) and reply.usage_shown:
            data = self._envelope("chat.completion.chunk") | {"choices": (), "usage": _usage(reply.usage)}
            yield StreamEvent(unnamed_event(data), "usage")
        yield StreamEvent(b"data: [DONE]\n\n", "end")

    def _envelope(self, kind: str) -> dict[str, Json]:
        return {
            "id": self.id("chatcmpl-"),
            "object": kind,
            "created": int(self.created),
            "model": shown_model(self.conversation.model),
            "service_tier": "default",
            "system_fingerprint": "fp_simulator",
        }

    def _chunk(self, index: int, delta: dict[str, Json], finish: str | None = None) -> StreamEvent:
        data = self._envelope("chat.completion.chunk")
        data["choices"] = [{"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}]
        if _wants_usage(self._request):
            data["usage"] = None
        return StreamEvent(unnamed_event(data))


def _wants_usage(request: ChatRequest) -> bool:
    return request.stream_options is not None and bool(request.stream_options.include_usage)


def _message(answer: Answer) -> dict[str, Json]:
    message: dict[str, Json] = {
        "role": "assistant",
        "content": answer.text or None,
        "refusal": answer.refusal,
        "annotations": [],
    }
    if answer.thought:
        message["reasoning_content"] = answer.thinking
    if answer.calls:
        message["tool_calls"] = [_call(call) for call in answer.calls]
    return message


def _call(call: ToolCall) -> dict[str, Json]:
    if call.tool.free_text:
        return {
            "id": _id(call),
            "type": "custom",
            "custom": {"name": call.tool.name, "input": call.arguments},
        }
    function = {"name": call.tool.name, "arguments": call.arguments}
    return {"id": _id(call), "type": "function", "function": function}


def _deltas(answer: Answer) -> Iterator[dict[str, Json]]:
    for piece in answer.thought:
        yield {"reasoning_content": piece}
    for piece in answer.deltas:
        yield {"content": piece}
    if answer.refusal is not None:
        yield {"refusal": answer.refusal}
    for index, call in enumerate(answer.calls):
        kind, member = ("custom", "input") if call.tool.free_text else ("function", "arguments")
        opening: dict[str, Json] = {"index": index, "id": _id(call), "type": kind}
        yield {"tool_calls": [opening | {kind: {"name": call.tool.name, member: ""}}]}
        for fragment in call.fragments:
            yield {"tool_calls": [{"index": index, kind: {member: fragment}}]}


def _id(call: ToolCall) -> str:
    return f"call_{call.id}"


def _usage(usage: Usage) -> dict[str, Json]:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
