"""Complete answers of upstreams, also of those that read the specification differently."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Opaque, Reasoning, Text, ToolCall
from aiclient2api.protocols.ids import SYNTHETIC
from tests.protocols.openai_chat.chat_wire import CONVERTER, decode_answer, foreign, without_nulls


def whole(message: dict[str, Any], **choice: object) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "logprobs": None,
                "message": {"role": "assistant", "refusal": None, **message},
                **choice,
            }
        ],
    }


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"t": 1.50}'}}
TOKEN = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}

ANSWERS: dict[str, dict[str, Any]] = {
    "text": whole({"content": "hi"}),
    "empty": whole({"content": ""}),
    "null": whole({"content": None}),
    "reasoning": whole({"content": "hi", "reasoning_content": "t"}),
    "native details": whole(
        {
            "content": "hi",
            "reasoning_content": "t",
            "reasoning_details": [{"type": "reasoning.text", "text": "t", "signature": "s", "index": 0}],
        }
    ),
    "calls": whole({"content": None, "tool_calls": [CALL]}, finish_reason="tool_calls"),
    "a forced call": whole({"content": None, "tool_calls": [CALL]}, finish_reason="stop"),
    "custom call": whole(
        {
            "content": None,
            "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "s", "input": "x"}}],
        },
        finish_reason="tool_calls",
    ),
    "refusal": whole({"content": None, "refusal": "no"}),
    "length": whole({"content": "h"}, finish_reason="length"),
    "filtered": whole({"content": "h"}, finish_reason="content_filter", content_filter_results={"a": 1}),
    "citations": whole(
        {
            "content": "hello",
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {"start_index": 0, "end_index": 5, "url": "https://x", "title": "T"},
                },
                {"type": "file_citation", "file_citation": {"file_id": "f"}},
            ],
        }
    ),
    "logprobs": whole(
        {"content": "a"},
        logprobs={
            "content": [TOKEN | {"top_logprobs": [{"token": "a", "logprob": -0.5, "bytes": [97]}]}],
            "refusal": None,
        },
    ),
    "spoken": whole(
        {
            "content": None,
            "audio": {"id": "audio_1", "data": "UklG", "expires_at": 9, "transcript": "hi"},
        }
    ),
    "unknown members": whole({"content": "hi", "mood": "good"}, weight=1.5) | {"cost": 0.1},
    "signed": whole(
        {
            "content": "hi",
            "extra_content": {"google": {"thought_signature": "SIG"}},
            "tool_calls": [CALL | {"extra_content": {"google": {"thought_signature": "SIG2"}}}],
        },
        finish_reason="tool_calls",
    ),
    "usage": whole({"content": "hi"})
    | {
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 30,
            "total_tokens": 130,
            "prompt_tokens_details": {"cached_tokens": 90, "cache_write_tokens": 0, "audio_tokens": 1},
            "completion_tokens_details": {
                "reasoning_tokens": 12,
                "accepted_prediction_tokens": 3,
                "audio_tokens": 0,
            },
            "cost": 0.5,
        },
        "service_tier": "flex",
        "system_fingerprint": "fp_1",
    },
}


@pytest.mark.parametrize("body", ANSWERS.values(), ids=ANSWERS.keys())
def test_an_answer_survives_the_ir(body: dict[str, Any]) -> None:
    response = decode_answer(body)
    encoded = CONVERTER.encode_response(response, foreign())
    assert without_nulls(json.loads(encoded.wire.body)) == without_nulls(body)
    assert encoded.losses == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("text", "stop"),
        ("calls", "tool_use"),
        ("a forced call", "tool_use"),
        ("refusal", "refusal"),
        ("length", "length"),
        ("filtered", "content_filter"),
    ],
)
def test_the_finish_reason_is_what_happened(name: str, reason: str) -> None:
    finish = decode_answer(ANSWERS[name]).candidates[0].finish
    assert finish is not None and finish.reason == reason


def test_a_call_without_an_id_gets_the_same_one_each_time() -> None:
    body = whole({"content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1.5}}}] * 2})
    first, second = decode_answer(body).candidates[0].turn.parts
    assert isinstance(first, ToolCall) and isinstance(second, ToolCall)
    assert first.call_id.startswith(SYNTHETIC) and first.synthetic_id and first.call_id != second.call_id
    assert first.arguments == '{"a": 1.5}'
    assert decode_answer(body).candidates[0].turn.parts == [first, second]


def test_details_win_over_the_text_that_repeats_them() -> None:
    parts = decode_answer(ANSWERS["native details"]).candidates[0].turn.parts
    entry = '{"type": "reasoning.text", "text": "t", "signature": "s", "index": 0}'
    assert parts == [
        Reasoning(raw=["t"], opaque=Opaque("openai_chat.details", entry)),
        Text(text="hi"),
    ]


def test_content_in_parts_is_text_and_thinking() -> None:
    body = whole(
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]},
                {"type": "text", "text": "hi"},
            ]
        }
    )
    assert decode_answer(body).candidates[0].turn.parts == [Reasoning(raw=["t"]), Text(text="hi")]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50, "cached_tokens": 10},
            (20, 10, 30, None),
        ),
        (
            {"prompt_tokens": 13, "completion_tokens": 1, "total_tokens": 14, "prompt_cache_hit_tokens": 4},
            (13, 4, 1, None),
        ),
        (
            {
                "prompt_tokens": 291,
                "completion_tokens": 26,
                "total_tokens": 506,
                "completion_tokens_details": {"reasoning_tokens": 189},
            },
            (291, None, 215, 189),
        ),
        ({"prompt_tokens": 7}, (7, None, None, None)),
    ],
    ids=["moonshot", "deepseek", "xai", "partial"],
)
def test_usage_of_other_servers(usage: dict[str, object], expected: tuple[int | None, ...]) -> None:
    got = decode_answer(whole({"content": "x"}) | {"usage": usage}).usage
    assert got is not None
    assert (got.input, got.cache_read, got.output, got.reasoning) == expected


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"choices":[{}]}', b'{"choices":[{"message":{"content":3}}]}'],
    ids=["empty", "array", "no choices", "no message", "content"],
)
def test_what_is_not_an_answer_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_answer(body)
