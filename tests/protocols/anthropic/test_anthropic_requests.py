"""Requests of this protocol, decoded."""

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
    ToolResult,
    Url,
)
from aiclient2api.ir.request import Thinking
from aiclient2api.protocols.carrier import MAGIC
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from tests.protocols.anthropic.anthropic_requests import CONVERTER, HELLO, asking, message, wire

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
    optional=dict.fromkeys(
        (
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
        ),
        JSON_VALUES,
    ),
)


@settings(max_examples=100, deadline=None)
@given(body=REQUESTS)
def test_any_object_is_a_request_or_malformed(body: dict[str, Any]) -> None:
    try:
        request = CONVERTER.decode_request(wire(body))
    except MalformedMessage:
        return
    CONVERTER.encode_request(request, DEFAULT_PROFILE)
