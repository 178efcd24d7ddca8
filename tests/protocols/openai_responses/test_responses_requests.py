"""Requests of this protocol: decoded, and encoded again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiclient2api.ir.parts import (
    CacheMark,
    Control,
    HostedCall,
    Inline,
    Media,
    Native,
    Opaque,
    Reasoning,
    Shape,
    Text,
    ToolCall,
    ToolResult,
)
from aiclient2api.ir.request import FunctionTool, HostedTool, Turn
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.wire.http import WireRequest
from tests.protocols.openai_responses.responses_requests import ROUND_TRIPS
from tests.protocols.openai_responses.responses_wire import (
    CONVERTER,
    decode,
    encode,
    foreign,
    losses,
    normal,
    wire,
)


@pytest.mark.parametrize("body", ROUND_TRIPS.values(), ids=ROUND_TRIPS.keys())
def test_request_comes_back_as_it_was(body: dict[str, Any]) -> None:
    request = decode(body)

    assert normal(encode(request)) == body
    assert losses(request) == []


def test_null_members_are_absent_members() -> None:
    body = {
        "model": "m",
        "input": "hi",
        "tools": None,
        "text": {"format": None},
        "metadata": None,
        "new": None,
    }

    assert normal(encode(decode(body))) == {"model": "m", "input": "hi"}


def test_null_schema_and_null_strict_of_a_tool_are_kept() -> None:
    tool = {"type": "function", "name": "f", "parameters": None, "strict": None}

    assert encode(decode({"model": "m", "input": "", "tools": [tool]}))["tools"] == [tool]


def test_number_spelling_of_unknown_members_and_schemas_survives() -> None:
    body = b'{"model":"m","input":"hi","x":1.50,"tools":[{"type":"function","name":"f","parameters":{"a":1.50}}]}'

    request = CONVERTER.decode_request(WireRequest(path="/v1/responses", body=body))
    encoded = CONVERTER.encode_request(request, DEFAULT_PROFILE).wire.body

    assert b'"x":1.50' in encoded
    assert b'"parameters":{"a":1.50}' in encoded


def test_items_of_the_assistant_form_one_turn_with_item_boundaries() -> None:
    request = decode(ROUND_TRIPS["tools in the history"])

    assert [turn.role for turn in request.turns] == ["user", "assistant", "tool", "user"]
    assistant = request.turns[1].parts
    assert [type(part) for part in assistant] == [Reasoning, Text, ToolCall, ToolCall]
    assert all(part.new_item for part in assistant)
    assert assistant[0] == Reasoning(
        id="rs_1", summary=["A", "B"], opaque=Opaque("openai.encrypted", "gAAA"), new_item=True
    )
    results = request.turns[2].parts
    assert results[0] == ToolResult(
        call_id="call_1", parts=[Text(text="ok")], new_item=True, shape=Shape.CONTENT_STRING
    )
    assert isinstance(results[1], ToolResult)
    assert results[1].kind == "custom"


def test_envelope_in_encrypted_content_is_told_apart() -> None:
    item: dict[str, Any] = {"type": "reasoning", "summary": [], "encrypted_content": "Z3ctY2Fycnkxabc"}

    part = decode({"model": "m", "input": [item]}).turns[0].parts[0]

    assert part.opaque == Opaque("envelope", "Z3ctY2Fycnkxabc")


def test_instructions_are_a_hoisted_system_turn() -> None:
    request = decode({"model": "m", "instructions": "s", "input": "hi"})

    assert request.hoisted == 1
    assert request.turns[0] == Turn(role="system", parts=[Text(text="s")], shape=Shape.CONTENT_STRING)
    assert request.turns[1] == Turn(role="user", parts=[Text(text="hi")])


def test_media_and_cache_marks_are_typed() -> None:
    parts = decode(ROUND_TRIPS["media"]).turns[0].parts

    assert parts[0] == Text(text="see", cache=CacheMark())
    assert parts[1] == Media(kind="image", source=Inline("image/png", "iVBO"), detail="high")
    assert isinstance(parts[9], Native)


def test_hosted_items_and_tools_keep_their_text() -> None:
    request = decode(ROUND_TRIPS["hosted and steering items"])

    assert [turn.role for turn in request.turns] == ["developer", "user", "assistant", "tool", "assistant"]
    assert isinstance(request.turns[0].parts[0], Control)
    search = request.turns[2].parts[0]
    assert isinstance(search, HostedCall)
    assert search.family == "web_search"
    tool = decode(ROUND_TRIPS["tools"]).tools[3]
    assert isinstance(tool, HostedTool)
    assert tool.family == "web_search"


def test_settings_reach_the_ir() -> None:
    request = decode(ROUND_TRIPS["all settings"])

    assert request.stream == "sse"
    assert request.max_output == 5
    assert request.sampling.logprobs is True
    assert request.thinking is not None
    assert (request.thinking.effort, request.thinking.show) == ("high", "detailed")
    assert request.output is not None
    assert (request.output.kind, request.output.name) == ("schema", "n")
    assert request.state is not None
    assert (request.state.previous_id, request.state.store) == ("resp_1", False)
    assert request.parallel_tools is False
    assert request.user == "u"


def test_encoding_is_a_prefix_of_the_encoding_of_a_longer_conversation() -> None:
    turns = [
        Turn(role="user", parts=[Text(text="a")]),
        Turn(role="assistant", parts=[Text(text="b"), ToolCall(call_id="c" * 70, name="f", arguments="{}")]),
        Turn(role="tool", parts=[ToolResult(call_id="c" * 70, parts=[Text(text="r")])]),
    ]

    short = encode(foreign(*turns[:2]))["input"]
    long = encode(foreign(*turns))["input"]

    assert long[: len(short)] == short
    assert long[2]["call_id"] == long[3]["call_id"] != "c" * 70


def test_wire_request_is_relative_to_the_account() -> None:
    encoded = CONVERTER.encode_request(decode({"model": "m", "input": "hi"}), DEFAULT_PROFILE).wire

    assert encoded.path == "/responses"
    assert encoded.headers == (("content-type", "application/json"),)
    assert json.loads(encoded.body) == {"model": "m", "input": "hi"}


def test_a_function_without_parameters_from_elsewhere_gets_null_parameters_and_strict_false() -> None:
    request = foreign(Turn(role="user", parts=[Text(text="hi")]), tools=[FunctionTool(name="f")])

    assert encode(request)["tools"] == [
        {"type": "function", "name": "f", "parameters": None, "strict": False}
    ]


def test_decode_refuses_nothing_that_the_endpoint_matches() -> None:
    endpoint, count = CONVERTER.endpoints

    assert count.path.fullmatch("/v1/responses/input_tokens")
    assert endpoint.path.fullmatch(wire({}).path)
    assert not endpoint.path.fullmatch("/v1/responses/resp_1")
