from __future__ import annotations

from typing import Any

import pytest

from tests.wire_tables import check, check_event, needs_tables, parse_type

COMPLETION: dict[str, Any] = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [],
}


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("string", "string"),
        ("string | null", ("union", ["string", "null"])),
        ("list[A.B | C]", ("list", [("union", ["A.B", "C"])])),
        ("dict[string, list[integer]]", ("dict", ["string", ("list", ["integer"])])),
        ('"a b" | …92 values', ("union", ['"a b"', "…92 values"])),
        ("bytes(b64) | null", ("union", ["bytes(b64)", "null"])),
    ],
)
def test_a_field_type_is_read(text: str, parsed: Any) -> None:
    assert parse_type(text) == parsed


@needs_tables
@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"usage": None}, None),
        ({"service_tier": "flex"}, None),
        ({"service_tier": "best"}, "$.service_tier: 'best' is not 'auto'"),
        ({"created": 1.5}, "$.created: 1.5 is not integer"),
        ({"created": True}, "$.created: True is not integer"),
        ({"object": "completion"}, "$.object: 'completion' is not 'chat.completion'"),
        ({"surprise": 1}, "$.surprise: unknown to ChatCompletion"),
        ({"choices": {}}, "$.choices: not an array"),
        ({"choices": [{"index": 0}]}, "$.choices[0].finish_reason: required by Choice"),
        ({"metadata": {"a": 1}}, "$.metadata.a: 1 is not string"),
    ],
)
def test_a_value_is_compared_with_its_type(change: dict[str, Any], problem: str | None) -> None:
    problems = check(COMPLETION | change, "ChatCompletion", "openai_chat_types")
    assert problems[:1] == ([] if problem is None else [problem])


@needs_tables
def test_a_missing_member_is_found() -> None:
    assert check({}, "Embedding", "openai_chat_types") == [
        "$.embedding: required by Embedding",
        "$.index: required by Embedding",
        "$.object: required by Embedding",
    ]


@needs_tables
def test_of_a_union_the_branch_with_the_right_tag_is_reported() -> None:
    message = {"id": "m", "role": "assistant", "type": "message", "model": "claude-opus-5-5", "stop_reason": None,
               "content": [{"type": "tool_use", "id": "t", "name": "f"}],
               "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
    assert check(message, "Message", "anthropic_types") == ["$.content[0].input: required by ToolUseBlock"]


@needs_tables
def test_events_are_compared_with_their_row() -> None:
    assert check_event("am", "content_block_stop", {"type", "index"}) == []
    assert check_event("am", "content_block_stop", {"type", "index", "x"}) == [
        "content_block_stop.x: unknown"
    ]
    assert (
        check_event("or", "response.refusal.done", {"type"})[0]
        == "response.refusal.done.content_index: missing"
    )
    assert check_event("oc", "nonsense", set()) == ["nonsense: not an event of oc"]
