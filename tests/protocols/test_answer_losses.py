"""What an answer holds and its client's protocol has no place for is in the report, whole and streamed; nothing else is."""

from __future__ import annotations

from typing import Any, Final

import pytest

from aiclient2api.ir.loss import Loss
from tests.protocols.exchanges import ASKS, chat, content, message, streamed, whole

TEXT: Final = {"type": "text", "text": "Hi"}


def found(losses: list[Loss]) -> set[tuple[str, str]]:
    return {(loss.feature, loss.act) for loss in losses}


def second_candidate() -> dict[str, Any]:
    body = content([{"text": "one"}], finishReason="STOP")
    other = {"index": 1, "content": {"role": "model", "parts": [{"text": "two"}]}, "finishReason": "STOP"}
    return {"candidates": [*body["candidates"], other]}


REFUSED: Final = chat({"content": None, "refusal": "No."}, "stop")
TOKEN: Final = {"token": "No", "logprob": -0.1, "bytes": None, "top_logprobs": []}
BLOCKED: Final = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
LOST: Final[dict[str, tuple[str, dict[str, Any], tuple[str, ...], str]]] = {
    "a second candidate": ("gemini", second_candidate(), ("anthropic", "openai_responses"), "candidates"),
    "why a prompt was blocked": (
        "gemini",
        BLOCKED,
        ("openai_responses", "openai_chat"),
        "finish.explanation",
    ),
    "what Google says of the end": (
        "gemini",
        content([{"text": "Hi"}], finishReason="STOP", finishMessage="fm"),
        ("anthropic", "openai_responses", "openai_chat"),
        "finish.explanation",
    ),
    "a member of a call": (
        "anthropic",
        message([{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}, "unk": 1}], "tool_use"),
        ("openai_responses", "openai_chat", "gemini"),
        "ext.unk",
    ),
    "how likely the words of a refusal were": (
        "openai_chat",
        {
            **REFUSED,
            "choices": [{**REFUSED["choices"][0], "logprobs": {"content": None, "refusal": [TOKEN]}}],
        },
        ("openai_responses", "gemini"),
        "ext.refusal_logprobs",
    ),
    "the transcript of a sound": (
        "openai_chat",
        chat(
            {"content": None, "audio": {"id": "a", "data": "AAAA", "transcript": "Hi", "expires_at": 1}},
            "stop",
        ),
        ("gemini",),
        "media.transcript",
    ),
}
CASES: Final = [(name, client) for name, (_, _, clients, _) in LOST.items() for client in clients]


@pytest.mark.parametrize(("name", "client"), CASES)
def test_a_loss_of_a_whole_answer_is_told(name: str, client: str) -> None:
    upstream, body, _, feature = LOST[name]
    assert (feature, "dropped") in found(whole(client, upstream, body).losses)


@pytest.mark.parametrize(("name", "client"), [case for case in CASES if LOST[case[0]][0] == "gemini"])
def test_a_loss_of_a_stream_is_told(name: str, client: str) -> None:
    upstream, body, _, feature = LOST[name]
    stream, _, losses = streamed(client, upstream, [body])
    assert stream.ended and (feature, "dropped") in found(losses)


@pytest.mark.parametrize("client", ["openai_responses", "openai_chat", "gemini"])
def test_a_member_of_a_streamed_call_is_told(client: str) -> None:
    block = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}, "unk": 1}
    events = [
        {"type": "message_start", "message": message([], None)},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
        {"type": "message_stop"},
    ]
    assert ("ext.unk", "dropped") in found(streamed(client, "anthropic", events)[2])


def test_what_another_member_tells_is_not_reported() -> None:
    body = {
        **content([{"text": "Hi"}], finishReason="STOP"),
        "createTime": "2026-11-26T00:00:00Z",
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1, "trafficType": "ON_DEMAND"},
    }
    for client in ("openai_chat", "openai_responses"):
        assert whole(client, "gemini", body).losses == []
        ext = [loss for loss in streamed(client, "gemini", [body])[2] if loss.feature.startswith("ext.")]
        assert ext == []


def test_a_count_of_zero_is_no_loss() -> None:
    details = {"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0, "audio_tokens": 0}
    usage = {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "completion_tokens_details": details,
    }
    body = {**chat({"content": "Hi"}, "stop"), "usage": usage}
    for client in ASKS.keys() - {"openai_chat"}:
        assert whole(client, "openai_chat", body).losses == []
    assert b"AUDIO" not in whole("gemini", "openai_chat", body).response.body


@pytest.mark.parametrize("client", ["openai_responses", "gemini"])
def test_how_likely_a_streamed_refusal_was_is_told(client: str) -> None:
    def chunk(delta: dict[str, Any], **choice: Any) -> dict[str, Any]:
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None, **choice}]}

    logprobs = {"content": None, "refusal": [TOKEN]}
    events = [
        chunk({"role": "assistant", "refusal": "No."}, logprobs=logprobs),
        chunk({}, finish_reason="stop"),
    ]
    assert ("ext.refusal_logprobs", "dropped") in found(streamed(client, "openai_chat", events)[2])
