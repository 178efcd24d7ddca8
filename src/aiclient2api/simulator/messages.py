"""Messages answers, whole and streamed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from aiclient2api.simulator.brain import Answer, Finish, Reply, Usage
from aiclient2api.simulator.conversation import Conversation
from aiclient2api.simulator.exchange import Exchange, StreamEvent, named_event
from aiclient2api.simulator.jsontext import Json, dump
from aiclient2api.simulator.messages_request import VOICE
from aiclient2api.simulator.messages_rules import parse
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.simulator.signatures import Signer, shown_model
from aiclient2api.simulator.voices import Voice

_FINISH: dict[Finish, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_use": "tool_use",
    "refusal": "refusal",
}


_EMPTY: dict[str, Json] = {}


class MessagesExchange(Exchange):
    """One Messages call."""

    def __init__(
        self, body: bytes, headers: Mapping[str, str], settings: SimulatorSettings, created: float
    ) -> None:
        request, conversation = parse(body, headers, settings)
        super().__init__(conversation, created, stream=bool(request.stream))
        self._signer = Signer(settings.secret, "anthropic")
        self._is_omitted = request.thinking is not None and request.thinking.display == "omitted"
        self._long_cache = request.cache_control is not None and request.cache_control.ttl == "1h"

    @property
    def voice(self) -> Voice:
        """How the provider words its errors."""
        return VOICE

    def unary(self, reply: Reply) -> bytes:
        """A `message`."""
        answer = reply.answers[0]
        message = self._message(answer)
        if reply.usage_shown:
            message["usage"] = self._usage(reply.usage)
        return dump(message)

    def events(self, reply: Reply) -> Iterator[StreamEvent]:
        """`message_start`, a ping, the blocks one after the other, `message_delta`, `message_stop`."""
        answer = reply.answers[0]
        start: dict[str, Json] = self._message(answer) | {"content": (), **_ending(None)}
        if reply.usage_shown:
            start["usage"] = self._usage(msgspec.structs.replace(reply.usage, output=1, reasoning=0))
        yield _event("message_start", {"message": start})
        yield _event("ping", {})
        for index, block in enumerate(self._blocks(answer)):
            yield _event("content_block_start", {"index": index, "content_block": _begun(block)})
            for delta in _deltas(block, answer):
                yield _event("content_block_delta", {"index": index, "delta": delta})
            yield _event("content_block_stop", {"index": index})
        ending: dict[str, Json] = {"delta": _ending(answer)}
        if reply.usage_shown:
            ending["usage"] = _final_usage(reply.usage)
        yield StreamEvent(_event("message_delta", ending).data, "end")
        yield StreamEvent(_event("message_stop", {}).data, "end")

    def _message(self, answer: Answer) -> dict[str, Json]:
        return {
            "id": self.id("msg_01", 22),
            "type": "message",
            "role": "assistant",
            "model": shown_model(self.conversation.model),
            "content": self._blocks(answer),
            **_ending(answer),
        }

    def _blocks(self, answer: Answer) -> list[dict[str, Json]]:
        blocks: list[dict[str, Json]] = []
        if answer.thought:
            thinking = "" if self._is_omitted else answer.thinking
            signature = self._signer.sign(self.conversation.model, thinking, self.conversation.prefix)
            blocks.append({"type": "thinking", "thinking": thinking, "signature": signature})
        if answer.deltas:
            blocks.append({"type": "text", "text": answer.text})
        for call in answer.calls:
            arguments = msgspec.Raw(call.arguments.encode())
            blocks.append(
                {"type": "tool_use", "id": f"toolu_{call.id}", "name": call.tool.name, "input": arguments}
            )
        return blocks

    def _usage(self, usage: Usage) -> dict[str, Json]:
        written = {"ephemeral_5m_input_tokens": usage.cache_write, "ephemeral_1h_input_tokens": 0}
        if self._long_cache:
            written = {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": usage.cache_write}
        return {**_final_usage(usage), "cache_creation": written, "service_tier": "standard"}


def _event(name: str, data: dict[str, Json]) -> StreamEvent:
    return StreamEvent(named_event({"type": name, **data}))


def _begun(block: dict[str, Json]) -> dict[str, Json]:
    """The block as it looks before its content."""
    match block["type"]:
        case "thinking":
            return block | {"thinking": "", "signature": ""}
        case "text":
            return block | {"text": ""}
        case _:
            return block | {"input": _EMPTY}


def _deltas(block: dict[str, Json], answer: Answer) -> Iterator[dict[str, Json]]:
    match block["type"]:
        case "thinking":
            for piece in answer.thought if block["thinking"] else ():
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "text":
            for piece in answer.deltas:
                yield {"type": "text_delta", "text": piece}
        case _:
            call = next(call for call in answer.calls if block["id"] == f"toolu_{call.id}")
            yield {"type": "input_json_delta", "partial_json": ""}
            for fragment in call.fragments:
                yield {"type": "input_json_delta", "partial_json": fragment}


def _ending(answer: Answer | None) -> dict[str, Json]:
    """The three members that say why it ended; all null while it runs."""
    if answer is None:
        return {"stop_reason": None, "stop_sequence": None, "stop_details": None}
    refused: dict[str, Json] = {"type": "refusal", "category": None, "explanation": answer.refusal}
    return {
        "stop_reason": _FINISH[answer.finish],
        "stop_sequence": answer.stop_sequence,
        "stop_details": refused if answer.finish == "refusal" else None,
    }


def _final_usage(usage: Usage) -> dict[str, Json]:
    return {
        "input_tokens": usage.input - usage.cached - usage.cache_write,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": usage.output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    }


def message_count_answer(conversation: Conversation) -> bytes:
    """The answer of `count_tokens`."""
    return dump({"input_tokens": conversation.input_words})
