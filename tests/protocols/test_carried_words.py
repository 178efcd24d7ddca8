"""What is said about a text and has no place at another protocol's client: its phase and its sources go along sealed."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from aiclient2api.ir.loss import Loss
from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.wire.http import WireRequest
from tests.protocols.exchanges import FACTORY, message, response, streamed, whole

COMMENTARY: Final[dict[str, Any]] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "phase": "commentary",
    "content": [{"type": "output_text", "text": "I look it up.", "annotations": []}],
}
CALL: Final[dict[str, Any]] = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "c1",
    "name": "f",
    "arguments": "{}",
}
PLACE: Final[dict[str, Any]] = {
    "type": "char_location",
    "cited_text": "sixteen",
    "document_index": 0,
    "document_title": "Report",
    "start_char_index": 3,
    "end_char_index": 10,
}
FOUND: Final[dict[str, Any]] = {
    "type": "web_search_result_location",
    "cited_text": "Rain.",
    "encrypted_index": "EqMB",
    "title": "Weather",
    "url": "https://w.example",
}
CITED: Final = [
    {"type": "text", "text": "It says "},
    {"type": "text", "text": "sixteen", "citations": [PLACE]},
    {"type": "text", "text": " and rain.", "citations": [FOUND]},
]
OTHERS: Final = ("openai_chat", "anthropic", "gemini")


def acts(losses: list[Loss], feature: str) -> set[str]:
    return {loss.act for loss in losses if loss.feature == feature}


def echoed(client: str, answer: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The path and the body of the next request of a client that keeps what it was given."""
    results: list[Any]
    match client:
        case "openai_chat":
            said = answer["choices"][0]["message"]
            results = [
                {"role": "tool", "tool_call_id": one["id"], "content": "r"}
                for one in said.get("tool_calls") or ()
            ]
            messages = [{"role": "user", "content": "x"}, said, *results, {"role": "user", "content": "on"}]
            return "/v1/chat/completions", {"model": "m", "messages": messages}
        case "openai_responses":
            items = [{"role": "user", "content": "x"}, *answer["output"], {"role": "user", "content": "on"}]
            return "/v1/responses", {"model": "m", "input": items}
        case "anthropic":
            blocks = answer["content"]
            results = [
                {"type": "tool_result", "tool_use_id": one["id"], "content": "r"}
                for one in blocks
                if one["type"] == "tool_use"
            ]
            turns = [
                ("user", "x"),
                ("assistant", blocks),
                ("user", [*results, {"type": "text", "text": "on"}]),
            ]
            messages = [{"role": role, "content": content} for role, content in turns]
            return "/v1/messages", {"model": "m", "max_tokens": 9, "messages": messages}
        case _:
            said = answer["candidates"][0]["content"]
            results = [
                {
                    "functionResponse": {
                        "id": one["functionCall"]["id"],
                        "name": "f",
                        "response": {"output": "r"},
                    }
                }
                for one in said["parts"]
                if "functionCall" in one
            ]
            contents = [{"role": "user", "parts": [{"text": "x"}]}, said]
            contents.append({"role": "user", "parts": [*results, {"text": "on"}]})
            return "/v1beta/models/m:generateContent", {"contents": contents}


def next_request(client: str, upstream: str, answer: dict[str, Any]) -> tuple[dict[str, Any], list[Loss]]:
    path, body = echoed(client, answer)
    inbound = Inbound(FACTORY[client], WireRequest(path=path, body=json.dumps(body).encode()), "t")
    target = Target(model="m", profile=DEFAULT_PROFILE, streams=False)
    conversion = FACTORY.convert(inbound, upstream, target)
    return json.loads(conversion.request.body), conversion.losses


@pytest.mark.parametrize("client", OTHERS)
def test_the_phase_of_a_message_comes_back_to_the_upstream_that_set_it(client: str) -> None:
    answer = whole(client, "openai_responses", response([COMMENTARY, CALL], status="completed"))
    assert acts(answer.losses, "message.phase") == {"carried"}

    body, losses = next_request(client, "openai_responses", json.loads(answer.response.body))
    said = next(item for item in body["input"] if item.get("role") == "assistant")
    assert (said["content"], said.get("phase")) == ("I look it up.", "commentary")
    assert acts(losses, "message.phase") == set()


@pytest.mark.parametrize("client", OTHERS)
def test_messages_of_different_phases_stay_two(client: str) -> None:
    final = {**COMMENTARY, "id": "msg_2", "phase": "final_answer"}
    answer = whole(client, "openai_responses", response([COMMENTARY, final], status="completed"))
    body, _ = next_request(client, "openai_responses", json.loads(answer.response.body))
    phases = [item["phase"] for item in body["input"] if "phase" in item]
    # Chat has one text in a message
    assert phases == (["commentary"] if client == "openai_chat" else ["commentary", "final_answer"])


@pytest.mark.parametrize("client", OTHERS)
def test_the_phase_of_a_streamed_message_is_carried_too(client: str) -> None:
    item = {**COMMENTARY, "content": []}
    done = response([COMMENTARY], status="completed")
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": response([], status="in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {
            "type": "response.output_text.delta",
            "output_index": 0,
            "content_index": 0,
            "delta": "I look it up.",
        },
        {"type": "response.output_item.done", "output_index": 0, "item": COMMENTARY},
        {"type": "response.completed", "response": done},
    ]
    stream, told, losses = streamed(client, "openai_responses", events)
    assert stream.ended
    assert "I look it up." in told
    assert acts(losses, "message.phase") == {"carried"}


@pytest.mark.parametrize("client", ["openai_chat", "openai_responses", "gemini"])
def test_sources_come_back_to_claude_as_they_were(client: str) -> None:
    answer = whole(client, "anthropic", message(CITED, "end_turn"))
    assert acts(answer.losses, "citation") == {"carried"}
    assert acts(answer.losses, "citation.quote") == {"carried"}

    body, losses = next_request(client, "anthropic", json.loads(answer.response.body))
    blocks = body["messages"][1]["content"]
    cited = [one for block in blocks for one in block.get("citations") or ()]
    assert cited == [PLACE, FOUND]
    assert "".join(block["text"] for block in blocks) == "It says sixteen and rain."
    assert acts(losses, "citation") == set()
    if client != "openai_chat":
        assert [block.get("citations") for block in blocks] == [None, [PLACE], [FOUND]]


@pytest.mark.parametrize("client", ["openai_chat", "openai_responses", "gemini"])
def test_sources_of_a_stream_are_carried_too(client: str) -> None:
    block = {"type": "text", "text": ""}
    usage = {"input_tokens": 1, "output_tokens": 1}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message([], None), "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "sixteen"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": PLACE}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ]
    stream, told, losses = streamed(client, "anthropic", events)
    assert stream.ended
    assert "Z3ctY2Fycnkx" in told
    assert acts(losses, "citation") == {"carried"}


def test_the_texts_of_a_message_stay_one_message() -> None:
    answer = whole("openai_responses", "anthropic", message(CITED, "end_turn"))
    output = json.loads(answer.response.body)["output"]
    assert [item["type"] for item in output] == ["message", "reasoning"]
    assert len(output[0]["content"]) == len(CITED)


def test_sources_that_the_client_left_out_are_named() -> None:
    answer = whole("openai_responses", "anthropic", message(CITED, "end_turn"))
    kept = json.loads(answer.response.body)
    kept["output"] = [item for item in kept["output"] if item["type"] != "message"]
    losses = next_request("openai_responses", "anthropic", kept)[1]
    assert acts(losses, "citation") == {"dropped"}
