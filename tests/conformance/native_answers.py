"""Answers as they are on the wire, read without any code of the gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.conformance.neutral import Answer, Item, joined, read_json, write_json

Usage = dict[str, int]


def read_answer(protocol: str, body: bytes) -> Answer:
    """A complete answer, whole or streamed."""
    whole, streamed = _READERS[protocol]
    if body.lstrip()[:1] in (b"{", b"["):
        return whole(read_json(body))
    return streamed(list(events(body)))


def events(body: bytes) -> Iterator[Any]:
    """The data of every SSE event but `[DONE]`."""
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        data = b"\n".join(line[5:].strip() for line in block.split(b"\n") if line.startswith(b"data:"))
        if data and data != b"[DONE]":
            yield read_json(data)


def _said(text: str) -> Item:
    return Item("assistant", "text", text)


def _thought(text: str, signature: str = "") -> Item:
    return Item("assistant", "thought", text, signature=signature)


def _called(id_: str, name: str, arguments: str, signature: str = "") -> Item:
    return Item("assistant", "call", arguments, id=id_, name=name, signature=signature)


# ---- Chat Completions


def _chat_whole(tree: Any) -> Answer:
    assert tree["object"] == "chat.completion"
    choice = tree["choices"][0]
    return _chat_answer(tree, choice["message"], choice["finish_reason"], tree["usage"])


def _chat_streamed(chunks: list[Any]) -> Answer:
    assert len({chunk["id"] for chunk in chunks}) == 1
    message: Any = {"reasoning_content": "", "content": "", "tool_calls": []}
    finish, usage = None, None
    for chunk in chunks:
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            delta = choice["delta"]
            for name in ("content", "reasoning_content"):
                message[name] += delta.get(name) or ""
            for call in delta.get("tool_calls") or ():
                if call["index"] == len(message["tool_calls"]):
                    message["tool_calls"].append(
                        {"id": call["id"], "function": {"name": "", "arguments": ""}}
                    )
                function = message["tool_calls"][call["index"]]["function"]
                for name, text in call.get("function", {}).items():
                    function[name] += text or ""
            finish = choice["finish_reason"] or finish
    return _chat_answer(chunks[0], message, finish, usage)


def _chat_answer(envelope: Any, message: Any, finish: Any, usage: Any) -> Answer:
    items = [_thought(message.get("reasoning_content") or ""), _said(message.get("content") or "")]
    for call in message.get("tool_calls") or ():
        items.append(_called(call["id"], call["function"]["name"], call["function"]["arguments"]))
    return Answer(id=envelope["id"], items=joined(items), finish=finish, usage=chat_usage(usage))


def chat_usage(usage: Any) -> Usage:
    """Chat's counters."""
    prompt, completion = (usage.get(f"{side}_tokens_details") or {} for side in ("prompt", "completion"))
    return {
        "prompt": usage["prompt_tokens"],
        "cached": prompt.get("cached_tokens") or 0,
        "cache_write": prompt.get("cache_write_tokens") or 0,
        "completion": usage["completion_tokens"],
        "reasoning": completion.get("reasoning_tokens") or 0,
        "total": usage["total_tokens"],
    }


# ---- Responses


def _responses_whole(tree: Any) -> Answer:
    assert tree["object"] == "response"
    return _responses_answer(tree, tree["output"])


def _responses_streamed(stream: list[Any]) -> Answer:
    """The items by their deltas, compared with the `done` events and with the final response."""
    assert [event["sequence_number"] for event in stream] == list(range(len(stream)))
    texts: dict[tuple[int, str], str] = {}
    items: dict[int, Any] = {}
    for event in stream:
        name: str = event["type"]
        if name.endswith(".delta"):
            key = event["output_index"], name.removesuffix(".delta")
            texts[key] = texts.get(key, "") + event["delta"]
        elif name == "response.output_item.done":
            items[event["output_index"]] = event["item"]
    final = stream[-1]["response"]
    assert stream[-1]["type"] == f"response.{final['status']}"
    assert [items[index] for index in sorted(items)] == final["output"]
    for (index, name), text in texts.items():
        item = items[index]
        match name:
            case "response.output_text":
                assert text == "".join(part["text"] for part in item["content"])
            case "response.function_call_arguments":
                assert text == item["arguments"]
            case "response.reasoning_text":
                assert text == "".join(part["text"] for part in item["content"])
            case _:
                assert text == "".join(part["text"] for part in item["summary"])
    return _responses_answer(final, final["output"])


def _responses_answer(envelope: Any, output: list[Any]) -> Answer:
    items: list[Item] = []
    for item in output:
        match item["type"]:
            case "reasoning":
                text = "".join(part["text"] for part in [*item["summary"], *(item.get("content") or ())])
                items.append(_thought(text, item.get("encrypted_content") or ""))
            case "message":
                items += [_said(part["text"]) for part in item["content"]]
            case "function_call":
                items.append(_called(item["call_id"], item["name"], item["arguments"]))
            case other:
                raise AssertionError(f"an item of type {other}")
    details = envelope["incomplete_details"]
    finish = envelope["status"] + (f":{details['reason']}" if details else "")
    return Answer(
        id=envelope["id"], items=tuple(items), finish=finish, usage=responses_usage(envelope["usage"])
    )


def responses_usage(usage: Any) -> Usage:
    """The counters of Responses."""
    read, written = (usage.get(f"{side}_tokens_details") or {} for side in ("input", "output"))
    return {
        "input": usage["input_tokens"],
        "cached": read.get("cached_tokens") or 0,
        "cache_write": read.get("cache_write_tokens") or 0,
        "output": usage["output_tokens"],
        "reasoning": written.get("reasoning_tokens") or 0,
        "total": usage["total_tokens"],
    }


# ---- Messages


def _messages_whole(tree: Any) -> Answer:
    assert tree["type"] == "message"
    return _messages_answer(tree, tree["content"], tree, tree["usage"])


def _messages_streamed(stream: list[Any]) -> Answer:
    message = next(event["message"] for event in stream if event["type"] == "message_start")
    usage = dict(message["usage"])
    blocks: list[Any] = []
    ending: Any = {}
    for event in stream:
        match event["type"]:
            case "content_block_start":
                assert event["index"] == len(blocks)
                blocks.append(event["content_block"] | {"json": ""})
            case "content_block_delta":
                _grow(blocks[event["index"]], event["delta"])
            case "message_delta":
                ending = event["delta"]
                usage |= {name: value for name, value in event["usage"].items() if value is not None}
            case _:
                pass
    assert stream[-1]["type"] == "message_stop"
    return _messages_answer(message, blocks, ending, usage)


def _grow(block: Any, delta: Any) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case _:
            block["json"] += delta["partial_json"]


def _messages_answer(envelope: Any, blocks: list[Any], ending: Any, usage: Any) -> Answer:
    items: list[Item] = []
    for block in blocks:
        match block["type"]:
            case "thinking":
                items.append(_thought(block["thinking"], block["signature"]))
            case "text":
                items.append(_said(block["text"]))
            case "tool_use":
                arguments = block.get("json") or write_json(block["input"])
                items.append(_called(block["id"], block["name"], arguments))
            case other:
                raise AssertionError(f"a block of type {other}")
    return Answer(
        id=envelope["id"],
        items=tuple(items),
        finish=ending["stop_reason"],
        stop_sequence=ending["stop_sequence"],
        usage=messages_usage(usage),
    )


def messages_usage(usage: Any) -> Usage:
    """The counters of Messages."""
    details = usage.get("output_tokens_details") or {}
    return {
        "input": usage["input_tokens"],
        "cache_write": usage["cache_creation_input_tokens"],
        "cache_read": usage["cache_read_input_tokens"],
        "output": usage["output_tokens"],
        "thinking": details.get("thinking_tokens") or 0,
    }


# ---- Gemini


def _gemini_whole(tree: Any) -> Answer:
    return _gemini_streamed([tree])


def _gemini_streamed(chunks: list[Any]) -> Answer:
    items: list[Item] = []
    finish = ""
    for chunk in chunks:
        candidate = chunk["candidates"][0]
        for part in candidate.get("content", {}).get("parts", ()):
            items.append(_gemini_item(part))
        finish = candidate.get("finishReason") or finish
    last = chunks[-1]
    assert {chunk["responseId"] for chunk in chunks} == {last["responseId"]}
    return Answer(
        id=last["responseId"],
        items=joined(items),
        finish=finish,
        usage=gemini_usage(last["usageMetadata"]),
    )


def _gemini_item(part: Any) -> Item:
    signature = part.get("thoughtSignature") or ""
    if call := part.get("functionCall"):
        return _called(call.get("id") or "", call["name"], write_json(call["args"]), signature)
    text = part["text"]
    return _thought(text, signature) if part.get("thought") else _said(text)._replace(signature=signature)


def gemini_usage(usage: Any) -> Usage:
    """The counters of Gemini; absent ones are zero."""
    return {
        "prompt": usage["promptTokenCount"],
        "cached": usage.get("cachedContentTokenCount") or 0,
        "candidates": usage.get("candidatesTokenCount") or 0,
        "thoughts": usage.get("thoughtsTokenCount") or 0,
        "total": usage["totalTokenCount"],
    }


_READERS: dict[str, tuple[Callable[[Any], Answer], Callable[[list[Any]], Answer]]] = {
    "openai_chat": (_chat_whole, _chat_streamed),
    "openai_responses": (_responses_whole, _responses_streamed),
    "anthropic": (_messages_whole, _messages_streamed),
    "gemini": (_gemini_whole, _gemini_streamed),
}
