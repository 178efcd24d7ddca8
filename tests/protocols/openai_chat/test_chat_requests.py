"""Requests of clients: what they become and what must survive."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiclient2api.ir.parts import FileRef, Inline, Media, Native, Shape, Text, ToolCall, ToolResult, Url
from aiclient2api.ir.request import CustomTool, FunctionTool, HostedTool
from aiclient2api.protocols.profile import DEFAULT_PROFILE, ModelProfile
from tests.protocols.openai_chat.chat_requests import CALL, ROUND_TRIPS, USER
from tests.protocols.openai_chat.chat_wire import (
    CONVERTER,
    chat,
    decode,
    encode,
    losses,
    turn,
    wire,
    without_nulls,
)


@pytest.mark.parametrize("body", ROUND_TRIPS.values(), ids=ROUND_TRIPS.keys())
def test_a_request_survives_the_ir_without_loss(body: dict[str, Any]) -> None:
    request = decode(body)
    assert encode(request) == without_nulls(body) | {"messages": body["messages"]}
    assert losses(request) == []


def test_exact_texts_survive_byte_for_byte() -> None:
    body = (
        b'{"model":"m","messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function",'
        b'"function":{"name":"f","arguments":"{\\"t\\": 1.50}"}}]}],"tools":[{"type":"function","function":'
        b'{"name":"f","parameters":{"maximum":1.50,"enum":[1e2]}}}],"x_new":1.500}'
    )
    encoded = CONVERTER.encode_request(decode(body), DEFAULT_PROFILE).wire.body
    assert b'"parameters":{"maximum":1.50,"enum":[1e2]}' in encoded
    assert b'"arguments":"{\\"t\\": 1.50}"' in encoded
    assert b'"x_new":1.500' in encoded


def test_a_stream_is_always_asked_for_its_usage() -> None:
    request = decode(chat(USER, stream=True))
    assert not request.include_usage
    assert encode(request)["stream_options"] == {"include_usage": True}


def test_every_kind_of_content_has_its_part() -> None:
    parts = turn(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "high"}},
                {"type": "image_url", "image_url": {"url": "https://x/y"}},
                {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
                {
                    "type": "file",
                    "file": {"file_data": "data:application/pdf;base64,AA", "filename": "f.pdf"},
                },
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "other"},
            ],
        }
    ).parts
    assert parts[:6] == [
        Text(text="a"),
        Media(kind="image", source=Inline("image/png", "AA"), detail="high"),
        Media(kind="image", source=Url("https://x/y")),
        Media(kind="audio", source=Inline("audio/wav", "AA")),
        Media(kind="document", source=Inline("application/pdf", "AA"), filename="f.pdf"),
        Media(kind="file", source=FileRef("file-1", protocol="openai_chat")),
    ]
    assert isinstance(parts[6], Native) and parts[6].wire_type == "other"


def test_tool_messages_in_a_row_are_one_turn() -> None:
    request = decode(
        chat(
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "1"},
            {"role": "tool", "tool_call_id": "call_2", "content": "2"},
        )
    )
    assert [each.role for each in request.turns] == ["assistant", "tool"]
    results = request.turns[1].parts
    assert [part.call_id for part in results if isinstance(part, ToolResult)] == ["call_1", "call_2"]
    assert [part.new_item for part in results] == [False, True]


def test_the_result_of_a_custom_call_knows_its_kind() -> None:
    request = decode(ROUND_TRIPS["custom call"])
    result = request.turns[1].parts[0]
    assert isinstance(result, ToolResult) and result.kind == "custom"


def test_a_legacy_result_has_the_id_of_its_call() -> None:
    request = decode(ROUND_TRIPS["legacy functions"])
    call, result = request.turns[1].parts[0], request.turns[2].parts[0]
    assert isinstance(call, ToolCall) and call.synthetic_id and call.shape & Shape.LEGACY_FUNCTION
    assert isinstance(result, ToolResult) and result.call_id == call.call_id


def test_tools_have_their_kinds() -> None:
    kinds = [type(tool) for tool in decode(ROUND_TRIPS["tools"]).tools]
    assert kinds == [FunctionTool, CustomTool, FunctionTool, HostedTool, FunctionTool]


def test_embeddings_go_through() -> None:
    body = {"model": "m", "input": ["a"], "encoding_format": "base64"}
    request = CONVERTER.decode_request(wire(body, "/v1/embeddings"))
    encoded = CONVERTER.encode_request(request, DEFAULT_PROFILE)
    assert request.operation == "embed"
    assert (encoded.wire.path, json.loads(encoded.wire.body)) == ("/embeddings", body)


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.5, "top_p": 0.9, "top_k": 40, "logit_bias": {"1": -100.0}},
        {"stop": list("abcde")},
        {"max_tokens": 5},
        {"max_completion_tokens": 5},
        {"max_tokens": 4, "max_completion_tokens": 5},
        {"reasoning_effort": "high"},
    ],
    ids=lambda settings: " and ".join(settings),
)
@pytest.mark.parametrize(
    "profile",
    [
        ModelProfile(sampling=False, stop=False, thinking="none"),
        ModelProfile(max_tokens_field="max_tokens", developer_role=False, stop_limit=1),
    ],
    ids=["thinking model", "compatible server"],
)
def test_a_request_of_this_protocol_keeps_its_settings_whatever_the_model_takes(
    settings: dict[str, Any], profile: ModelProfile
) -> None:
    body = chat({"role": "developer", "content": "D"}, USER, **settings)
    request = decode(body)
    assert encode(request, profile) == body
    assert losses(request, profile) == []
