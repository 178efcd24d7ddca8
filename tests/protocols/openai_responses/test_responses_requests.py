"""Requests of this protocol: decoded, encoded again, and refused where they are not valid."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiclient2api.errors import MalformedMessage
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
from tests.protocols.openai_responses.responses_wire import (
    CONVERTER,
    decode,
    encode,
    foreign,
    losses,
    normal,
    wire,
)

PNG = "data:image/png;base64,iVBO"
SCHEMA = {"type": "object", "properties": {"t": {"type": "number", "default": 1.5}}}

ROUND_TRIPS: dict[str, dict[str, Any]] = {
    "text input": {"model": "m", "input": "hi"},
    "no input": {"model": "m", "prompt": {"id": "pmpt_1", "version": "2"}},
    "empty input": {"model": "m", "input": []},
    "instructions": {"model": "m", "instructions": "be brief", "input": "hi"},
    "easy messages": {
        "model": "m",
        "input": [
            {"role": "system", "content": "s"},
            {"role": "developer", "content": [{"type": "input_text", "text": "d"}]},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
            {"role": "user", "content": []},
        ],
    },
    "typed messages": {
        "model": "m",
        "input": [
            {"type": "message", "role": "user", "content": "hi"},
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "phase": "commentary",
                "content": [
                    {"type": "output_text", "text": "a", "annotations": [], "logprobs": []},
                    {"type": "output_text", "text": "b"},
                    {"type": "refusal", "refusal": "no"},
                ],
            },
            {"type": "message", "id": "msg_2", "role": "assistant", "content": []},
        ],
    },
    "media": {
        "model": "m",
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "see", "prompt_cache_breakpoint": {"mode": "explicit"}},
                    {"type": "input_image", "image_url": PNG, "detail": "high"},
                    {"type": "input_image", "image_url": "https://a/b.png"},
                    {"type": "input_image", "file_id": "file_1", "detail": "auto"},
                    {
                        "type": "input_file",
                        "filename": "a.pdf",
                        "file_data": "data:application/pdf;base64,JVBE",
                    },
                    {"type": "input_file", "file_data": "JVBE"},
                    {"type": "input_file", "file_url": "https://a/b.pdf", "detail": "low"},
                    {"type": "input_file", "file_id": "file_2"},
                    {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
                    {"type": "input_hologram", "data": 1.50},
                ],
            }
        ],
    },
    "tools in the history": {
        "model": "m",
        "input": [
            {"role": "user", "content": "go"},
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "A"}, {"type": "summary_text", "text": "B"}],
                "encrypted_content": "gAAA",
            },
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]},
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "call_1",
                "name": "f",
                "arguments": '{"t":1.50}',
                "status": "completed",
                "caller": {"type": "direct"},
            },
            {
                "type": "custom_tool_call",
                "call_id": "call_2",
                "name": "g",
                "input": "SELECT 1",
                "namespace": "n",
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "ok"},
            {
                "type": "custom_tool_call_output",
                "call_id": "call_2",
                "output": [{"type": "input_text", "text": "t"}, {"type": "input_image", "image_url": PNG}],
            },
            {"type": "function_call_output", "name": "h", "output": "by name"},
            {"role": "user", "content": "next"},
        ],
    },
    "raw reasoning": {
        "model": "m",
        "input": [
            {
                "type": "reasoning",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "R"}],
                "status": "completed",
            },
            {"type": "reasoning", "id": "rs_2", "summary": [], "content": []},
        ],
    },
    "hosted and steering items": {
        "model": "m",
        "input": [
            {"type": "configuration_update", "reasoning": {"effort": "low"}},
            {"role": "user", "content": "go"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "q"}},
            {"type": "item_reference", "id": "msg_9"},
            {"id": "msg_8"},
            {"type": "shell_call", "id": "sh_1", "call_id": "c", "action": {"commands": ["ls"]}},
            {"type": "shell_call_output", "call_id": "c", "output": []},
            {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
            {"type": "compaction", "encrypted_content": "gBBB"},
            {"type": "telepathy", "number": 1.50},
        ],
    },
    "all settings": {
        "model": "m",
        "input": "hi",
        "max_output_tokens": 5,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_logprobs": 2,
        "include": ["message.output_text.logprobs", "web_search_call.results"],
        "reasoning": {"effort": "high", "summary": "detailed", "mode": "pro", "context": "all_turns"},
        "text": {
            "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True},
            "verbosity": "low",
            "tone": "dry",
        },
        "parallel_tool_calls": False,
        "max_tool_calls": 3,
        "truncation": "auto",
        "store": False,
        "previous_response_id": "resp_1",
        "background": False,
        "stream": True,
        "stream_options": {"include_obfuscation": False},
        "metadata": {"a": "b"},
        "service_tier": "flex",
        "safety_identifier": "u",
        "prompt_cache_key": "k",
        "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
        "moderation": {"model": "omni"},
        "a_new_member": 1.5,
    },
    "other words for the same": {
        "model": "m",
        "input": "hi",
        "user": "u",
        "conversation": {"id": "conv_1"},
        "reasoning": {"generate_summary": "auto", "effort": "galactic"},
        "text": {"format": {"type": "json_object"}},
    },
    "an unknown format": {"model": "m", "input": "hi", "text": {"format": {"type": "grammar"}}},
    "tools": {
        "model": "m",
        "input": "hi",
        "tools": [
            {"type": "function", "name": "f", "parameters": SCHEMA, "strict": True, "description": "d"},
            {"type": "function", "name": "g", "defer_loading": True, "output_schema": SCHEMA},
            {"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "lark"}},
            {"type": "web_search_2025_08_26", "filters": {"allowed_domains": ["a.b"]}},
        ],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "mcp", "server_label": "x"}],
        },
    },
    "one tool": {"model": "m", "input": "hi", "tool_choice": {"type": "custom", "name": "sql"}},
    "a hosted tool": {"model": "m", "input": "hi", "tool_choice": {"type": "web_search"}},
    "no tool": {"model": "m", "input": "hi", "tool_choice": "none"},
}


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


INVALID: dict[str, tuple[Any, str]] = {
    "no model": ({"input": "hi"}, "model"),
    "empty model": ({"model": "", "input": "hi"}, "model"),
    "model is a number": ({"model": 3}, "model"),
    "input is a number": ({"model": "m", "input": 3}, "input"),
    "item is a string": ({"model": "m", "input": ["x"]}, "input[0]"),
    "item without type": ({"model": "m", "input": [{}]}, "input[0].type"),
    "unknown role": ({"model": "m", "input": [{"role": "tool", "content": ""}]}, "input[0].role"),
    "message without content": ({"model": "m", "input": [{"role": "user"}]}, "input[0].content"),
    "part without text": (
        {"model": "m", "input": [{"role": "user", "content": [{"type": "input_text"}]}]},
        "input[0].content[0].text",
    ),
    "image without source": (
        {"model": "m", "input": [{"role": "user", "content": [{"type": "input_image"}]}]},
        "input[0].content[0]",
    ),
    "call without name": (
        {"model": "m", "input": [{"type": "function_call", "call_id": "c", "arguments": ""}]},
        "input[0].name",
    ),
    "arguments are an object": (
        {"model": "m", "input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}]},
        "input[0].arguments",
    ),
    "result without call": (
        {"model": "m", "input": [{"type": "function_call_output", "output": ""}]},
        "input[0].call_id",
    ),
    "tool without name": ({"model": "m", "tools": [{"type": "function"}]}, "tools[0].name"),
    "parameters are a list": (
        {"model": "m", "tools": [{"type": "function", "name": "f", "parameters": []}]},
        "tools[0].parameters",
    ),
    "unknown tool_choice": ({"model": "m", "tool_choice": "maybe"}, "tool_choice"),
    "temperature is a string": ({"model": "m", "temperature": "hot"}, "temperature"),
    "stream is a string": ({"model": "m", "stream": "yes"}, "stream"),
    "schema is missing": (
        {"model": "m", "text": {"format": {"type": "json_schema", "name": "n"}}},
        "text.format.schema",
    ),
    "effort is a number": ({"model": "m", "reasoning": {"effort": 1}}, "reasoning.effort"),
    "include is a string": ({"model": "m", "include": "x"}, "include"),
}


@pytest.mark.parametrize(("body", "path"), INVALID.values(), ids=INVALID.keys())
def test_invalid_request_is_refused_with_its_path(body: Any, path: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        decode(body)

    assert caught.value.path == path


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff", b'{"model":"\\ud800"}', b"[" * 5000])
def test_other_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        CONVERTER.decode_request(WireRequest(path="/v1/responses", body=body))


_KEYS = st.sampled_from(
    [
        "type",
        "role",
        "content",
        "text",
        "id",
        "status",
        "call_id",
        "name",
        "arguments",
        "output",
        "summary",
        "encrypted_content",
        "input_image",
        "image_url",
        "file_data",
        "detail",
        "annotations",
        "logprobs",
        "refusal",
        "prompt_cache_breakpoint",
    ]
)
_TYPES = st.sampled_from(
    [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "input_text",
        "input_image",
        "input_file",
        "output_text",
        "refusal",
        "item_reference",
        "user",
        "assistant",
        "developer",
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | _TYPES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_KEYS | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries(
        {"model": st.just("m")},
        optional={
            "input": _JSON,
            "tools": _JSON,
            "tool_choice": _JSON,
            "text": _JSON,
            "reasoning": _JSON,
            "include": _JSON,
            "metadata": _JSON,
            "conversation": _JSON,
        },
    )
)
def test_any_json_object_is_decoded_or_refused(body: dict[str, Any]) -> None:
    try:
        request = decode(body)
    except MalformedMessage:
        return

    assert CONVERTER.encode_request(request, DEFAULT_PROFILE).losses == []


def test_messages_of_refusals_do_not_repeat_content() -> None:
    secret = "sk-verysecret"

    with pytest.raises(MalformedMessage) as caught:
        decode({"model": "m", "input": [{"role": "user", "content": {"key": secret}}]})

    assert secret not in str(caught.value)


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
    (endpoint,) = CONVERTER.endpoints

    assert endpoint.path.fullmatch(wire({}).path)
    assert not endpoint.path.fullmatch("/v1/responses/resp_1")
