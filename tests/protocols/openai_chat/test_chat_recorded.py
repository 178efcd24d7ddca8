"""Real traffic: every recorded answer and stream of this protocol is decoded, folded and encoded again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from aiclient2api.ir.events import StreamEvent
from aiclient2api.ir.fold import fold, unfold
from aiclient2api.wire.http import WireResponse
from aiclient2api.wire.sse import SseDecoder
from tests.protocols.openai_chat.chat_wire import (
    CONVERTER,
    RECORDED,
    accumulate,
    check,
    chunks_of,
    decode_answer,
    encode_stream,
    foreign,
    frame,
    message,
    without_nulls,
)

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recorded traffic in {RECORDED}")


def _files(pattern: str, marker: bytes) -> list[Path]:
    return [path for path in sorted(RECORDED.glob(f"*/{pattern}")) if marker in path.read_bytes()[:5000]]


def _answers() -> list[Path]:
    return [
        path
        for path in _files("*.json", b'"chat.completion"')
        if json.loads(path.read_bytes()).get("object") == "chat.completion"
    ]


def _streams() -> list[Path]:
    return _files("*.chunks.txt", b'"chat.completion.chunk"')


def _name(path: Path) -> str:
    return path.name


def _events(path: Path) -> list[StreamEvent]:
    decoder = CONVERTER.stream_decoder()
    lines = path.read_bytes().splitlines()
    events = [event for line in lines if line for event in decoder.feed(frame(line))]
    return [*events, *decoder.close()]


def _normal(body: dict[str, Any]) -> dict[str, Any]:
    """The freedoms of the normal form: no null members, no members that say nothing."""
    body = without_nulls(body)
    for choice in body["choices"]:
        for call in choice["message"].get("tool_calls", ()):
            call.pop("index", None)
            call.setdefault("type", "function")
        for list_ in ("tool_calls", "annotations"):
            if not choice["message"].get(list_, True):
                del choice["message"][list_]
    usage = body.get("usage", {})
    for details in ("prompt_tokens_details", "completion_tokens_details"):
        usage.setdefault(details, {})
    body["id"] = body["id"].removeprefix("chatcmpl-")
    if body.get("service_tier") == "on_demand":
        del body["service_tier"]  # Groq's own word, which the SDK's types do not know
    return body


@pytest.mark.parametrize("path", _answers(), ids=_name)
def test_a_recorded_answer_comes_back_as_it_was(path: Path) -> None:
    body = json.loads(path.read_bytes())
    encoded = CONVERTER.encode_response(decode_answer(path.read_bytes()), foreign())
    again = _normal(json.loads(encoded.wire.body))
    expected = _normal(body)
    usage = expected["usage"]
    reasoning = usage["completion_tokens_details"].get("reasoning_tokens", 0)
    if usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] + reasoning:
        usage["completion_tokens"] += reasoning  # xAI counts thinking apart
    if "cached_tokens" in usage:
        usage["prompt_tokens_details"]["cached_tokens"] = usage["cached_tokens"]
    assert again == expected
    assert {loss.feature for loss in encoded.losses} <= {"tier"}
    ChatCompletion.model_validate(json.loads(encoded.wire.body))


@pytest.mark.parametrize("path", _streams(), ids=_name)
def test_a_recorded_stream_folds(path: Path) -> None:
    events = _events(path)
    check(events)
    response = fold(events, "openai_chat")
    assert response.id and response.model and response.candidates[0].finish is not None
    assert response.candidates[0].turn.parts


@pytest.mark.parametrize("path", _streams(), ids=_name)
def test_a_recorded_stream_is_encoded_as_its_whole_answer(path: Path) -> None:
    events = _events(path)
    chunks = chunks_of(encode_stream(events))
    for chunk in chunks:
        ChatCompletionChunk.model_validate(chunk)
    whole = message(fold(events, "openai_chat"))
    streamed = accumulate(chunks)
    streamed["content"] = streamed["content"] or None
    streamed.pop("reasoning_details", None)
    for call in streamed.get("tool_calls", ()):
        del call["index"]
    assert without_nulls(streamed) == without_nulls(whole)


@pytest.mark.parametrize("path", _answers(), ids=_name)
def test_a_recorded_answer_as_a_stream_is_the_same_answer(path: Path) -> None:
    response = decode_answer(path.read_bytes())
    decoder = CONVERTER.stream_decoder()
    stream = encode_stream(unfold(response))
    frames = SseDecoder().feed(stream)
    again = fold([event for each in frames for event in decoder.feed(each)], "openai_chat")
    whole, streamed = message(response), message(again)
    streamed.pop("reasoning_details", None)
    assert (whole.pop("content") or None) == streamed.pop("content")
    assert without_nulls(streamed) == without_nulls(whole)


@pytest.mark.parametrize("path", _answers(), ids=_name)
def test_the_usage_of_a_recorded_answer_is_read(path: Path) -> None:
    usage = CONVERTER.usage(WireResponse(status=200, body=path.read_bytes()))
    assert usage is not None and usage.total == json.loads(path.read_bytes())["usage"]["total_tokens"]
