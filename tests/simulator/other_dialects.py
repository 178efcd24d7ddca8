"""Messages and Gemini as the tests speak them: how to ask, how to read an answer whole or streamed."""

from __future__ import annotations

import json
from typing import Any

from .dialect import Ask, Dialect, Seen, named, sse


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
            body["tools"] = [{"name": name, "input_schema": schema} for name, schema in named(ask["tools"])]
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
                {"name": name, "parametersJsonSchema": schema} for name, schema in named(ask["tools"])
            ]
            body["tools"] = [{"functionDeclarations": declared}]
        modes: dict[str, Any] = {"required": {"mode": "ANY"}, "none": {"mode": "NONE"}}
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
