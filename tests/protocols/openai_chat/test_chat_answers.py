"""Complete answers: from an upstream, and for a client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw
from openai.types.chat import ChatCompletion

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import (
    Citation,
    HostedCall,
    Inline,
    Media,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Text,
    TokenLogprob,
    ToolCall,
)
from aiclient2api.ir.request import CustomTool
from aiclient2api.ir.response import Candidate, Finish, ModelResponse, Usage
from aiclient2api.protocols.ids import SYNTHETIC
from tests.protocols.openai_chat.chat_wire import (
    CONVERTER,
    ENVELOPE,
    answer,
    answer_losses,
    decode,
    decode_answer,
    encode_answer,
    foreign,
    message,
    without_nulls,
)

SIGNED = Opaque("envelope", ENVELOPE)


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


def test_usage_of_other_protocols_is_one_sum() -> None:
    usage = Usage(input=1000, cache_read=600, cache_write=100, tool_input=50, output=300, reasoning=120)
    assert encode_answer(answer(Text(text="x"), usage=usage))["usage"] == {
        "prompt_tokens": 1050,
        "completion_tokens": 300,
        "total_tokens": 1350,
        "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 100},
        "completion_tokens_details": {"reasoning_tokens": 120},
    }


def test_unknown_usage_is_not_invented() -> None:
    assert "usage" not in encode_answer(answer(Text(text="x")))


def test_claude_thinking_and_a_call() -> None:
    response = answer(
        Reasoning(summary=["Need weather."], opaque=SIGNED),
        Text(text="Checking."),
        ToolCall(call_id="toolu_1", name="w", arguments='{"city":"Oslo","t":1.50}'),
        finish=Finish(reason="tool_use", raw="tool_use"),
    )
    assert encode_answer(response)["choices"] == [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "logprobs": None,
            "message": {
                "role": "assistant",
                "content": "Checking.",
                "refusal": None,
                "reasoning_content": "Need weather.",
                "reasoning_details": [
                    {
                        "type": "reasoning.text",
                        "index": 0,
                        "format": "gateway-v1",
                        "text": "Need weather.",
                        "signature": ENVELOPE,
                    }
                ],
                "tool_calls": [
                    {
                        "id": "toolu_1",
                        "type": "function",
                        "function": {"name": "w", "arguments": '{"city":"Oslo","t":1.50}'},
                    }
                ],
            },
        }
    ]
    ChatCompletion.model_validate(encode_answer(response))


def test_what_a_client_sends_back_has_the_same_parts() -> None:
    parts: list[Part] = [
        Reasoning(raw=["A"], opaque=SIGNED),
        ToolCall(call_id="c1", name="f", arguments="{}", opaque=SIGNED),
        Reasoning(raw=["B"], opaque=SIGNED),
        ToolCall(call_id="c2", name="f", arguments="{}"),
        Text(text="x", opaque=SIGNED),
    ]
    echoed = message(answer(*parts))
    assert echoed["extra_content"]["gateway"] == {"order": "r0 c0 r1 c1 t0"}
    assert decode({"model": "m", "messages": [echoed]}).turns[0].parts == parts
    assert answer_losses(answer(*parts)) == [("part.order", "approximated")]


@pytest.mark.parametrize(
    ("finish", "word", "refusal"),
    [
        (Finish(reason="stop", raw="end_turn"), "stop", None),
        (Finish(reason="stop_sequence", raw="stop_sequence"), "stop", None),
        (Finish(reason="context_length"), "length", None),
        (Finish(reason="recitation", raw="RECITATION"), "content_filter", None),
        (
            Finish(reason="refusal", raw="refusal", category="cyber"),
            "content_filter",
            "Request declined (cyber).",
        ),
        (Finish(reason="refusal", explanation="Why."), "content_filter", "Why."),
        (Finish(reason="pause"), "stop", None),
        (Finish(reason="other", raw="OTHER"), "stop", None),
    ],
    ids=lambda value: value.reason if isinstance(value, Finish) else "",
)
def test_finish_reasons_stay_within_the_five_words(finish: Finish, word: str, refusal: str | None) -> None:
    choice = encode_answer(answer(Text(text="x"), finish=finish))["choices"][0]
    assert (choice["finish_reason"], choice["message"]["refusal"]) == (word, refusal)


def test_a_stop_sequence_is_lost_and_said_so() -> None:
    finish = Finish(reason="stop_sequence", stop_sequence="END")
    assert answer_losses(answer(Text(text="x"), finish=finish)) == [("finish.stop_sequence", "dropped")]


@pytest.mark.parametrize("reason", ["malformed", "error", "cancelled"])
def test_an_end_that_is_an_error_is_an_error(reason: Any) -> None:
    response = CONVERTER.encode_response(answer(Text(text="x"), finish=Finish(reason=reason)), foreign()).wire
    assert response.status == 502
    assert json.loads(response.body)["error"]["code"] == "upstream_error"


def test_a_blocked_prompt_is_a_filtered_choice() -> None:
    blocked = ModelResponse(
        protocol="gemini",
        id="r",
        model="m",
        blocked=Finish(reason="content_filter", raw="PROHIBITED_CONTENT"),
    )
    assert encode_answer(blocked)["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": None, "refusal": None},
            "logprobs": None,
            "finish_reason": "content_filter",
        }
    ]


@pytest.mark.parametrize(
    ("upstream", "expected"),
    [("msg_1", "chatcmpl-msg_1"), ("chatcmpl-x", "chatcmpl-x")],
)
def test_the_id_has_the_prefix_that_clients_expect(upstream: str, expected: str) -> None:
    assert encode_answer(ModelResponse(protocol="x", id=upstream, model="m"))["id"] == expected
    assert encode_answer(ModelResponse(protocol="x", id="", model="m"))["id"].startswith("chatcmpl-")


def test_an_emulated_custom_tool_gets_its_text_back() -> None:
    request = foreign(tools=[CustomTool(name="sql")])
    call = ToolCall(call_id="toolu_9", name="sql", arguments='{"input": "SELECT 1"}')
    assert message(answer(call), request)["tool_calls"] == [
        {"id": "toolu_9", "type": "custom", "custom": {"name": "sql", "input": "SELECT 1"}}
    ]


def test_a_legacy_client_gets_a_function_call() -> None:
    request = decode({"model": "m", "messages": [], "functions": [{"name": "f"}]})
    call = ToolCall(call_id="a", name="f", arguments="{}")
    response = answer(call, call, finish=Finish(reason="tool_use"))
    choice = encode_answer(response, request)["choices"][0]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert "tool_calls" not in choice["message"]


def test_texts_are_joined_and_their_citations_move_along() -> None:
    cited = Text(text="world", citations=[Citation(kind="url", url="https://x", span=(0, 5))])
    whole_text = Text(text="!", citations=[Citation(kind="url", url="https://y")])
    got = message(answer(Text(text="héllo "), cited, whole_text))
    assert got["content"] == "héllo world!"
    assert [each["url_citation"]["start_index"] for each in got["annotations"]] == [6, 11]
    assert [each["url_citation"]["end_index"] for each in got["annotations"]] == [11, 12]


def test_what_has_no_place_is_reported() -> None:
    response = answer(
        Text(text="a", citations=[Citation(kind="document")], opaque=SIGNED),
        HostedCall(protocol="anthropic", wire_type="x", raw=Raw(b"{}")),
        Text(text="b", opaque=SIGNED),
        Media(kind="image", source=Inline("image/png", "iVBO")),
        Media(kind="image", source=Inline("image/png", "iVBO"), thought=True),
        usage=Usage(input=1, cache_write_ttl={"5m": 1}),
        tier="exotic",
    )
    assert answer_losses(response) == [
        ("citation", "dropped"),
        ("tool.hosted", "dropped"),
        ("reasoning.opaque", "dropped"),
        ("media.image", "approximated"),
        ("media.image", "dropped"),
        ("usage.detail", "dropped"),
        ("tier", "dropped"),
    ]
    assert message(response)["images"] == [
        {"type": "image_url", "index": 0, "image_url": {"url": "data:image/png;base64,iVBO"}}
    ]


def test_several_candidates_keep_their_indexes() -> None:
    candidates = [
        Candidate(
            index=index,
            turn=answer(Refusal(text="no")).candidates[0].turn,
            finish=Finish(reason="stop"),
        )
        for index in (0, 2)
    ]
    response = ModelResponse(protocol="gemini", id="r", model="m", candidates=candidates)
    assert [choice["index"] for choice in encode_answer(response)["choices"]] == [0, 2]


def test_logprobs_of_all_texts_are_one_list() -> None:
    token = TokenLogprob(token="a", logprob=-1, top=[TokenLogprob(token="b", logprob=-2)])
    choice = encode_answer(answer(Text(text="a", logprobs=[token]), Text(text="a", logprobs=[token])))[
        "choices"
    ][0]
    assert len(choice["logprobs"]["content"]) == 2
    assert choice["logprobs"]["content"][0]["top_logprobs"] == [{"token": "b", "logprob": -2, "bytes": None}]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"choices":[{}]}', b'{"choices":[{"message":{"content":3}}]}'],
    ids=["empty", "array", "no choices", "no message", "content"],
)
def test_what_is_not_an_answer_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_answer(body)
