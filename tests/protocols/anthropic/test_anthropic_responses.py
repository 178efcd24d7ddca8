from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

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
    ToolCall,
)
from aiclient2api.ir.request import ModelRequest, Turn
from aiclient2api.ir.response import Candidate, Finish, FinishReason, ModelResponse, Usage
from aiclient2api.protocols.anthropic import AnthropicConverter
from aiclient2api.protocols.carrier import MAGIC
from aiclient2api.wire.http import WireResponse

CONVERTER = AnthropicConverter()
ASKED = ModelRequest(protocol="anthropic", model="m")


def answer(*parts: Part, reason: FinishReason = "stop", **members: Any) -> ModelResponse:
    finish = Finish(reason=reason, raw=members.pop("raw", None), category=members.pop("category", None))
    turn = Turn(role="assistant", parts=list(parts))
    return ModelResponse(
        protocol="openai_chat",
        id="chatcmpl-1",
        model="gpt",
        candidates=[Candidate(turn=turn, finish=finish)],
        **members,
    )


def encoded(response: ModelResponse) -> tuple[dict[str, Any], list[str]]:
    out = CONVERTER.encode_response(response, ASKED)
    return json.loads(out.wire.body), [loss.feature for loss in out.losses]


CLAUDE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "Need weather.", "signature": "SIGa"},
        {"type": "redacted_thinking", "data": "RD"},
        {"type": "text", "text": "Checking."},
        {"type": "tool_use", "id": "toolu_1", "name": "w", "input": {"city": "Oslo"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "container": {"id": "c"},
    "usage": {
        "input_tokens": 10,
        "cache_creation_input_tokens": 5,
        "cache_read_input_tokens": 90,
        "cache_creation": {"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 30,
        "output_tokens_details": {"thinking_tokens": 12},
        "service_tier": "standard",
        "server_tool_use": {"web_search_requests": 1},
    },
}


def test_an_answer_is_decoded_and_written_back() -> None:
    response = CONVERTER.decode_response(WireResponse(status=200, body=json.dumps(CLAUDE).encode()))

    assert response.candidates[0].turn.parts == [
        Reasoning(summary=["Need weather."], opaque=Opaque("anthropic.signature", "SIGa")),
        Reasoning(redacted=True, opaque=Opaque("anthropic.redacted", "RD")),
        Text(text="Checking."),
        ToolCall(call_id="toolu_1", name="w", arguments='{"city": "Oslo"}'),
    ]
    assert response.candidates[0].finish == Finish(reason="tool_use", raw="tool_use")
    assert response.usage is not None
    assert (response.usage.input, response.usage.cache_read, response.usage.cache_write) == (105, 90, 5)
    assert (response.usage.output, response.usage.reasoning, response.tier) == (30, 12, "default")
    assert response.usage.cache_write_ttl == {"5m": 5, "1h": 0}
    assert encoded(response) == (CLAUDE, [])


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"type":"error"}', b'{"type":"message"}', b'{"type":"message","content":[1]}', b"<html>"],
)
def test_what_is_no_message_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        CONVERTER.decode_response(WireResponse(status=200, body=body))


def test_the_same_call_in_this_protocols_view_of_usage() -> None:
    usage = Usage(input=1000, cache_read=600, cache_write=100, tool_input=50, output=300, reasoning=120)

    body, _ = encoded(answer(Text(text="x"), usage=usage))

    assert body["usage"] == {
        "input_tokens": 350,
        "cache_read_input_tokens": 600,
        "cache_creation_input_tokens": 100,
        "output_tokens": 300,
        "output_tokens_details": {"thinking_tokens": 120},
    }


def test_unknown_usage_is_zero_where_a_number_is_required() -> None:
    body, _ = encoded(answer(Text(text="x")))

    assert body["usage"] == {
        "input_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 0,
    }


def test_foreign_ids_are_derived_not_random() -> None:
    first, _ = encoded(answer(Text(text="x")))
    second, _ = encoded(answer(Text(text="x")))

    assert first["id"] == second["id"]
    assert first["id"].startswith("msg_")


BLOCKS: dict[str, tuple[Part, Any, list[str]]] = {
    "empty text": (Text(text=""), None, []),
    "refusal": (Refusal(text="no"), {"type": "text", "text": "no"}, ["refusal"]),
    "enveloped summaries": (
        Reasoning(summary=["A", "B"], opaque=Opaque("envelope", "Z3ct")),
        {"type": "thinking", "thinking": "A\n\nB", "signature": "Z3ct"},
        [],
    ),
    "an envelope alone": (
        Reasoning(redacted=True, opaque=Opaque("envelope", "Z3ct")),
        {"type": "thinking", "thinking": "", "signature": "Z3ct"},
        [],
    ),
    "nothing at all": (Reasoning(), None, []),
    "unsealed foreign state": (Reasoning(opaque=Opaque("openai.encrypted", "g")), None, ["reasoning.opaque"]),
    "broken arguments": (
        ToolCall(call_id="c", name="f", arguments="["),
        {"type": "tool_use", "id": "c", "name": "f", "input": {"_raw": "["}},
        ["tool_call.arguments"],
    ),
    "a citation": (
        Text(text="t", citations=[Citation(kind="url", url="u", title="T"), Citation(kind="file")]),
        {
            "type": "text",
            "text": "t",
            "citations": [
                {
                    "type": "web_search_result_location",
                    "cited_text": "",
                    "encrypted_index": MAGIC,
                    "title": "T",
                    "url": "u",
                }
            ],
        },
        ["citation"],
    ),
    "an image": (Media(kind="image", source=Inline("image/png", "AA")), None, ["media.image"]),
    "a hosted call": (HostedCall(protocol="gemini", wire_type="x", raw=Raw(b"{}")), None, ["tool.hosted"]),
}


@pytest.mark.parametrize(("part", "block", "losses"), BLOCKS.values(), ids=BLOCKS.keys())
def test_a_part_becomes_its_block(part: Part, block: Any, losses: list[str]) -> None:
    body, reported = encoded(answer(part))

    assert body["content"] == ([block] if block else [])
    assert reported == losses


REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "context_length": "model_context_window_exceeded",
    "tool_use": "tool_use",
    "refusal": "refusal",
    "content_filter": "refusal",
    "recitation": "refusal",
    "pause": "pause_turn",
    "continuation": "max_tokens",
    "compaction": "compaction",
    "steered": "end_turn",
    "other": "end_turn",
    "unknown": "end_turn",
}


@pytest.mark.parametrize(("reason", "word"), REASONS.items())
def test_finish_reasons(reason: FinishReason, word: str) -> None:
    assert encoded(answer(Text(text="x"), reason=reason))[0]["stop_reason"] == word


@pytest.mark.parametrize("reason", ["malformed", "error", "cancelled"])
def test_an_answer_that_did_not_end_is_no_answer(reason: FinishReason) -> None:
    with pytest.raises(MalformedMessage):
        encoded(answer(Text(text="x"), reason=reason))


def test_a_blocked_prompt_is_a_refusal_without_content() -> None:
    blocked = Finish(reason="content_filter", raw="PROHIBITED_CONTENT")

    body, _ = encoded(replace(answer(), candidates=[], blocked=blocked))

    assert body["content"] == []
    assert body["stop_reason"] == "refusal"
    assert body["stop_details"] == {"type": "refusal", "category": None, "explanation": "PROHIBITED_CONTENT"}


def test_token_counts_both_ways() -> None:
    decoded = CONVERTER.decode_response(WireResponse(status=200, body=b'{"input_tokens":42}'))
    out = CONVERTER.encode_response(decoded, replace(ASKED, operation="count_tokens"))

    assert decoded.usage == Usage(input=42)
    assert out.wire.body == b'{"input_tokens":42}'


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'{"usage":{"input_tokens":1,"output_tokens":2},"content":[]}', Usage(input=1, output=2)),
        (b"{}", None),
        (b"x", None),
        (b'{"usage":[]}', None),
    ],
)
def test_usage_of_a_relayed_answer(body: bytes, usage: Usage | None) -> None:
    assert CONVERTER.usage(WireResponse(status=200, body=body)) == usage
