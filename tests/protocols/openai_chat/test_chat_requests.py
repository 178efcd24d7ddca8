"""Requests of clients: what they become, what must survive, what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import (
    FileRef,
    Inline,
    Media,
    Native,
    Opaque,
    Reasoning,
    Shape,
    Text,
    ToolCall,
    ToolResult,
    Url,
)
from aiclient2api.ir.request import CustomTool, FunctionTool, HostedTool
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from tests.protocols.openai_chat.chat_wire import (
    CONVERTER,
    ENVELOPE,
    chat,
    decode,
    encode,
    losses,
    turn,
    wire,
    without_nulls,
)

USER = {"role": "user", "content": "hi"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"t": 1.50}'}}
FUNCTION = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
}
CUSTOM = {
    "type": "custom",
    "custom": {
        "name": "sql",
        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
    },
}

ROUND_TRIPS: dict[str, dict[str, Any]] = {
    "minimal": chat(USER),
    "content as one part": chat({"role": "user", "content": [{"type": "text", "text": "hi"}]}),
    "empty text": chat({"role": "user", "content": ""}),
    "empty list": chat({"role": "user", "content": []}),
    "empty text part": chat({"role": "user", "content": [{"type": "text", "text": ""}]}),
    "instructions anywhere": chat(
        {"role": "system", "content": "S"}, USER, {"role": "developer", "content": "D", "name": "n"}
    ),
    "names": chat({"role": "user", "content": "hi", "name": "Ann"}),
    "several users in a row": chat(USER, USER),
    "image url": chat(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
            ],
        }
    ),
    "image data": chat(
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}],
        }
    ),
    "data url with parameters": chat(
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": "data:image/png;a=b;base64,iVBO"}}],
        }
    ),
    "audio": chat(
        {
            "role": "user",
            "content": [{"type": "input_audio", "input_audio": {"data": "UklG", "format": "mp3"}}],
        }
    ),
    "files": chat(
        {
            "role": "user",
            "content": [
                {
                    "type": "file",
                    "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "a.pdf"},
                },
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "file", "file": {"file_data": "JVBE"}},
            ],
        }
    ),
    "video of compatible servers": chat(
        {
            "role": "user",
            "content": [{"type": "video_url", "video_url": {"url": "https://x/v.mp4", "fps": 2}}],
        }
    ),
    "unknown parts and members": chat(
        {
            "role": "user",
            "content": [{"type": "hologram", "depth": 1.50}, {"type": "text", "text": "x", "new": [1]}],
            "mood": {"a": 1},
        },
        future={"x": 1},
    ),
    "cache marks": chat(
        {
            "role": "system",
            "content": [
                {
                    "type": "text",
                    "text": "S",
                    "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"},
                },
                {"type": "text", "text": "T", "cache_control": {"type": "ephemeral"}},
            ],
        }
    ),
    "calls and results": chat(
        USER,
        {"role": "assistant", "content": None, "tool_calls": [CALL, CALL | {"id": "c" * 60}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "1"},
        {"role": "tool", "tool_call_id": "c" * 60, "content": [{"type": "text", "text": "2"}]},
    ),
    "call with empty arguments": chat(
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}],
        }
    ),
    "assistant without content": chat({"role": "assistant", "tool_calls": [CALL]}),
    "custom call": chat(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        tools=[CUSTOM],
    ),
    "call of an unknown type": chat(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "a", "type": "robot", "robot": {"x": 1}}],
        }
    ),
    "unknown members of a call": chat(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "a",
                    "type": "function",
                    "function": {"name": "f", "arguments": "{}", "k": 1},
                    "z": 2,
                }
            ],
        }
    ),
    "refusals": chat(
        {"role": "assistant", "content": None, "refusal": "no"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    ),
    "spoken answer": chat({"role": "assistant", "audio": {"id": "audio_1"}}),
    "legacy functions": chat(
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    ),
    "native reasoning details": chat(
        {
            "role": "assistant",
            "content": "x",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "t", "signature": "sig", "format": "anthropic-claude-v1"},
                {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", "index": 1},
            ],
        }
    ),
    "tools": chat(
        USER,
        tools=[
            FUNCTION,
            CUSTOM,
            {"type": "function", "function": {"name": "g"}},
            {"type": "retrieval", "x": 1},
            {
                "type": "function",
                "function": {"name": "h", "x": 1},
                "cache_control": {"type": "ephemeral"},
                "y": 2,
            },
        ],
        tool_choice="required",
        parallel_tool_calls=False,
    ),
    "choose a function": chat(
        USER, tools=[FUNCTION], tool_choice={"type": "function", "function": {"name": "f"}}
    ),
    "choose a custom tool": chat(
        USER, tools=[CUSTOM], tool_choice={"type": "custom", "custom": {"name": "sql"}}
    ),
    "choose of a subset": chat(
        USER,
        tools=[FUNCTION],
        tool_choice={
            "type": "allowed_tools",
            "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
        },
    ),
    "web search": chat(USER, web_search_options={"search_context_size": "low"}),
    "every setting": chat(
        USER,
        max_completion_tokens=10,
        temperature=0.2,
        top_p=0.9,
        top_k=40,
        presence_penalty=0.5,
        frequency_penalty=-0.5,
        logit_bias={"50256": -100},
        seed=7,
        stop=["a", "b"],
        n=2,
        logprobs=True,
        top_logprobs=3,
        reasoning_effort="high",
        verbosity="low",
        modalities=["text", "audio"],
        audio={"voice": "alloy", "format": "wav"},
        prediction={"type": "content", "content": "x"},
        service_tier="flex",
        store=True,
        metadata={"a": "b"},
        safety_identifier="u1",
        prompt_cache_key="k",
        prompt_cache_options={"mode": "explicit"},
        prompt_cache_retention="24h",
        moderation={"model": "m"},
    ),
    "one stop string": chat(USER, stop="END"),
    "user only": chat(USER, user="u"),
    "user and safety identifier": chat(USER, user="u", safety_identifier="s"),
    "json object": chat(USER, response_format={"type": "json_object"}),
    "json schema": chat(
        USER,
        response_format={
            "type": "json_schema",
            "json_schema": {
                "name": "n",
                "description": "d",
                "schema": {"type": "object", "x": 1.5},
                "strict": True,
            },
        },
    ),
    "unknown format and effort": chat(USER, response_format={"type": "yaml"}, reasoning_effort="colossal"),
    "thinking switched off": chat(USER, thinking={"type": "disabled"}),
    "thinking budget": chat(USER, thinking={"type": "enabled", "budget_tokens": 2000}),
    "thinking of an unknown form": chat(USER, thinking={"type": "enabled"}),
    "stream with usage": chat(
        USER, stream=True, stream_options={"include_usage": True, "include_obfuscation": False}
    ),
}


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


@pytest.mark.parametrize(
    ("members", "parts"),
    [
        ({"reasoning_content": "t"}, [Reasoning(raw=["t"])]),
        ({"reasoning": "t"}, [Reasoning(raw=["t"])]),
        (
            {
                "reasoning_details": [
                    {"type": "reasoning.text", "index": 0, "text": "t", "signature": ENVELOPE}
                ]
            },
            [Reasoning(raw=["t"], opaque=Opaque("envelope", ENVELOPE))],
        ),
        (
            {
                "reasoning_content": "t",
                "reasoning_details": [
                    {"type": "reasoning.text", "index": 0, "format": "gateway-v1", "text": "t"},
                    {"index": 0, "signature": ENVELOPE},
                ],
            },
            [Reasoning(raw=["t"], opaque=Opaque("envelope", ENVELOPE))],
        ),
        (
            {"reasoning_details": [{"type": "reasoning.text", "format": "gateway-v1", "text": "t"}]},
            [Reasoning(raw=["t"])],
        ),
        (
            {"reasoning_details": [{"type": "reasoning.summary", "summary": "s", "id": "r"}]},
            [
                Reasoning(
                    summary=["s"],
                    opaque=Opaque(
                        "openai_chat.details", '{"type": "reasoning.summary", "summary": "s", "id": "r"}'
                    ),
                )
            ],
        ),
        (
            {
                "reasoning_content": "t",
                "reasoning_details": [{"type": "reasoning.encrypted", "data": "g"}],
            },
            [
                Reasoning(raw=["t"]),
                Reasoning(
                    opaque=Opaque("openai_chat.details", '{"type": "reasoning.encrypted", "data": "g"}')
                ),
            ],
        ),
    ],
    ids=[
        "deepseek",
        "openrouter text",
        "our envelope",
        "our envelope as it was streamed",
        "our unsigned text",
        "native summary",
        "text beside encrypted state",
    ],
)
def test_reasoning_is_read_from_the_extensions(members: dict[str, object], parts: list[Reasoning]) -> None:
    assert turn({"role": "assistant", "content": "x"} | members).parts == [*parts, Text(text="x")]


def test_signatures_on_texts_and_calls_are_read() -> None:
    parts = turn(
        {
            "role": "assistant",
            "content": "x",
            "extra_content": {"google": {"thought_signature": "SIGt"}},
            "tool_calls": [CALL | {"extra_content": {"google": {"thought_signature": ENVELOPE}}}],
        }
    ).parts
    assert [part.opaque for part in parts] == [
        Opaque("gemini.signature", "SIGt"),
        Opaque("envelope", ENVELOPE),
    ]


def test_a_signature_without_text_stands_on_an_empty_text() -> None:
    parts = turn(
        {
            "role": "assistant",
            "content": None,
            "extra_content": {"google": {"thought_signature": ENVELOPE}},
        }
    ).parts
    assert parts == [Text(text="", opaque=Opaque("envelope", ENVELOPE))]


@pytest.mark.parametrize(
    ("order", "kinds"),
    [
        ("r0 c0 r1 c1 t0", ["Reasoning", "ToolCall", "Reasoning", "ToolCall", "Text"]),
        ("r0 c0 c1 t0", ["Reasoning", "Reasoning", "Text", "ToolCall", "ToolCall"]),
    ],
    ids=["as it was", "does not fit"],
)
def test_the_skeleton_restores_the_order(order: str, kinds: list[str]) -> None:
    parts = turn(
        {
            "role": "assistant",
            "content": "x",
            "reasoning_details": [
                {"index": 0, "format": "gateway-v1", "text": "A", "signature": ENVELOPE},
                {"index": 1, "format": "gateway-v1", "text": "B", "signature": ENVELOPE},
            ],
            "tool_calls": [CALL, CALL | {"id": "call_2"}],
            "extra_content": {"gateway": {"order": order}},
        }
    ).parts
    assert [type(part).__name__ for part in parts] == kinds


def test_what_the_sdk_leaves_in_an_echoed_message_goes_away() -> None:
    echoed: dict[str, object] = {
        "role": "assistant",
        "content": "x",
        "refusal": None,
        "annotations": None,
        "audio": None,
        "function_call": None,
        "parsed": None,
        "tool_calls": [
            {
                "id": "a",
                "type": "function",
                "index": 0,
                "function": {"name": "f", "arguments": "{}", "parsed_arguments": {}},
            }
        ],
    }
    assert encode(decode(chat(echoed)))["messages"] == [
        {
            "role": "assistant",
            "content": "x",
            "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        }
    ]


def test_embeddings_go_through() -> None:
    body = {"model": "m", "input": ["a"], "encoding_format": "base64"}
    request = CONVERTER.decode_request(wire(body, "/v1/embeddings"))
    encoded = CONVERTER.encode_request(request, DEFAULT_PROFILE)
    assert request.operation == "embed"
    assert (encoded.wire.path, json.loads(encoded.wire.body)) == ("/embeddings", body)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"{", ""),
        (b"[]", ""),
        ({"messages": []}, "model"),
        ({"model": "", "messages": []}, "model"),
        ({"model": "m"}, "messages"),
        (chat("x"), "messages[0]"),
        (chat({"content": "x"}), "messages[0].role"),
        (chat({"role": "wizard", "content": "x"}), "messages[0].role"),
        (chat({"role": "user"}), "messages[0].content"),
        (chat({"role": "user", "content": 3}), "messages[0].content"),
        (chat({"role": "user", "content": [{"text": "x"}]}), "messages[0].content[0].type"),
        (chat({"role": "user", "content": [{"type": "text"}]}), "messages[0].content[0].text"),
        (chat({"role": "user", "content": [{"type": "image_url"}]}), "messages[0].content[0].image_url"),
        (chat({"role": "tool", "content": "x"}), "messages[0].tool_call_id"),
        (
            chat({"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f"}}]}),
            "messages[0].tool_calls[0].id",
        ),
        (chat(USER, temperature="hot"), "temperature"),
        (chat(USER, tools=[{"type": "function"}]), "tools[0].function"),
        (chat(USER, tool_choice="maybe"), "tool_choice"),
        (chat(USER, response_format={"type": "json_schema"}), "response_format.json_schema"),
    ],
)
def test_an_invalid_request_names_the_place(body: object, path: str) -> None:
    with pytest.raises(MalformedMessage) as raised:
        decode(body)
    assert raised.value.path == path


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_KEYS = st.sampled_from(
    [
        [
            "role",
            "content",
            "name",
            "tool_calls",
            "tool_call_id",
            "type",
            "text",
            "image_url",
            "url",
            "id",
            "function",
            "arguments",
        ],
        ["reasoning_details", "signature", "refusal", "audio", "extra_content", "google", "function_call"],
        ["annotations", "file", "file_data", "input_audio", "custom", "format", "data"],
    ]
).flatmap(st.sampled_from)
_VALUES = _JSON | st.sampled_from(["assistant", "user", "tool", "text", "function", "file", "image_url"])
_MESSAGE = st.dictionaries(_KEYS, _VALUES | st.lists(st.dictionaries(_KEYS, _VALUES, max_size=4), max_size=2))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(_MESSAGE, max_size=3), st.dictionaries(_KEYS | st.sampled_from(["tools", "stop", "n"]), _JSON)
)
def test_any_json_is_decoded_or_refused(messages: list[object], members: dict[str, object]) -> None:
    try:
        decode({"model": "m", **members, "messages": messages})
    except MalformedMessage as error:
        assert error.message
