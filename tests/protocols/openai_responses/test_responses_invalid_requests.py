"""Requests of this protocol that are refused where they are not valid."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiclient2api.errors import MalformedMessage
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.wire.http import WireRequest
from tests.protocols.openai_responses.responses_wire import CONVERTER, decode

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
