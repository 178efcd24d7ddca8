"""Streams whose events come as no book has them: nothing of one block is told as another's, and nothing falls over."""

from __future__ import annotations

from typing import Any

import pytest

from aiclient2api.protocols.anthropic.relay import MessageStreamTap
from aiclient2api.protocols.pivot_streams import FoldingStream
from aiclient2api.wire import json
from aiclient2api.wire.frames import Frame
from tests.protocols.exchanges import conversion, streamed

START = {"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": [], "usage": {}}}
END = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]


def _block(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _delta(index: int, **delta: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _told(client: str, *events: dict[str, Any]) -> str:
    """What a client of a Claude upstream gets when each event comes alone."""
    stream = conversion(client, "anthropic", stream=True).stream()
    told = [stream.feed(Frame(b"", json.encode(event))) for event in (START, *events, *END)]
    assert stream.ended
    assert stream.failure is None
    return b"".join(told).decode()


@pytest.mark.parametrize("client", ["openai_chat", "openai_responses", "gemini"])
def test_text_of_a_block_that_nobody_knows_is_not_told_as_text_of_the_block_before_it(client: str) -> None:
    """The block before it was not closed, and each event comes alone."""
    said = [_delta(0, type="text_delta", text=text) for text in ("one", "two")]
    odd = [_delta(1, type="text_delta", text=text) for text in ("xxx", "yyy", "zzz")]
    told = _told(client, _block(0, type="text", text=""), *said, _block(1, type="fancy", text=""), *odd)

    assert "two" in told
    assert not any(text in told for text in ("xxx", "yyy", "zzz"))


def test_a_block_that_begins_where_another_was_not_ended_ends_it() -> None:
    stream = conversion("openai_chat", "anthropic", stream=False).stream()
    for text in ("one", "two"):
        for event in (START, _block(0, type="text", text=""), _delta(0, type="text_delta", text=text)):
            stream.feed(Frame(b"", json.encode(event)))
    for event in END:
        stream.feed(Frame(b"", json.encode(event)))
    assert isinstance(stream, FoldingStream)
    assert b'"onetwo"' in stream.answer().response.body


def test_a_thought_beside_an_empty_text_is_told() -> None:
    thought = _delta(0, type="thinking_delta", text="", partial_json="", thinking="Hm.")
    assert "Hm." in _told("openai_chat", _block(0, type="thinking", thinking="", signature=""), thought)


@pytest.mark.parametrize("kind", ["text", "thinking", "tool_use", "redacted_thinking"])
@pytest.mark.parametrize("client", ["openai_chat", "openai_responses", "gemini"])
def test_a_piece_of_another_kind_than_its_block_is_passed_over(client: str, kind: str) -> None:
    """As Anthropic's own SDKs do."""
    own = {"text": "", "thinking": "", "signature": "", "id": "t", "name": "f", "input": {}, "data": "d"}
    pieces = {
        "text": _delta(0, type="text_delta", text="xxx"),
        "thinking": _delta(0, type="thinking_delta", thinking="xxx"),
        "tool_use": _delta(0, type="input_json_delta", partial_json="{}"),
    }
    others = [piece for name, piece in pieces.items() if name != kind]
    after = [_block(1, type="text", text=""), _delta(1, type="text_delta", text="said")]
    told = _told(client, _block(0, type=kind, **own), *others, *after)

    assert "said" in told
    assert "xxx" not in told


def test_an_item_that_begins_where_another_was_not_ended_ends_it() -> None:
    stream = conversion("openai_chat", "openai_responses").stream()
    answer = {"id": "resp_1", "model": "m", "status": "in_progress"}
    item = {"type": "message", "id": "m", "role": "assistant", "content": []}
    said = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0}
    for event in (
        {"type": "response.created", "response": answer},
        {**said, "delta": "one"},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {**said, "delta": "two"},
        {"type": "response.completed", "response": {**answer, "status": "completed", "output": []}},
    ):
        stream.feed(Frame(b"", json.encode(event)))
    assert isinstance(stream, FoldingStream)
    assert b'"onetwo"' in stream.answer().response.body


def test_an_output_index_below_zero_is_one_like_others() -> None:
    created = {"id": "resp_1", "model": "m", "status": "in_progress"}
    stream, told, _ = streamed(
        "openai_chat",
        "openai_responses",
        [
            {"type": "response.created", "response": created},
            {"type": "response.output_text.delta", "output_index": -1, "content_index": 0, "delta": "said"},
            {"type": "response.completed", "response": {**created, "status": "completed", "output": []}},
        ],
    )
    assert stream.ended
    assert "said" in told


def _relayed(*events: dict[str, Any]) -> MessageStreamTap:
    tap = MessageStreamTap()
    for event in (START, *events, *END):
        assert tap.feed(Frame(b"raw", json.encode(event)))
    return tap


def test_an_index_inside_a_block_is_not_the_blocks() -> None:
    """In either order of members: what servers write in Go is sorted by name."""
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {"index": 0, "more": 1}}
    piece = _delta(1, type="input_json_delta", partial_json="{}")
    said = [_block(0, type="text", text=""), _delta(0, type="text_delta", text="a")]
    sorted_by_name = {"content_block": call, "index": 1, "type": "content_block_start"}

    assert _relayed(*said, _block(1, **call), piece).ended
    assert _relayed(*said, sorted_by_name, piece).ended


def test_content_before_the_message_has_begun_stays_content() -> None:
    tap = MessageStreamTap()
    tap.feed(Frame(b"raw", json.encode(_delta(0, type="text_delta", text="a"))))
    tap.feed(Frame(b"raw", json.encode(START)))
    assert tap.content
