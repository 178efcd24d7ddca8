"""Requests of clients that are refused, and the place that the refusal names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiclient2api.errors import MalformedMessage
from tests.protocols.openai_chat.chat_requests import USER
from tests.protocols.openai_chat.chat_wire import chat, decode


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
