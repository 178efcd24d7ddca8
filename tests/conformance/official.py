"""The official types as judges: what crosses the gateway, in both directions, against tables and SDK models."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from anthropic import types as anthropic_types
from google.genai import types as google_types
from openai.types import chat as chat_types
from openai.types import responses as responses_types
from pydantic import BaseModel, TypeAdapter

from tests.conformance.native_requests import camel_cased
from tests.simulator.test_wire_types import RESPONSE_EVENT_TYPES
from tests.wire_tables import TABLES, check, check_event

EXTENSIONS = {
    "openai_chat": frozenset({"reasoning_content", "reasoning_details", "extra_content"}),
    "openai_responses": frozenset({"frequency_penalty", "presence_penalty", "store"}),
    "anthropic": frozenset[str](),
    "gemini": frozenset[str](),
}
"""Members beyond the official types: what chat servers and clients have agreed on (protocols.md 2.3), and what the
Responses API answers with although its SDK has no field for it."""
_KNOWN_MODEL = {"model": "claude-opus-5-5"}
"""The type of Messages lists model names."""
_REQUESTS = {
    "openai_chat": ("CompletionCreateParamsStreaming", "openai_chat_types"),
    "openai_responses": ("ResponseCreateParamsStreaming", "openai_responses_types"),
    "anthropic": ("MessageCreateParamsStreaming", "anthropic_types"),
}
_ANSWERS = {
    "openai_chat": ("ChatCompletion", "openai_chat_types"),
    "openai_responses": ("Response", "openai_responses_types"),
    "anthropic": ("Message", "anthropic_types"),
    "gemini": ("GenerateContentResponse", "gemini_types"),
}
_MESSAGE_EVENTS = {
    "message_start": "RawMessageStartEvent",
    "message_delta": "RawMessageDeltaEvent",
    "message_stop": "RawMessageStopEvent",
    "content_block_start": "RawContentBlockStartEvent",
    "content_block_delta": "RawContentBlockDeltaEvent",
    "content_block_stop": "RawContentBlockStopEvent",
}
_GEMINI_LISTS = {"contents": "Content", "tools": "Tool", "safetySettings": "SafetySetting"}
_GEMINI_OBJECTS = {"systemInstruction": "Content", "toolConfig": "ToolConfig"}

_WHOLE: dict[str, Any] = {
    "openai_chat": TypeAdapter(chat_types.ChatCompletion),
    "openai_responses": TypeAdapter(responses_types.Response),
    "anthropic": TypeAdapter(anthropic_types.Message),
    "gemini": TypeAdapter(google_types.GenerateContentResponse),
}
_EVENT: dict[str, Any] = {
    "openai_chat": TypeAdapter(chat_types.ChatCompletionChunk),
    "openai_responses": TypeAdapter(responses_types.ResponseStreamEvent),
    "anthropic": TypeAdapter(anthropic_types.RawMessageStreamEvent),
    "gemini": TypeAdapter(google_types.GenerateContentResponse),
}


def request_problems(protocol: str, body: bytes) -> list[str]:
    """What an upstream's official request type does not know or misses in a request."""
    tree = json.loads(body)
    if protocol == "gemini":
        return _gemini_request_problems(camel_cased(tree))
    if protocol == "openai_responses":
        tree["input"] = [_identified(item) for item in tree["input"]]
    type_, table = _REQUESTS[protocol]
    tree |= {"stream": True} | (_KNOWN_MODEL if protocol == "anthropic" else {})
    return check(tree, type_, table, EXTENSIONS[protocol])


def _identified(item: Any) -> Any:
    """The type requires an id of thoughts, but what was not stored has none that OpenAI would know."""
    return {"id": "rs_0", **item} if item.get("type") == "reasoning" else item


def _gemini_request_problems(tree: Any) -> list[str]:
    """The SDK has no type for the body: its parts are checked one by one, their places by `gemini_wire.tsv`."""
    problems = [f"$.{name}: unknown" for name in tree.keys() - _gemini_places("parent_object") - {"contents"}]
    problems = [one for one in problems if one != "$.generationConfig: unknown"]
    for name, type_ in _GEMINI_LISTS.items():
        for item in tree.get(name, ()):
            problems += check(item, type_, "gemini_types")
    for name, type_ in _GEMINI_OBJECTS.items():
        if name in tree:
            problems += check(tree[name], type_, "gemini_types")
    config = tree.get("generationConfig", {})
    misplaced = config.keys() - _gemini_places("to_object")
    problems += [f"$.generationConfig.{name}: does not belong here" for name in misplaced]
    return problems + check(config, "GenerateContentConfig", "gemini_types")


@cache
def _gemini_places(container: str) -> frozenset[str]:
    """Where the SDK puts the members of its configuration: beside `contents` or into `generationConfig`."""
    with (TABLES / "gemini_wire.tsv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="\t"))[2:]
    return frozenset(
        row[5] for row in rows if row[:3] == ["GenerateContentConfig", "to", "mldev"] and row[4] == container
    )


def answer_problems(protocol: str, body: bytes) -> list[str]:
    """What the official type of a client's answer, whole or event by event, does not know or misses."""
    if body.startswith(b"{"):
        return check(_with_known_model(protocol, json.loads(body)), *_ANSWERS[protocol], EXTENSIONS[protocol])
    return [problem for name, data in _events(body) for problem in _event_problems(protocol, name, data)]


def _event_problems(protocol: str, name: str, data: bytes) -> list[str]:
    tree = json.loads(data)
    match protocol:
        case "openai_chat":
            return check(tree, "ChatCompletionChunk", "openai_chat_types", EXTENSIONS[protocol])
        case "openai_responses":
            typed = check(tree, RESPONSE_EVENT_TYPES[name], "openai_responses_types", EXTENSIONS[protocol])
            return typed + check_event("or", name, set(tree))
        case "gemini":
            return check(tree, "GenerateContentResponse", "gemini_types")
        case _:
            return _message_event_problems(name, tree)


def _message_event_problems(name: str, tree: Any) -> list[str]:
    if name == "message_start":
        tree["message"] |= _KNOWN_MODEL
    problems = check(tree, _MESSAGE_EVENTS[name], "anthropic_types") if name in _MESSAGE_EVENTS else []
    if name != "content_block_delta":
        return problems + check_event("am", name, set(tree))
    return problems + check_event("am", f"{name}:{tree['delta']['type']}", {"index"} | set(tree["delta"]))


def _with_known_model(protocol: str, tree: Any) -> Any:
    return tree | _KNOWN_MODEL if protocol == "anthropic" else tree


def _events(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and data; the end marker of Chat is none."""
    for block in body.replace(b"\r\n", b"\n").split(b"\n\n"):
        name = block.partition(b"event: ")[2].partition(b"\n")[0].decode()
        data = block.partition(b"data: ")[2]
        if data and data != b"[DONE]":
            yield name, data


def sdk_problems(protocol: str, body: bytes) -> list[str]:
    """Members the SDK's own strict model has no field for; a type error is raised by the model itself."""
    if body.startswith(b"{"):
        return _extras(_WHOLE[protocol].validate_json(body, strict=True), protocol)
    return [
        extra
        for name, data in _events(body)
        if name != "ping"  # the SDK has no type for it and skips it
        for extra in _extras(_EVENT[protocol].validate_json(data, strict=True), protocol)
    ]


def _extras(value: Any, protocol: str, path: str = "$") -> list[str]:
    if isinstance(value, list):
        items: list[Any] = value
        return [
            one for index, item in enumerate(items) for one in _extras(item, protocol, f"{path}[{index}]")
        ]
    if not isinstance(value, BaseModel):
        return []
    found = [f"{path}.{name}" for name in (value.model_extra or {}) if name not in EXTENSIONS[protocol]]
    return found + [
        one
        for name in type(value).model_fields
        for one in _extras(getattr(value, name), protocol, f"{path}.{name}")
    ]
