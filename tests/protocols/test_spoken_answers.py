"""A spoken answer comes back as an id; upstreams that do not know it get its words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aiclient2api.protocols.conversion import Conversion, Inbound, Target
from aiclient2api.protocols.profile import DEFAULT_PROFILE
from aiclient2api.wire.http import WireRequest
from tests.protocols.exchanges import FACTORY, content, whole


def asked_again(upstream: str, spoken: dict[str, Any]) -> Conversion:
    turns = [{"role": "user", "content": "x"}, spoken, {"role": "user", "content": "and?"}]
    body = json.dumps({"model": "m", "messages": turns}).encode()
    inbound = Inbound(FACTORY["openai_chat"], WireRequest(path="/v1/chat/completions", body=body), "t")
    return FACTORY.convert(inbound, upstream, Target(model="m", profile=DEFAULT_PROFILE, streams=False))


def heard() -> dict[str, Any]:
    parts = [{"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}]
    told = json.loads(whole("openai_chat", "gemini", content(parts, finishReason="STOP")).response.body)
    message: dict[str, Any] = told["choices"][0]["message"]
    return {"role": "assistant", "audio": {"id": message["audio"]["id"]}}


@pytest.mark.parametrize("upstream", ["gemini", "anthropic", "openai_responses"])
def test_a_conversation_goes_on_behind_a_spoken_answer(upstream: str) -> None:
    conversion = asked_again(upstream, heard())
    assert b"audio" not in conversion.request.body
    assert ("media.audio", "dropped") in {(loss.feature, loss.act) for loss in conversion.losses}


@pytest.mark.parametrize("upstream", ["gemini", "anthropic", "openai_responses"])
def test_the_transcript_of_a_spoken_answer_is_told(upstream: str) -> None:
    spoken = {"role": "assistant", "audio": {"id": "audio_1", "transcript": "Good morning"}}
    conversion = asked_again(upstream, spoken)
    assert b"Good morning" in conversion.request.body
    assert ("media.audio", "approximated") in {(loss.feature, loss.act) for loss in conversion.losses}


@pytest.mark.parametrize("upstream", ["openai_chat", "anthropic", "openai_responses"])
def test_a_sound_of_the_model_ends_no_conversation(upstream: str) -> None:
    sound = {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}
    turns = [
        {"role": "user", "parts": [{"text": "x"}]},
        {"role": "model", "parts": [sound]},
        {"role": "user", "parts": [{"text": "and?"}]},
    ]
    path, body = "/v1beta/models/m:generateContent", json.dumps({"contents": turns}).encode()
    inbound = Inbound(FACTORY["gemini"], WireRequest(path=path, body=body), "t")
    target = Target(model="m", profile=DEFAULT_PROFILE, streams=False)
    conversion = FACTORY.convert(inbound, upstream, target)
    assert ("media.audio", "dropped") in {(loss.feature, loss.act) for loss in conversion.losses}


def test_tokens_of_google_have_their_bytes() -> None:
    chosen = {"chosenCandidates": [{"token": "é", "logProbability": -0.5}]}
    body = content([{"text": "é"}], finishReason="STOP", logprobsResult=chosen)
    told = json.loads(whole("openai_chat", "gemini", body).response.body)
    assert told["choices"][0]["logprobs"]["content"][0]["bytes"] == [0xC3, 0xA9]
