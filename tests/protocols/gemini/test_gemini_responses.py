"""Complete answers, both ways."""

from __future__ import annotations

import json

import msgspec
import pytest
from google.genai import types
from msgspec import Raw

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
from aiclient2api.ir.response import Candidate, Finish, ModelResponse, Usage
from aiclient2api.wire.http import WireResponse
from tests.protocols.gemini.gemini_samples import GEMINI, Json, answer, candidate, foreign, turn

ASKED = foreign(turn("user", Text(text="hi")))


def decoded(body: Json) -> ModelResponse:
    return GEMINI.decode_response(answer(body))


def response(*parts: Part, reason: str = "stop", **more: Json) -> ModelResponse:
    finish = msgspec.convert({"reason": reason}, Finish)
    return ModelResponse(
        protocol="anthropic",
        id="msg_1",
        model="claude",
        candidates=[Candidate(turn=turn("assistant", *parts), finish=more.pop("finish", finish))],
        **more,
    )


def sent(answer: ModelResponse) -> Json:
    return json.loads(GEMINI.encode_response(answer, ASKED).wire.body)


def test_calls_without_ids_get_the_same_ids_every_time() -> None:
    body = {
        "responseId": "r9",
        "candidates": [
            candidate(
                {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "SIGg"},
                {"functionCall": {"name": "f", "args": {"a": 2}}},
            )
        ],
    }

    first, again = decoded(body), decoded(body)

    one, two = first.candidates[0].turn.parts
    assert isinstance(one, ToolCall) and isinstance(two, ToolCall)
    assert (one.opaque, two.opaque) == (Opaque("gemini.signature", "SIGg"), None)
    assert one.synthetic_id and one.call_id.startswith("call_gw_") and one.call_id != two.call_id
    assert first.candidates[0].turn == again.candidates[0].turn
    assert first.candidates[0].finish is not None
    assert (first.candidates[0].finish.reason, first.candidates[0].finish.raw) == ("tool_use", "STOP")


@pytest.mark.parametrize(
    ("native", "parts", "reason"),
    [
        ("STOP", [{"text": "x"}], "stop"),
        ("MAX_TOKENS", [{"functionCall": {"name": "f"}}], "length"),
        ("SAFETY", [], "content_filter"),
        ("MALFORMED_FUNCTION_CALL", [], "malformed"),
        ("TOO_MANY_TOOL_CALLS", [], "pause"),
        ("BRAND_NEW", [{"text": "x"}], "unknown"),
    ],
)
def test_finish_reasons(native: str, parts: list[Json], reason: str) -> None:
    finish = decoded({"candidates": [candidate(*parts, reason=native)]}).candidates[0].finish

    assert finish is not None
    assert (finish.reason, finish.raw) == (reason, native)


def test_usage_in_both_directions() -> None:
    counts = {
        "promptTokenCount": 1000,
        "cachedContentTokenCount": 600,
        "toolUsePromptTokenCount": 50,
        "candidatesTokenCount": 180,
        "thoughtsTokenCount": 120,
        "totalTokenCount": 1350,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1000}],
        "trafficType": "ON_DEMAND",
    }

    found = decoded({"candidates": [candidate()], "usageMetadata": counts})

    assert found.usage is not None
    assert (found.usage.input, found.usage.cache_read, found.usage.tool_input) == (1000, 600, 50)
    assert (found.usage.output, found.usage.reasoning, found.usage.total) == (300, 120, 1350)
    assert found.tier == "default"
    assert sent(response(usage=found.usage))["usageMetadata"] == counts


def test_unknown_counts_stay_unknown() -> None:
    assert decoded({"candidates": [candidate()], "usageMetadata": {"trafficType": "X"}}).usage is None
    assert "usageMetadata" not in sent(response())
    assert sent(response(usage=Usage(input=7)))["usageMetadata"] == {
        "promptTokenCount": 7,
        "totalTokenCount": 7,
    }


def test_a_refused_prompt_is_an_answer() -> None:
    body = {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7},
    }

    found = decoded(body)

    assert found.candidates == []
    assert found.blocked == Finish(
        reason="content_filter", raw="PROHIBITED_CONTENT", explanation="PROHIBITED_CONTENT"
    )
    assert sent(found) == {**body, "modelVersion": "m"}


@pytest.mark.parametrize("body", [b"{}", b"[]", b"", b'{"candidates":[5]}', b'{"candidates":[]}'])
def test_what_is_no_answer_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        GEMINI.decode_response(WireResponse(status=200, body=body))


def test_sources_count_code_points_here_and_bytes_there() -> None:
    body = {
        "groundingChunks": [{"web": {"uri": "https://x", "title": "X"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 3, "endIndex": 6, "text": "abc"}, "groundingChunkIndices": [0, 7]}
        ],
    }

    text = (
        decoded({"candidates": [candidate({"text": "é abc"}, groundingMetadata=body)]})
        .candidates[0]
        .turn.parts[0]
    )

    assert isinstance(text, Text)
    assert text.citations == [
        Citation(kind="url", url="https://x", title="X", quote="abc", span=(2, 5), protocol="gemini")
    ]
    again = sent(response(text))["candidates"][0]["groundingMetadata"]
    assert again == {
        "groundingChunks": [{"web": {"uri": "https://x", "title": "X"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 3, "endIndex": 6, "text": "abc"}, "groundingChunkIndices": [0]}
        ],
    }


def test_token_probabilities() -> None:
    result = {
        "chosenCandidates": [{"token": "a", "tokenId": 5, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "b", "tokenId": 6, "logProbability": -1.5}]}],
    }

    text = (
        decoded({"candidates": [candidate({"text": "a"}, logprobsResult=result)]}).candidates[0].turn.parts[0]
    )

    assert isinstance(text, Text)
    assert text.logprobs is not None
    assert (text.logprobs[0].token, text.logprobs[0].logprob, text.logprobs[0].top[0].token) == (
        "a",
        -0.5,
        "b",
    )
    assert sent(response(text))["candidates"][0]["logprobsResult"] == result


ENVELOPE = "Z3ctY2FycnkxAAAA"
PARTS: dict[str, tuple[list[Part], list[Json]]] = {
    "thought with envelope": (
        [Reasoning(summary=["a", "b"], opaque=Opaque("envelope", ENVELOPE))],
        [{"text": "a\n\nb", "thought": True, "thoughtSignature": ENVELOPE}],
    ),
    "envelope alone": (
        [Reasoning(opaque=Opaque("envelope", ENVELOPE))],
        [{"text": "", "thought": True, "thoughtSignature": ENVELOPE}],
    ),
    "signed call": (
        [ToolCall(call_id="t1", name="f", arguments='{"a":1}', opaque=Opaque("envelope", ENVELOPE))],
        [{"functionCall": {"id": "t1", "name": "f", "args": {"a": 1}}, "thoughtSignature": ENVELOPE}],
    ),
    "custom call": (
        [ToolCall(call_id="t1", name="f", arguments="x", kind="custom")],
        [{"functionCall": {"id": "t1", "name": "f", "args": {"input": "x"}}}],
    ),
    "image": (
        [Media(kind="image", source=Inline("image/png", "iVBO"))],
        [{"inlineData": {"mimeType": "image/png", "data": "iVBO"}}],
    ),
    "refusal": ([Refusal(text="no")], [{"text": "no"}]),
    "another protocol's part": (
        [HostedCall(protocol="anthropic", wire_type="server_tool_use", raw=Raw(b"{}")), Text(text="x")],
        [{"text": "x"}],
    ),
    "state that nobody sealed": ([Text(text="x", opaque=Opaque("openai.encrypted", "E"))], [{"text": "x"}]),
}


@pytest.mark.parametrize(("parts", "wires"), PARTS.values(), ids=PARTS.keys())
def test_parts_for_a_client(parts: list[Part], wires: list[Json]) -> None:
    body = sent(response(*parts))

    assert body["candidates"][0]["content"] == {"role": "model", "parts": wires}
    types.GenerateContentResponse.model_validate(body)


def test_a_refusal_says_why() -> None:
    finish = Finish(reason="refusal", raw="refusal", category="cyber", explanation="long")

    body = sent(response(Text(text="I can"), finish=finish))["candidates"][0]

    assert (body["finishReason"], body["finishMessage"]) == ("SAFETY", "refusal: cyber")


def test_what_gets_lost_is_reported() -> None:
    finish = Finish(reason="stop_sequence", stop_sequence="END")
    usage = Usage(input=1, output=1, cache_write=5)

    encoded = GEMINI.encode_response(response(Refusal(text="no"), finish=finish, usage=usage), ASKED)

    assert {(loss.feature, loss.act) for loss in encoded.losses} == {
        ("finish.stop_sequence", "dropped"),
        ("usage.detail", "dropped"),
        ("refusal", "approximated"),
    }


def test_several_candidates_keep_their_index() -> None:
    found = decoded({"candidates": [candidate({"text": "a"}), {**candidate({"text": "b"}), "index": 1}]})

    assert [(item.index, item.turn.parts) for item in found.candidates] == [
        (0, [Text(text="a")]),
        (1, [Text(text="b")]),
    ]
    assert [item["index"] for item in sent(found)["candidates"]] == [0, 1]


def test_unset_probability_lists_do_not_appear() -> None:
    text = Text(text="a", logprobs=[TokenLogprob(token="a", logprob=-1.0)])

    assert sent(response(text))["candidates"][0]["logprobsResult"] == {
        "chosenCandidates": [{"token": "a", "logProbability": -1.0}]
    }
