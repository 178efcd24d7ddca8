"""Responses answers, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from aiclient2api.simulator.brain import Answer, Reply, ToolCall, Usage
from aiclient2api.simulator.conversation import Conversation
from aiclient2api.simulator.exchange import EventPart, Exchange, StreamEvent, named_event
from aiclient2api.simulator.jsontext import Json, dump
from aiclient2api.simulator.responses_request import VOICE
from aiclient2api.simulator.responses_rules import parse
from aiclient2api.simulator.samples import as_list, as_object
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.simulator.signatures import Signer, shown_model
from aiclient2api.simulator.voices import Refused, Voice, openai_error

_ECHOED: dict[str, Json] = {
    "instructions": None,
    "metadata": {},
    "temperature": 1.0,
    "top_p": 1.0,
    "background": False,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "prompt_cache_retention": None,
    "safety_identifier": None,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "truncation": "disabled",
    "user": None,
}
"""Request members an answer repeats, with what stands there when the request is silent."""

Event = tuple[str, dict[str, Json]]


class ResponsesExchange(Exchange):
    """One Responses call."""

    def __init__(self, body: bytes, settings: SimulatorSettings, created: float) -> None:
        request, conversation, self._tree = parse(body, settings)
        super().__init__(conversation, created, stream=bool(request.stream))
        self._signer = Signer(settings.secret, "openai")
        self._encrypts = "reasoning.encrypted_content" in (request.include or ())

    @property
    def voice(self) -> Voice:
        """How the provider words its errors."""
        return VOICE

    def unary(self, reply: Reply) -> bytes:
        """A `response` object."""
        return dump(self._final(reply))

    def events(self, reply: Reply) -> Iterator[StreamEvent]:
        """The documented grammar with a dense `sequence_number`."""
        final = self._final(reply)
        running: dict[str, Json] = final | {
            "status": "in_progress", "output": (), "usage": None, "completed_at": None, "incomplete_details": None,
        }  # fmt: skip
        opening: list[Event] = [
            ("response.created", {"response": running}),
            ("response.in_progress", {"response": running}),
        ]
        items = cast("list[dict[str, Json]]", final["output"])
        number = 0
        for name, data in [*opening, *_item_events(items, reply.answers[0])]:
            yield _event(name, number, data)
            number += 1
        yield _event(f"response.{final['status']}", number, {"response": final}, "end")

    def failure(self, refused: Refused, request_id: str, sent: int) -> bytes:
        """A flat `error` event that continues the numbering."""
        error = openai_error(refused)
        data: dict[str, Json] = {"code": error["code"], "message": error["message"], "param": None}
        return _event("error", sent, data).data

    def _final(self, reply: Reply) -> dict[str, Json]:
        answer = reply.answers[0]
        cut = answer.finish == "length"
        return {
            **self._envelope(),
            "status": "incomplete" if cut else "completed",
            "completed_at": None if cut else int(self.created),
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "error": None,
            "output": self._items(answer),
            "usage": _usage(reply.usage) if reply.usage_shown else None,
        }

    def _envelope(self) -> dict[str, Json]:
        tree = cast("dict[str, Json]", self._tree)
        reasoning = as_object(tree.get("reasoning")) or {}
        text = as_object(tree.get("text")) or {}
        envelope: dict[str, Json] = {
            "id": self.id("resp_", 48),
            "object": "response",
            "created_at": int(self.created),
            "model": shown_model(self.conversation.model),
            "service_tier": "default",
            "tools": [_echoed_tool(tool) for tool in as_list(tree.get("tools"))],
            "reasoning": {
                "effort": cast(Json, reasoning.get("effort")),
                "summary": cast(Json, reasoning.get("summary")),
            },
            "text": cast(Json, {"format": {"type": "text"}, "verbosity": "medium"} | text),
        }
        for name, default in _ECHOED.items():
            value = tree.get(name)
            envelope[name] = default if value is None else value
        return envelope

    def _items(self, answer: Answer) -> list[dict[str, Json]]:
        """Reasoning, then calls or a message."""
        items: list[dict[str, Json]] = []
        if answer.thought:
            items.append(self._reasoning(answer.thinking))
        status = "incomplete" if answer.finish == "length" else "completed"
        items.extend(_call_item(call) for call in answer.calls)
        content: list[Json] = []
        if answer.refusal is not None:
            content.append({"type": "refusal", "refusal": answer.refusal})
        elif answer.deltas:
            content.append({"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []})
        if content:
            items.append(
                {
                    "type": "message",
                    "id": self.id("msg_", 48),
                    "status": status,
                    "role": "assistant",
                    "content": content,
                }
            )
        return items

    def _reasoning(self, thought: str) -> dict[str, Json]:
        item: dict[str, Json] = {
            "type": "reasoning",
            "id": self.id("rs_", 48),
            "summary": [{"type": "summary_text", "text": thought}],
        }
        if self._encrypts:
            item["encrypted_content"] = self._signer.sign(
                self.conversation.model, thought, self.conversation.prefix
            )
        return item


def _event(name: str, number: int, data: dict[str, Json], part: EventPart = "body") -> StreamEvent:
    return StreamEvent(named_event({"type": name, "sequence_number": number, **data}), part)


def _item_events(items: list[dict[str, Json]], answer: Answer) -> Iterator[Event]:
    calls = iter(answer.calls)
    for index, item in enumerate(items):
        where: dict[str, Json] = {"item_id": item["id"], "output_index": index}
        yield "response.output_item.added", {"output_index": index, "item": _begun(item)}
        match item["type"]:
            case "reasoning":
                yield from _reasoning_events(where, answer)
            case "message":
                yield from _message_events(where | {"content_index": 0}, answer)
            case _:
                yield from _call_events(where, next(calls))
        yield "response.output_item.done", {"output_index": index, "item": item}


def _begun(item: dict[str, Json]) -> dict[str, Json]:
    """The item as it looks before its content; encrypted content may be partial there."""
    match item["type"]:
        case "reasoning":
            secret = item.get("encrypted_content")
            partial: dict[str, Json] = {"encrypted_content": secret[:40]} if isinstance(secret, str) else {}
            return item | {"summary": ()} | partial
        case "message":
            return item | {"status": "in_progress", "content": ()}
        case "custom_tool_call":
            return item | {"input": ""}
        case _:
            return item | {"status": "in_progress", "arguments": ""}


def _reasoning_events(where: dict[str, Json], answer: Answer) -> Iterator[Event]:
    where = where | {"summary_index": 0}
    whole = {"type": "summary_text", "text": answer.thinking}
    yield "response.reasoning_summary_part.added", where | {"part": {"type": "summary_text", "text": ""}}
    for piece in answer.thought:
        yield "response.reasoning_summary_text.delta", where | {"delta": piece}
    yield "response.reasoning_summary_text.done", where | {"text": answer.thinking}
    yield "response.reasoning_summary_part.done", where | {"part": whole}


def _message_events(where: dict[str, Json], answer: Answer) -> Iterator[Event]:
    if answer.refusal is not None:
        empty: dict[str, Json] = {"type": "refusal", "refusal": ""}
        yield "response.content_part.added", where | {"part": empty}
        yield "response.refusal.delta", where | {"delta": answer.refusal}
        yield "response.refusal.done", where | {"refusal": answer.refusal}
        yield "response.content_part.done", where | {"part": empty | {"refusal": answer.refusal}}
        return
    empty = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    yield "response.content_part.added", where | {"part": empty}
    for piece in answer.deltas:
        yield "response.output_text.delta", where | {"delta": piece, "logprobs": []}
    yield "response.output_text.done", where | {"text": answer.text, "logprobs": []}
    yield "response.content_part.done", where | {"part": empty | {"text": answer.text}}


def _call_events(where: dict[str, Json], call: ToolCall) -> Iterator[Event]:
    name = "custom_tool_call_input" if call.tool.free_text else "function_call_arguments"
    member = "input" if call.tool.free_text else "arguments"
    for fragment in call.fragments:
        yield f"response.{name}.delta", where | {"delta": fragment}
    yield f"response.{name}.done", where | {member: call.arguments}


def _call_item(call: ToolCall) -> dict[str, Json]:
    common: dict[str, Json] = {"call_id": f"call_{call.id}", "name": call.tool.name}
    if call.tool.free_text:
        return {"type": "custom_tool_call", "id": f"ctc_{call.id}", **common, "input": call.arguments}
    status = {"status": "completed", "arguments": call.arguments}
    return {"type": "function_call", "id": f"fc_{call.id}", **common, **status}


def _echoed_tool(tool: object) -> Json:
    members = as_object(tool) or {}
    if members.get("type") != "function":
        return cast(Json, members)
    return cast(Json, {"description": None, "strict": True} | members)


def _usage(usage: Usage) -> dict[str, Json]:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def input_tokens_answer(conversation: Conversation) -> bytes:
    """The answer of `POST /v1/responses/input_tokens`."""
    return dump({"object": "response.input_tokens", "input_tokens": conversation.input_words})
