from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import (
    CacheMark,
    Citation,
    Control,
    FileRef,
    HostedCall,
    Inline,
    Media,
    Native,
    Opaque,
    PartsSource,
    Reasoning,
    Shape,
    Text,
    TextSource,
    ToolCall,
    ToolResult,
    Url,
)
from aiclient2api.ir.request import Thinking
from aiclient2api.protocols.anthropic import AnthropicConverter
from aiclient2api.protocols.carrier import MAGIC
from aiclient2api.protocols.profile import DEFAULT_PROFILE, ModelProfile
from aiclient2api.wire.http import WireRequest

CONVERTER = AnthropicConverter()
STINGY = ModelProfile(
    thinking="none", sampling=False, forced_tool_choice=False, anthropic_version="2026-10-21"
)


def wire(body: object, path: str = "/v1/messages", version: str = "2023-06-01") -> WireRequest:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return WireRequest(path=path, body=text, headers=(("anthropic-version", version),))


def message(*content: object, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(content)}


def asking(*content: object, **members: object) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 10, "messages": [message(*content)], **members}


HELLO = {"type": "text", "text": "hello"}

ROUND_TRIPS: dict[str, dict[str, Any]] = {
    "the shortest": {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]},
    "no output": {"model": "m", "max_tokens": 0, "messages": [{"role": "user", "content": "hi"}]},
    "string system": asking(HELLO, system="be brief"),
    "empty string system": asking(HELLO, system=""),
    "system blocks with marks": asking(
        HELLO,
        system=[
            {"type": "text", "text": "S1", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            {"type": "text", "text": "S2", "cache_control": {"type": "ephemeral", "scope": "org"}},
        ],
    ),
    "more marks than the provider takes": asking(
        *[{"type": "text", "text": str(i), "cache_control": {"type": "ephemeral"}} for i in range(6)]
    ),
    "settings": asking(
        HELLO,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        stop_sequences=["END", "\n"],
        stream=True,
        metadata={"user_id": "u"},
        service_tier="standard_only",
        cache_control={"type": "ephemeral"},
    ),
    "settings with unknown members": asking(
        HELLO,
        metadata={"user_id": "u", "trace": [1]},
        output_config={"effort": "high", "task_budget": {"n": 1.50}},
        thinking={
            "type": "adaptive",
            "display": "omitted",
            "block_binding": {"prefix_mismatch_behavior": "error"},
        },
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
        mcp_servers=[],
        inference_geo="us",
    ),
    "empty containers": asking(
        HELLO, metadata={}, output_config={}, tools=[], stop_sequences=[], stream=False
    ),
    "unknown words": asking(
        HELLO,
        output_config={"effort": "heroic", "format": {"type": "xml"}},
        thinking={"type": "dreaming", "display": "hologram"},
        service_tier="someday",
        tool_choice={"type": "some", "of": ["a"]},
    ),
    "fast": asking(HELLO, speed="fast"),
    "fast and a tier": asking(HELLO, speed="fast", service_tier="auto"),
    "budget": asking(HELLO, thinking={"type": "enabled", "budget_tokens": 2048}),
    "thinking off": asking(HELLO, thinking={"type": "disabled"}),
    "between tools": asking(HELLO, thinking={"type": "between_tools"}, output_config={"effort": "low"}),
    "schema": asking(
        HELLO,
        output_config={"format": {"type": "json_schema", "schema": {"type": "object"}, "extra": 1}},
    ),
    "tools": asking(
        HELLO,
        tools=[
            {"name": "f", "input_schema": {"type": "object", "properties": {"a": {"const": 1.5}}}},
            {
                "type": "custom",
                "name": "g",
                "description": "",
                "input_schema": {"type": "object"},
                "strict": False,
                "cache_control": {"type": "ephemeral"},
                "defer_loading": True,
                "input_examples": [{}],
            },
            {"type": "web_search_20260209", "name": "web_search", "max_uses": 3},
        ],
        tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    ),
    "parallel calls allowed in so many words": asking(
        HELLO, tool_choice={"type": "any", "disable_parallel_tool_use": False}
    ),
    "no tool": asking(HELLO, tool_choice={"type": "none"}),
    "media": asking(
        {"type": "image", "source": {"type": "base64", "media_type": "image/tiff", "data": "AA=="}},
        {"type": "image", "source": {"type": "url", "url": "https://x/y"}, "transformations": [1]},
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "image", "source": {"type": "s3", "bucket": "b"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE", "pages": 2},
            "title": "T",
            "context": "C",
            "citations": {"enabled": True},
            "cache_control": {"type": "ephemeral"},
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
        {"type": "document", "source": {"type": "content", "content": "short"}},
        {
            "type": "document",
            "source": {"type": "content", "content": [HELLO]},
            "citations": {"enabled": False, "x": 1},
        },
        {"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}},
        {"type": "search_result", "source": "https://x", "title": "T", "content": [HELLO]},
    ),
    "text with citations": asking(
        {"type": "text", "text": "a", "citations": []},
        {
            "type": "text",
            "text": "b",
            "citations": [{"type": "char_location", "cited_text": "q", "document_index": 0}],
        },
    ),
    "a tool loop": {
        "model": "m",
        "max_tokens": 9,
        "messages": [
            message(HELLO),
            message(
                {"type": "thinking", "thinking": "hm", "signature": "SIG"},
                {"type": "thinking", "thinking": "", "signature": "SIG2"},
                {"type": "redacted_thinking", "data": "RD"},
                {"type": "text", "text": "checking"},
                {
                    "type": "tool_use",
                    "id": "t1",
                    "name": "f",
                    "input": {"a": 1},
                    "caller": {"type": "direct"},
                },
                {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
                {"type": "compaction", "content": "summary"},
                {"type": "never_seen", "x": {"y": [1]}},
                role="assistant",
            ),
            message(
                {"type": "tool_result", "tool_use_id": "t1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "t2", "is_error": False},
                {"type": "text", "text": "and now?"},
                {
                    "type": "tool_result",
                    "tool_use_id": "t3",
                    "content": [HELLO, {"type": "tool_reference", "tool_name": "f"}],
                },
            ),
            message({"type": "tool_result", "tool_use_id": "t4", "content": [], "is_error": True}),
            {"role": "system", "content": [], "output_config": {"effort": "low"}},
            {"role": "user", "content": [], "odd": 1},
            {"role": "assistant", "content": "prefill"},
        ],
    },
}


@pytest.mark.parametrize("profile", [DEFAULT_PROFILE, STINGY], ids=["default", "stingy"])
@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_a_request_of_this_protocol_survives_unchanged(name: str, profile: ModelProfile) -> None:
    body = ROUND_TRIPS[name]

    encoded = CONVERTER.encode_request(CONVERTER.decode_request(wire(body)), profile)

    assert json.loads(encoded.wire.body) == body
    assert encoded.losses == []


def test_exact_text_of_inputs_and_schemas_survives() -> None:
    body = (
        b'{"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t",'
        b'"name":"f","input":{"n": 1.50,\n"big": 12345678901234567890}}]}],"tools":[{"name":"f","input_schema":'
        b'{"type":"object", "x":1e3}}]}'
    )

    request = CONVERTER.decode_request(wire(body))
    encoded = CONVERTER.encode_request(request, DEFAULT_PROFILE).wire.body

    call = request.turns[0].parts[0]
    assert isinstance(call, ToolCall)
    assert call.arguments == '{"n": 1.50,\n"big": 12345678901234567890}'
    assert b'"input":{"n": 1.50,\n"big": 12345678901234567890}' in encoded
    assert b'"input_schema":{"type":"object", "x":1e3}' in encoded


def test_wrapped_argument_text_is_unwrapped_and_wrapped_again() -> None:
    body = asking({"type": "tool_use", "id": "t", "name": "f", "input": {"_raw": '{"a": 1'}})

    request = CONVERTER.decode_request(wire(body))
    encoded = CONVERTER.encode_request(request, DEFAULT_PROFILE)

    part = request.turns[0].parts[0]
    assert isinstance(part, ToolCall)
    assert part.arguments == '{"a": 1'
    assert json.loads(encoded.wire.body)["messages"] == body["messages"]


PARTS = {
    "text": (
        {**HELLO, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        Text(text="hello", cache=CacheMark(ttl="1h")),
    ),
    "citation": (
        {
            "type": "text",
            "text": "t",
            "citations": [{"type": "search_result_location", "source": "s", "title": "T"}],
        },
        Text(
            text="t",
            citations=[
                Citation(
                    kind="search_result",
                    url="s",
                    title="T",
                    raw=Raw(b'{"type": "search_result_location", "source": "s", "title": "T"}'),
                    protocol="anthropic",
                )
            ],
        ),
    ),
    "a citation of our own": (
        {
            "type": "text",
            "text": "t",
            "citations": [
                {
                    "type": "web_search_result_location",
                    "url": "u",
                    "title": None,
                    "encrypted_index": MAGIC,
                    "cited_text": "",
                }
            ],
        },
        Text(text="t", citations=[Citation(kind="url", url="u")]),
    ),
    "image": (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
        Media(kind="image", source=Inline("image/png", "iVBO")),
    ),
    "image address": (
        {"type": "image", "source": {"type": "url", "url": "https://x"}},
        Media(kind="image", source=Url("https://x")),
    ),
    "file": (
        {"type": "document", "source": {"type": "file", "file_id": "f"}, "title": "T"},
        Media(kind="document", source=FileRef("f", protocol="anthropic"), title="T"),
    ),
    "plain document": (
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "d"},
            "context": "c",
        },
        Media(kind="document", source=TextSource("d"), context="c"),
    ),
    "document of parts": (
        {"type": "document", "source": {"type": "content", "content": "d"}},
        Media(kind="document", source=PartsSource([Text(text="d")]), shape=Shape.CONTENT_STRING),
    ),
    "thinking": (
        {"type": "thinking", "thinking": "t", "signature": "S"},
        Reasoning(summary=["t"], opaque=Opaque("anthropic.signature", "S")),
    ),
    "envelope": (
        {"type": "thinking", "thinking": "", "signature": MAGIC + "AAAA"},
        Reasoning(opaque=Opaque("envelope", MAGIC + "AAAA")),
    ),
    "redacted": (
        {"type": "redacted_thinking", "data": "D"},
        Reasoning(redacted=True, opaque=Opaque("anthropic.redacted", "D")),
    ),
    "hosted": (
        {"type": "server_tool_use", "name": "web_fetch"},
        HostedCall(
            protocol="anthropic",
            wire_type="server_tool_use",
            raw=Raw(b'{"type": "server_tool_use", "name": "web_fetch"}'),
            family="web_fetch",
            side="call",
        ),
    ),
    "control": (
        {"type": "fallback"},
        Control(protocol="anthropic", kind="fallback", raw=Raw(b'{"type": "fallback"}')),
    ),
    "unknown": (
        {"type": "hologram"},
        Native(protocol="anthropic", wire_type="hologram", raw=Raw(b'{"type": "hologram"}')),
    ),
}


@pytest.mark.parametrize(("block", "part"), PARTS.values(), ids=PARTS.keys())
def test_a_block_becomes_its_part(block: dict[str, Any], part: object) -> None:
    request = CONVERTER.decode_request(wire(asking(block)))

    assert request.turns[0].parts == [part]


def test_tool_results_become_a_turn_of_their_own() -> None:
    request = CONVERTER.decode_request(
        wire(asking({"type": "tool_result", "tool_use_id": "t", "content": "ok", "is_error": True}, HELLO))
    )

    assert [(turn.role, turn.shape) for turn in request.turns] == [("tool", 0), ("user", Shape.CONTINUES)]
    assert request.turns[0].parts == [
        ToolResult(call_id="t", parts=[Text(text="ok")], is_error=True, shape=Shape.CONTENT_STRING)
    ]


def test_settings_become_neutral() -> None:
    request = CONVERTER.decode_request(
        wire(
            asking(
                HELLO,
                system="S",
                stream=True,
                thinking={"type": "enabled", "budget_tokens": 2048, "display": "summarized"},
                output_config={"effort": "max"},
                tool_choice={"type": "any", "disable_parallel_tool_use": True},
                service_tier="standard_only",
                metadata={"user_id": "u"},
            )
        )
    )

    assert request.hoisted == 1
    assert request.stream == "sse"
    assert request.thinking == Thinking(effort="max", budget=2048, mode="fixed", show="summarized")
    assert request.tool_choice is not None
    assert (request.tool_choice.mode, request.parallel_tools) == ("required", False)
    assert (request.tier, request.user, request.max_output, request.ext) == ("default", "u", 10, None)


def test_a_token_count_needs_no_limit() -> None:
    body = {"model": "m", "messages": [message(HELLO)]}

    request = CONVERTER.decode_request(wire(body, "/v1/messages/count_tokens"))
    encoded = CONVERTER.encode_request(request, DEFAULT_PROFILE)

    assert request.operation == "count_tokens"
    assert encoded.wire.path == "/v1/messages/count_tokens"
    assert json.loads(encoded.wire.body) == body


MALFORMED: dict[str, tuple[object, str]] = {
    "not JSON": (b"{", "not valid JSON"),
    "an array": ([], "must be an object"),
    "no model": ({}, "model: is required"),
    "model is a number": ({"model": 1}, "model: expected `str`, got `int`"),
    "empty model": ({"model": ""}, "model: must not be empty"),
    "no messages": ({"model": "m", "max_tokens": 1}, "messages: is required"),
    "messages is an object": ({"model": "m", "max_tokens": 1, "messages": {}}, "messages: must be an array"),
    "no limit": ({"model": "m", "messages": []}, "max_tokens: is required"),
    "negative limit": ({"model": "m", "messages": [], "max_tokens": -1}, "max_tokens: must not be negative"),
    "role": (
        {"model": "m", "max_tokens": 1, "messages": [{"role": "tool", "content": ""}]},
        "messages[0].role: must be user, assistant or system",
    ),
    "no content": (
        {"model": "m", "max_tokens": 1, "messages": [{"role": "user"}]},
        "messages[0].content: is required",
    ),
    "content is a number": (
        asking() | {"messages": [{"role": "user", "content": 1}]},
        "messages[0].content: must be an array",
    ),
    "block without type": (asking({}), "messages[0].content[0].type: is required"),
    "text is a number": (
        asking({"type": "text", "text": 1}),
        "messages[0].content[0].text: expected `str`, got `int`",
    ),
    "input is text": (
        asking({"type": "tool_use", "id": "t", "name": "f", "input": "x"}),
        "messages[0].content[0].input: must be an object",
    ),
    "no source": (asking({"type": "image"}), "messages[0].content[0].source: is required"),
    "result without id": (asking({"type": "tool_result"}), "messages[0].content[0].tool_use_id: is required"),
    "tool without schema": (asking(HELLO, tools=[{"name": "f"}]), "tools[0].input_schema: is required"),
    "stop is text": (asking(HELLO, stop_sequences="x"), "stop_sequences: expected `array`, got `str`"),
    "budget is missing": (asking(HELLO, thinking={"type": "enabled"}), "thinking.budget_tokens: is required"),
}


@pytest.mark.parametrize(("body", "text"), MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_not_a_request_is_refused_with_its_path(body: object, text: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        CONVERTER.decode_request(wire(body))

    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_the_newer_dialect_refuses_sampling_in_the_providers_words(name: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        CONVERTER.decode_request(wire(asking(HELLO, **{name: 1}), version="2026-10-21"))

    assert str(caught.value) == f"{name}: Extra inputs are not permitted"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
BLOCKS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            [
                "text",
                "thinking",
                "redacted_thinking",
                "tool_use",
                "tool_result",
                "image",
                "document",
                "compaction",
                "?",
            ]
        )
    },
    optional={
        name: JSON_VALUES | st.text(max_size=3)
        for name in (
            "text",
            "thinking",
            "signature",
            "data",
            "id",
            "name",
            "input",
            "tool_use_id",
            "content",
            "is_error",
            "source",
            "citations",
            "cache_control",
            "title",
        )
    },
)
REQUESTS = st.fixed_dictionaries(
    {
        "model": st.just("m") | JSON_VALUES,
        "max_tokens": st.just(5) | JSON_VALUES,
        "messages": st.lists(
            st.fixed_dictionaries(
                {
                    "role": st.sampled_from(["user", "assistant", "system"]),
                    "content": st.lists(BLOCKS, max_size=3) | JSON_VALUES,
                }
            ),
            max_size=3,
        )
        | JSON_VALUES,
    },
    optional={
        name: JSON_VALUES
        for name in (
            "system",
            "tools",
            "tool_choice",
            "thinking",
            "output_config",
            "temperature",
            "stop_sequences",
            "stream",
            "metadata",
            "service_tier",
            "cache_control",
            "surprise",
        )
    },
)


@settings(max_examples=100, deadline=None)
@given(body=REQUESTS)
def test_any_object_is_a_request_or_malformed(body: dict[str, Any]) -> None:
    try:
        request = CONVERTER.decode_request(wire(body))
    except MalformedMessage:
        return
    CONVERTER.encode_request(request, DEFAULT_PROFILE)
