"""Chat Completions and Responses as the tests speak them: how to ask, how to read an answer whole or streamed."""

from __future__ import annotations

from typing import Any

from .dialect import Ask, Dialect, Seen, named, sse


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
                for name, schema in named(ask["tools"])
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
                for name, schema in named(ask["tools"])
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
