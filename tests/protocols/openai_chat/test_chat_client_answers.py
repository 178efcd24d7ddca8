"""Complete answers of other protocols' upstreams, as a Chat client gets them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw
from openai.types.chat import ChatCompletion

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
from tests.protocols.openai_chat.chat_wire import (
    CONVERTER,
    ENVELOPE,
    answer,
    answer_losses,
    decode,
    encode_answer,
    foreign,
    message,
)

SIGNED = Opaque("envelope", ENVELOPE)


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
