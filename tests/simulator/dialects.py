"""The four protocols as the tests speak them: how to ask, and how to read an answer whole or streamed."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "number"}},
    "required": ["city"],
}


class Seen(NamedTuple):
    """An answer in neutral form."""

    text: str = ""
    thinking: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish: str = ""
    refusal: str = ""
    usage: tuple[int, int, int, int, int] | None = None
    """Input, cached, cache write, output, reasoning."""


Ask = dict[str, Any]
"""Neutral wishes: system, prompt, history, tools, choice, parallel, thinking, schema, max_tokens, stop, count."""


class Dialect:
    """One protocol."""

    name: str
    path: str
    headers: dict[str, str]

    def url(self, *, stream: bool) -> str:
        return self.path

    def request(self, ask: Ask, *, stream: bool = False) -> dict[str, Any]:
        raise AssertionError

    def whole(self, data: Any) -> Seen:
        raise AssertionError

    def streamed(self, body: bytes) -> Seen:
        raise AssertionError


def sse(body: bytes) -> list[tuple[str | None, Any]]:
    """Events as (name, data); `[DONE]` stays text."""
    events: list[tuple[str | None, Any]] = []
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        if not block.strip():
            continue
        name: str | None = None
        data = ""
        for line in block.decode().split("\n"):
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data += value
        events.append((name, data if data == "[DONE]" else json.loads(data)))
    return events


def _named(names: list[str]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, SCHEMA) for name in names]


class Chat(Dialect):
    name = "openai_chat"
    path = "/v1/chat/completions"
    headers = {"authorization": "Bearer key"}
    finishes = {"stop": "stop", "tool_calls": "tool_use", "length": "length", "content_filter": "refusal"}

    def request(self, ask: Ask, *, stream: bool = False) -> dict[str, Any]:
        messages: list[Any] = [{"role": "system", "content": ask["system"]}] if "system" in ask else []
        for role, text in ask.get("history", []):
            messages.append({"role": role, "content": text})
        messages.append({"role": "user", "content": ask.get("content", {}).get(self.name) or ask["prompt"]})
        body: dict[str, Any] = {"model": "m", "messages": messages}
        if "tools" in ask:
            body["tools"] = [
                {"type": "function", "function": {"name": name, "parameters": schema}}
                for name, schema in _named(ask["tools"])
            ]
        choices = {"force": {"type": "function", "function": {"name": ask.get("forced")}}}
        if "choice" in ask:
            body["tool_choice"] = choices.get(ask["choice"], ask["choice"])
        if ask.get("parallel") is False:
            body["parallel_tool_calls"] = False
        if ask.get("thinking"):
            body["reasoning_effort"] = "high"
        if "schema" in ask:
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": ask["schema"]},
            }
        if "max_tokens" in ask:
            body["max_completion_tokens"] = ask["max_tokens"]
        if "stop" in ask:
            body["stop"] = ask["stop"]
        if stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body

    def whole(self, data: Any) -> Seen:
        choice = data["choices"][0]
        message = choice["message"]
        return Seen(
            text=message["content"] or "",
            thinking=message.get("reasoning_content", ""),
            calls=tuple(
                (call["function"]["name"], call["function"]["arguments"])
                for call in message.get("tool_calls", [])
            ),
            finish=self.finishes[choice["finish_reason"]],
            refusal=message["refusal"] or "",
            usage=self._usage(data["usage"]),
        )

    def streamed(self, body: bytes) -> Seen:
        events = [data for _, data in sse(body)]
        assert events[-1] == "[DONE]"
        assert events[-2]["choices"] == []
        assert all(event["usage"] is None for event in events[:-2])
        assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
        text = thinking = refusal = finish = ""
        calls: list[list[str]] = []
        for event in events[:-2]:
            choice = event["choices"][0]
            delta = choice["delta"]
            text += delta.get("content") or ""
            thinking += delta.get("reasoning_content", "")
            refusal += delta.get("refusal") or ""
            for call in delta.get("tool_calls", []):
                if call["index"] == len(calls):
                    calls.append([call["function"]["name"], ""])
                else:
                    assert "id" not in call
                calls[call["index"]][1] += call["function"]["arguments"]
            finish = self.finishes.get(choice["finish_reason"], "")
        found = tuple((name, arguments) for name, arguments in calls)
        return Seen(text, thinking, found, finish, refusal, self._usage(events[-2]["usage"]))

    def _usage(self, usage: Any) -> tuple[int, int, int, int, int]:
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        details = usage["prompt_tokens_details"]
        return (
            usage["prompt_tokens"],
            details["cached_tokens"],
            details["cache_write_tokens"],
            usage["completion_tokens"],
            usage["completion_tokens_details"]["reasoning_tokens"],
        )


class Responses(Dialect):
    name = "openai_responses"
    path = "/v1/responses"
    headers = {"authorization": "Bearer key"}

    def request(self, ask: Ask, *, stream: bool = False) -> dict[str, Any]:
        items: list[Any] = [{"role": role, "content": text} for role, text in ask.get("history", [])]
        items.append({"role": "user", "content": ask.get("content", {}).get(self.name) or ask["prompt"]})
        body: dict[str, Any] = {"model": "m", "input": items}
        if "system" in ask:
            body["instructions"] = ask["system"]
        if "tools" in ask:
            body["tools"] = [
                {"type": "function", "name": name, "parameters": schema, "strict": False}
                for name, schema in _named(ask["tools"])
            ]
        if "choice" in ask:
            forced = {"type": "function", "name": ask.get("forced")}
            body["tool_choice"] = forced if ask["choice"] == "force" else ask["choice"]
        if ask.get("parallel") is False:
            body["parallel_tool_calls"] = False
        if ask.get("thinking"):
            body["reasoning"] = {"effort": "high", "summary": "auto"}
            body["include"] = ["reasoning.encrypted_content"]
        if "schema" in ask:
            body["text"] = {"format": {"type": "json_schema", "name": "x", "schema": ask["schema"]}}
        if "max_tokens" in ask:
            body["max_output_tokens"] = ask["max_tokens"]
        if stream:
            body["stream"] = True
        return body

    def whole(self, data: Any) -> Seen:
        text = thinking = refusal = ""
        calls: list[tuple[str, str]] = []
        for item in data["output"]:
            if item["type"] == "reasoning":
                thinking = item["summary"][0]["text"]
            elif item["type"] == "function_call":
                calls.append((item["name"], item["arguments"]))
            else:
                text += "".join(part.get("text", "") for part in item["content"])
                refusal += "".join(part.get("refusal", "") for part in item["content"])
        finish = "tool_use" if calls else "refusal" if refusal else "stop"
        if data["status"] == "incomplete":
            assert data["incomplete_details"] == {"reason": "max_output_tokens"}
            finish = "length"
        usage = data["usage"]
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        counted = (
            usage["input_tokens"],
            usage["input_tokens_details"]["cached_tokens"],
            usage["input_tokens_details"]["cache_write_tokens"],
            usage["output_tokens"],
            usage["output_tokens_details"]["reasoning_tokens"],
        )
        return Seen(text, thinking, tuple(calls), finish, refusal, counted)

    def streamed(self, body: bytes) -> Seen:
        events = sse(body)
        assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
        assert all(name == data["type"] for name, data in events)
        assert [name for name, _ in events[:2]] == ["response.created", "response.in_progress"]
        text = thinking = refusal = ""
        calls: list[list[str]] = []
        for name, data in events:
            match name:
                case "response.output_item.added" if data["item"]["type"] == "function_call":
                    calls.append([data["item"]["name"], ""])
                case "response.output_text.delta":
                    text += data["delta"]
                case "response.reasoning_summary_text.delta":
                    thinking += data["delta"]
                case "response.refusal.delta":
                    refusal += data["delta"]
                case "response.function_call_arguments.delta":
                    calls[-1][1] += data["delta"]
                case _:
                    pass
        final = self.whole(events[-1][1]["response"])
        assert events[-1][0] in ("response.completed", "response.incomplete")
        assert (text, thinking, refusal) == (final.text, final.thinking, final.refusal)
        assert tuple((name, arguments) for name, arguments in calls) == final.calls
        return final


class Messages(Dialect):
    name = "anthropic"
    path = "/v1/messages"
    headers = {"x-api-key": "key", "anthropic-version": "2023-06-01"}
    finishes = {
        "end_turn": "stop",
        "max_tokens": "length",
        "stop_sequence": "stop_sequence",
        "tool_use": "tool_use",
        "refusal": "refusal",
    }

    def request(self, ask: Ask, *, stream: bool = False) -> dict[str, Any]:
        messages: list[Any] = [{"role": role, "content": text} for role, text in ask.get("history", [])]
        messages.append({"role": "user", "content": ask.get("content", {}).get(self.name) or ask["prompt"]})
        body: dict[str, Any] = {"model": "m", "max_tokens": ask.get("max_tokens", 4000), "messages": messages}
        if "system" in ask:
            body["system"] = ask["system"]
        if "tools" in ask:
            body["tools"] = [{"name": name, "input_schema": schema} for name, schema in _named(ask["tools"])]
        kinds = {"force": {"type": "tool", "name": ask.get("forced")}, "required": {"type": "any"}}
        if "choice" in ask or "parallel" in ask:
            choice = kinds.get(ask.get("choice", "auto"), {"type": ask.get("choice", "auto")})
            off = {"disable_parallel_tool_use": True} if ask.get("parallel") is False else {}
            body["tool_choice"] = choice | off
        if ask.get("thinking"):
            body["thinking"] = {"type": "adaptive"}
        if "schema" in ask:
            body["output_config"] = {"format": {"type": "json_schema", "schema": ask["schema"]}}
        if "stop" in ask:
            body["stop_sequences"] = ask["stop"]
        if stream:
            body["stream"] = True
        return body

    def whole(self, data: Any) -> Seen:
        text = thinking = ""
        calls: list[tuple[str, str]] = []
        for block in data["content"]:
            match block["type"]:
                case "thinking":
                    thinking = block["thinking"]
                    assert block["signature"]
                case "tool_use":
                    calls.append((block["name"], json.dumps(block["input"], separators=(",", ":"))))
                case _:
                    text += block["text"]
        details = data["stop_details"]
        refusal = details["explanation"] if details else ""
        finish = self.finishes[data["stop_reason"]]
        return Seen(text, thinking, tuple(calls), finish, refusal, self._usage(data["usage"]))

    def streamed(self, body: bytes) -> Seen:
        events = sse(body)
        assert all(name == data["type"] for name, data in events)
        names = [name for name, _ in events]
        assert names[:2] == ["message_start", "ping"]
        assert names[-2:] == ["message_delta", "message_stop"]
        message = events[0][1]["message"]
        for name, data in events:
            match name:
                case "content_block_start":
                    assert data["index"] == len(message["content"])
                    message["content"].append(data["content_block"] | {"partial": ""})
                case "content_block_delta":
                    block, delta = message["content"][data["index"]], data["delta"]
                    match delta["type"]:
                        case "thinking_delta":
                            block["thinking"] += delta["thinking"]
                        case "signature_delta":
                            block["signature"] = delta["signature"]
                        case "text_delta":
                            block["text"] += delta["text"]
                        case _:
                            block["partial"] += delta["partial_json"]
                case "content_block_stop":
                    block = message["content"][data["index"]]
                    if block["type"] == "tool_use":
                        block["input"] = json.loads(block["partial"])
                case "message_delta":
                    message |= data["delta"]
                    message["usage"] |= data["usage"]
                case _:
                    pass
        return self.whole(message)

    def _usage(self, usage: Any) -> tuple[int, int, int, int, int]:
        read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
        assert sum(usage["cache_creation"].values()) == written
        return (
            usage["input_tokens"] + read + written,
            read,
            written,
            usage["output_tokens"],
            usage["output_tokens_details"]["thinking_tokens"],
        )


class Gemini(Dialect):
    name = "gemini"
    model = "gemini-2.5-x"
    headers = {"x-goog-api-key": "key"}

    def url(self, *, stream: bool) -> str:
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return f"/v1beta/models/{self.model}:{method}"

    def request(self, ask: Ask, *, stream: bool = False) -> dict[str, Any]:
        contents: list[Any] = [
            {"role": "model" if role == "assistant" else role, "parts": [{"text": text}]}
            for role, text in ask.get("history", [])
        ]
        parts = ask.get("content", {}).get(self.name) or [{"text": ask["prompt"]}]
        contents.append({"role": "user", "parts": parts})
        body: dict[str, Any] = {"contents": contents}
        config: dict[str, Any] = {}
        if "system" in ask:
            body["systemInstruction"] = {"parts": [{"text": ask["system"]}]}
        if "tools" in ask:
            declared = [
                {"name": name, "parametersJsonSchema": schema} for name, schema in _named(ask["tools"])
            ]
            body["tools"] = [{"functionDeclarations": declared}]
        modes = {"required": {"mode": "ANY"}, "none": {"mode": "NONE"}}
        modes["force"] = {"mode": "ANY", "allowedFunctionNames": [ask.get("forced")]}
        if "choice" in ask:
            body["toolConfig"] = {"functionCallingConfig": modes[ask["choice"]]}
        if ask.get("thinking"):
            config["thinkingConfig"] = {"includeThoughts": True, "thinkingBudget": 1024}
        if "schema" in ask:
            config |= {"responseMimeType": "application/json", "responseJsonSchema": ask["schema"]}
        if "max_tokens" in ask:
            config["maxOutputTokens"] = ask["max_tokens"]
        if "stop" in ask:
            config["stopSequences"] = ask["stop"]
        return body | ({"generationConfig": config} if config else {})

    def whole(self, data: Any) -> Seen:
        return self._folded([data])

    def streamed(self, body: bytes) -> Seen:
        assert body.startswith(b"data: ")
        assert body.endswith(b"\r\n\r\n")
        return self._folded([data for _, data in sse(body)])

    def _folded(self, chunks: list[Any]) -> Seen:
        text = thinking = finish = refusal = ""
        calls: list[tuple[str, str]] = []
        for chunk in chunks:
            candidate = chunk["candidates"][0]
            for part in candidate.get("content", {}).get("parts", []):
                if "functionCall" in part:
                    call = part["functionCall"]
                    calls.append((call["name"], json.dumps(call["args"], separators=(",", ":"))))
                elif part.get("thought"):
                    thinking += part["text"]
                else:
                    text += part["text"]
            finish = candidate.get("finishReason", "")
            refusal = candidate.get("finishMessage", "")
        names = {"STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "refusal"}
        usage = chunks[-1]["usageMetadata"]
        thoughts = usage.get("thoughtsTokenCount", 0)
        output = usage["candidatesTokenCount"] + thoughts
        assert usage["totalTokenCount"] == usage["promptTokenCount"] + output
        counted = (usage["promptTokenCount"], usage.get("cachedContentTokenCount", 0), 0, output, thoughts)
        named = "tool_use" if calls and finish == "STOP" else names[finish]
        return Seen(text, thinking, tuple(calls), named, refusal, counted)


CHAT, RESPONSES, MESSAGES, GEMINI = Chat(), Responses(), Messages(), Gemini()
DIALECTS: list[Dialect] = [CHAT, RESPONSES, MESSAGES, GEMINI]
