"""A call that the end of its answer cut off reaches no client as a whole one."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests.protocols.exchanges import ASKS, chat, content, message, response, streamed, whole

Events = list[dict[str, Any]]
CUT: Final = '{"path":"notes/a","conf'


def call(arguments: str) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}}


def chat_events(arguments: str, finish: str, *, more: str = "") -> Events:
    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [choice],
        }

    second = {"index": 1, **call(more), "id": "call_2"}
    return [
        chunk({"role": "assistant", "tool_calls": [{"index": 0, **call(arguments)}]}),
        *([chunk({"tool_calls": [second]})] if more else []),
        chunk({}, finish),
    ]


def message_events(arguments: str, stop: str) -> Events:
    block = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    piece = {"type": "input_json_delta", "partial_json": arguments}
    return [
        {"type": "message_start", "message": message([], None)},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *([{"type": "content_block_delta", "index": 0, "delta": piece}] if arguments else []),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]


STREAMS: Final[dict[str, tuple[str, Events]]] = {
    "Chat's": ("openai_chat", chat_events(CUT, "length")),
    "Chat's without any argument": ("openai_chat", chat_events("", "length")),
    "Claude's": ("anthropic", message_events(CUT, "max_tokens")),
    "Claude's without any argument": ("anthropic", message_events("", "max_tokens")),
}
WHOLES: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "Chat's": ("openai_chat", chat({"content": None, "tool_calls": [call(CUT)]}, "length")),
    "Chat's without any argument": (
        "openai_chat",
        chat({"content": None, "tool_calls": [call("")]}, "length"),
    ),
    "Claude's, whose arguments are closed for the reader": (
        "anthropic",
        message([{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"path": "/t"}}], "max_tokens"),
    ),
    "Responses'": (
        "openai_responses",
        response(
            [
                {
                    "type": "function_call",
                    "id": "fc_1",
                    "call_id": "call_1",
                    "name": "f",
                    "arguments": CUT,
                    "status": "incomplete",
                }
            ],
            status="incomplete",
            incomplete_details={"reason": "max_output_tokens"},
        ),
    ),
}
PAIRS: Final = [
    (name, client) for name, (upstream, _) in STREAMS.items() for client in ASKS if client != upstream
]
UNARY: Final = [
    (name, client) for name, (upstream, _) in WHOLES.items() for client in ASKS if client != upstream
]


@pytest.mark.parametrize(("name", "client"), PAIRS)
def test_no_stream_closes_a_call_that_was_cut_off(name: str, client: str) -> None:
    upstream, events = STREAMS[name]
    stream, told, losses = streamed(client, upstream, events)
    match client:
        case "openai_responses":
            done = [json.loads(line[6:]) for line in told.splitlines() if line.startswith("data: ")]
            assert "function_call_arguments.done" not in told
            assert done[-1]["response"]["status"] == "incomplete"
            assert [item["status"] for item in done[-1]["response"]["output"]] == ["incomplete"]
        case "openai_chat":
            assert '"finish_reason":"length"' in told
            # Claude's own stream begins with an empty object, so the finish reason alone says it
            assert upstream == "anthropic" or "{}" not in told.replace('"delta":{}', "")
        case "anthropic":
            assert stream.failure is not None and "content_block_stop" not in told
        case _:
            assert "functionCall" not in told and "MAX_TOKENS" in told
            assert ("tool_call", "dropped") in {(loss.feature, loss.act) for loss in losses}


@pytest.mark.parametrize(("name", "client"), UNARY)
def test_no_answer_shows_a_call_that_was_cut_off_as_whole(name: str, client: str) -> None:
    upstream, body = WHOLES[name]
    answer = whole(client, upstream, body)
    told = json.loads(answer.response.body)
    losses = {(loss.feature, loss.act) for loss in answer.losses}
    match client:
        case "openai_responses":
            assert told["status"] == "incomplete"
            assert [item["status"] for item in told["output"]] == ["incomplete"]
        case "openai_chat":
            assert told["choices"][0]["finish_reason"] == "length"
            assert told["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] != "{}"
        case "anthropic":
            assert told["stop_reason"] == "max_tokens" and list(told["content"][0]["input"]) == ["_raw"]
            assert ("tool_call.arguments", "emulated") in losses
        case _:
            assert told["candidates"][0]["finishReason"] == "MAX_TOKENS"
            assert told["candidates"][0]["content"]["parts"] == [] and ("tool_call", "dropped") in losses


def test_a_call_of_google_that_does_not_go_on_is_cut_off() -> None:
    part = {"functionCall": {"name": "f", "willContinue": True, "partialArgs": []}}
    piece = {"functionCall": {"partialArgs": [{"jsonPath": "$.a", "stringValue": "x"}], "willContinue": True}}
    events = [content([part]), content([piece]), content([], finishReason="MAX_TOKENS")]
    _, told, _ = streamed("openai_responses", "gemini", events)
    assert '"status":"incomplete","arguments"' in told and '"status":"completed"' not in told


@pytest.mark.parametrize(
    ("arguments", "finish"), [("{}", "length"), ("", "tool_calls"), ('{"a":1}', "length")]
)
def test_a_whole_call_stays_completed(arguments: str, finish: str) -> None:
    _, told, losses = streamed("openai_responses", "openai_chat", chat_events(arguments, finish))
    assert "function_call_arguments.done" in told and '"status":"completed","arguments"' in told
    assert not [loss for loss in losses if loss.feature.startswith("tool_call")]


def test_only_the_last_call_without_arguments_is_cut_off() -> None:
    _, told, _ = streamed("openai_responses", "openai_chat", chat_events("", "length", more=CUT))
    last = json.loads(told.split("data: ")[-1])["response"]["output"]
    assert [item["status"] for item in last] == ["completed", "incomplete"]


def test_broken_arguments_are_not_completed_whatever_the_end() -> None:
    answer = whole(
        "openai_responses",
        "openai_chat",
        chat({"content": None, "tool_calls": [call(CUT)]}, "tool_calls"),
    )
    assert json.loads(answer.response.body)["output"][0]["status"] == "incomplete"


def test_a_call_that_is_missing_makes_the_end_no_normal_one() -> None:
    cut = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": CUT}
    body = response([{**cut, "status": "incomplete"}], status="completed")
    told = json.loads(whole("gemini", "openai_responses", body).response.body)
    assert told["candidates"][0]["finishReason"] == "MALFORMED_FUNCTION_CALL"
    done = {"type": "response.completed", "response": body}
    created = {"type": "response.created", "response": response([], status="in_progress")}
    _, events, _ = streamed("gemini", "openai_responses", [created, done])
    assert "MALFORMED_FUNCTION_CALL" in events and "functionCall" not in events


def test_no_arguments_are_an_empty_object_to_clients_that_parse_them() -> None:
    body = chat({"content": None, "tool_calls": [call("")]}, "tool_calls")
    told = json.loads(whole("openai_responses", "openai_chat", body).response.body)
    assert told["output"][0]["arguments"] == "{}"
    _, events, _ = streamed("openai_responses", "openai_chat", chat_events("", "tool_calls"))
    assert '"delta":"{}"' in events and '"arguments":"{}"' in events
