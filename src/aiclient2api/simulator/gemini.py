"""Gemini answers, whole and streamed, as SSE or as a JSON array."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from aiclient2api.simulator.brain import Answer, Finish, Reply, Usage
from aiclient2api.simulator.conversation import Conversation
from aiclient2api.simulator.exchange import Exchange, StreamEvent
from aiclient2api.simulator.gemini_request import VOICE
from aiclient2api.simulator.gemini_rules import call_identity, generation, parse
from aiclient2api.simulator.jsontext import Json, dump, read
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.simulator.signatures import Signer, shown_model
from aiclient2api.simulator.voices import Refused, Voice

_FINISH: dict[Finish, str] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "tool_use": "STOP",
    "refusal": "SAFETY",
}


class GeminiExchange(Exchange):
    """One generateContent or streamGenerateContent call."""

    def __init__(
        self,
        model: str,
        body: bytes,
        settings: SimulatorSettings,
        created: float,
        *,
        stream: bool,
        sse: bool = True,
    ) -> None:
        request, conversation = parse(model, body, settings)
        super().__init__(conversation, created, stream=stream)
        self._signer = Signer(settings.secret, "google")
        self._is_third = generation(model) >= 3
        self._sse = sse
        if not sse:
            self.stream_type = "application/json; charset=UTF-8"
        thinking = request.generationConfig.thinkingConfig if request.generationConfig else None
        self._shows_thoughts = thinking is None or thinking.includeThoughts is not False

    @property
    def voice(self) -> Voice:
        """How the provider words its errors."""
        return VOICE

    def unary(self, reply: Reply) -> bytes:
        """A `GenerateContentResponse`."""
        candidates: list[Json] = []
        for index, answer in enumerate(reply.answers):
            parts = [*self._thoughts(answer), *self._text(answer), *self._calls(answer)]
            candidates.append(_candidate(index, parts, answer))
        usage = reply.usage if reply.usage_shown else None
        return dump(self._envelope(candidates, usage))

    def events(self, reply: Reply) -> Iterator[StreamEvent]:
        """One part per chunk, usage so far in every chunk, the reason in the last one of each candidate."""
        spent = {"thoughts": 0, "candidates": 0}
        first = True
        for index, answer in enumerate(reply.answers):
            for part, cost in self._pieces(answer):
                spent["thoughts" if part.get("thought") else "candidates"] += cost
                yield self._chunk(first, [_candidate(index, [part])], _so_far(reply, **spent))
                first = False
            is_last = index == len(reply.answers) - 1
            usage = _so_far(reply, **spent) if not is_last else reply.usage if reply.usage_shown else None
            ending = self._chunk(first, [_candidate(index, self._ending(answer), answer)], usage)
            yield StreamEvent(ending.data, "end")
            first = False
        if not self._sse:
            yield StreamEvent(b"]", "end")

    def failure(self, refused: Refused, request_id: str, sent: int) -> bytes:
        """An error chunk; the array is closed behind it."""
        if self._sse:
            return super().failure(refused, request_id, sent)
        return (b"," if sent else b"[") + VOICE.body(refused, request_id) + b"]"

    def _chunk(self, first: bool, candidates: list[Json], usage: Usage | None) -> StreamEvent:
        data = dump(self._envelope(candidates, usage))
        if self._sse:
            return StreamEvent(b"data: " + data + b"\r\n\r\n")
        return StreamEvent((b"[" if first else b",\r\n") + data + b"\r\n")

    def _envelope(self, candidates: list[Json], usage: Usage | None) -> dict[str, Json]:
        envelope: dict[str, Json] = {"candidates": candidates}
        if usage is not None:
            envelope["usageMetadata"] = usage_metadata(usage)
        envelope["modelVersion"] = shown_model(self.conversation.model)
        envelope["responseId"] = self.id("", 22)
        return envelope

    def _pieces(self, answer: Answer) -> Iterator[tuple[dict[str, Json], int]]:
        """Parts as they are streamed, with what each costs."""
        for piece in answer.thought if self._shows_thoughts else ():
            yield {"text": piece, "thought": True}, 1
        for piece in answer.deltas:
            yield {"text": piece}, 1
        for part, call in zip(self._calls(answer), answer.calls, strict=True):
            yield part, len(call.fragments) + 1

    def _thoughts(self, answer: Answer) -> list[dict[str, Json]]:
        if not answer.thought or not self._shows_thoughts:
            return []
        return [{"text": answer.thinking, "thought": True}]

    def _text(self, answer: Answer) -> list[dict[str, Json]]:
        return [{"text": answer.text, **self._text_signature(answer)}] if answer.deltas else []

    def _ending(self, answer: Answer) -> list[dict[str, Json]]:
        """The signature of a text arrives late, on an empty part."""
        return [{"text": "", **(self._text_signature(answer) if answer.deltas else {})}]

    def _text_signature(self, answer: Answer) -> dict[str, Json]:
        return self._signature(answer, answer.text)

    def _signature(self, answer: Answer, covered: str) -> dict[str, Json]:
        if not answer.thought and not self._is_third:
            return {}
        conversation = self.conversation
        return {"thoughtSignature": self._signer.sign(conversation.model, covered, conversation.prefix)}

    def _calls(self, answer: Answer) -> list[dict[str, Json]]:
        """Only the first of parallel calls is signed; ids came with the third generation."""
        parts: list[dict[str, Json]] = []
        for call in answer.calls:
            function: dict[str, Json] = {"name": call.tool.name, "args": msgspec.Raw(call.arguments.encode())}
            if self._is_third:
                function["id"] = call.id
            part: dict[str, Json] = {"functionCall": function}
            if not parts:
                part |= self._signature(answer, call_identity(call.tool.name, read(call.arguments)))
            parts.append(part)
        return parts


def _candidate(index: int, parts: list[dict[str, Json]], answer: Answer | None = None) -> dict[str, Json]:
    candidate: dict[str, Json] = {"content": {"parts": parts, "role": "model"}, "index": index}
    if answer is None:
        return candidate
    if answer.refusal is not None:
        del candidate["content"]
        candidate["finishMessage"] = answer.refusal
    candidate["finishReason"] = _FINISH[answer.finish]
    return candidate


def _so_far(reply: Reply, thoughts: int, candidates: int) -> Usage | None:
    """What was spent when a chunk is sent."""
    if not reply.usage_shown:
        return None
    return msgspec.structs.replace(reply.usage, output=thoughts + candidates, reasoning=thoughts)


def usage_metadata(usage: Usage) -> dict[str, Json]:
    """`candidatesTokenCount` excludes thoughts; zero counts are left out."""
    candidates = usage.output - usage.reasoning
    metadata: dict[str, Json] = {
        "promptTokenCount": usage.input,
        "candidatesTokenCount": candidates,
        "totalTokenCount": usage.input + usage.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": usage.input}],
    }
    if usage.cached:
        metadata["cachedContentTokenCount"] = usage.cached
    if usage.reasoning:
        metadata["thoughtsTokenCount"] = usage.reasoning
    return metadata


def count_answer(conversation: Conversation) -> bytes:
    """The answer of `countTokens`."""
    count = conversation.input_words
    details = [{"modality": "TEXT", "tokenCount": count}]
    return dump({"totalTokens": count, "promptTokensDetails": details})
