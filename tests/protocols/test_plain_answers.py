"""An answer that is one plain text goes past the passes, and frames of one read are taken together: nobody can tell."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiclient2api.errors import MalformedMessage
from aiclient2api.protocols.builtin import BUILTIN
from aiclient2api.protocols.carrier import Carrier
from aiclient2api.protocols.conversion import Inbound, Target
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.pivot_streams import FoldingStream, PivotStream
from aiclient2api.protocols.profile import ModelProfile
from aiclient2api.wire import json
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireRequest

FACTORY = ConverterFactory(BUILTIN, Carrier({1: b"k" * 32}, 1))
CLIENTS = {
    "openai_chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Go."}]}),
    "anthropic": ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": "Go."}]}),
    "openai_responses": ("/v1/responses", {"input": "Go."}),
}
Kept = list[tuple[str, bytes | None]]


def _chunk(delta: object, index: int = 0, finish: str | None = None, **beside: object) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return json.encode({"id": "c", "model": "m", "choices": [choice], **beside})


def _texts(*texts: str, index: int = 0) -> list[bytes]:
    return [_chunk({"content": text}, index) for text in texts]


FIRST = _chunk({"role": "assistant", "content": ""})
END = _chunk({}, finish="stop")
COUNTS = json.encode({"id": "c", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5}})
DONE = b"[DONE]"
CALL = {"index": 0, "id": "call_1", "function": {"name": "f", "arguments": '{"a":1.50}'}}
CITED = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A"}}
ANSWERS: dict[str, list[bytes]] = {
    "a text": [FIRST, *_texts("Hello", " from", " here"), END, COUNTS, DONE],
    "nothing": [FIRST, END, COUNTS, DONE],
    "keep-alives": [FIRST, *_texts("a", "b"), b"", *_texts("c"), END, DONE],
    "a member that only Chat has": [_chunk({"content": "a"}, odd=1), *_texts("b", "c"), END, DONE],
    "counts that only Chat has": [*_texts("a", "b"), END, COUNTS.replace(b'_tokens":5', b'_tokens":5,"x":1'), DONE],
    "a call behind it": [*_texts("I ", "look."), _chunk({"tool_calls": [CALL]}), _chunk({}, finish="tool_calls"), DONE],
    "a source": [*_texts("I ", "say."), _chunk({"annotations": [CITED]}), *_texts(" So."), END, DONE],
    "a thought before it": [_chunk({"reasoning_content": "Hm."}), *_texts("A", "b"), END, COUNTS, DONE],
    "a refusal behind it": [*_texts("A"), _chunk({"refusal": "No."}), END, DONE],
    "another candidate": [*_texts("a", "b"), *_texts("x", index=1), *_texts("c"), END, _chunk({}, 1, "stop"), DONE],
    "a filter": [*_texts("a", "b"), _chunk({}, finish="content_filter"), COUNTS, DONE],
    "an error": [*_texts("a", "b"), json.encode({"error": {"message": "no"}}), *_texts("c"), DONE],
    "no JSON": [*_texts("a", "b"), b"{", *_texts("c"), END, DONE],
    "words behind the end": [*_texts("a"), END, *_texts("b"), DONE, *_texts("c"), DONE],
    "no end": [*_texts("a", "b"), DONE],
}  # fmt: skip


def _event(name: str, **members: object) -> bytes:
    return json.encode({"type": name, **members})


def _said(*texts: str, index: int = 0) -> list[bytes]:
    deltas = [{"type": "text_delta", "text": text} for text in texts]
    return [_event("content_block_delta", index=index, delta=delta) for delta in deltas]


def _block(index: int, **block: object) -> bytes:
    return _event("content_block_start", index=index, content_block=block)


def _stop(index: int) -> bytes:
    return _event("content_block_stop", index=index)


HEAD = _event(
    "message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "usage": {"input_tokens": 9},
    },
)
TAIL = [
    _event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5}),
    _event("message_stop"),
]
TEXT = _block(0, type="text", text="")
PAGE = {"type": "web_search_result_location", "url": "https://a.example", "title": "A", "cited_text": "b"}
CITED_DELTA = {"type": "citations_delta", "citation": {**PAGE, "encrypted_index": "x"}}
CLAUDES: dict[str, list[bytes]] = {
    "a text": [HEAD, TEXT, *_said("Hello", " from", " here"), _stop(0), *TAIL],
    "pings": [HEAD, TEXT, *_said("a"), _event("ping"), *_said("b", "c"), _stop(0), *TAIL],
    "an empty piece": [HEAD, TEXT, *_said("a", "", "b"), _stop(0), *TAIL],
    "a text that begins with its block": [HEAD, _block(0, type="text", text="a"), *_said("b", "c"), _stop(0), *TAIL],
    "two texts": [HEAD, TEXT, *_said("a", "b"), _stop(0), _block(1, type="text", text="x"), *_said("c", index=1), _stop(1), *TAIL],
    "two at once": [HEAD, TEXT, *_said("a"), _block(1, type="text", text="x"), *_said("b"), *_said("c", index=1), _stop(0), _stop(1), *TAIL],
    "a source": [HEAD, TEXT, *_said("a"), _event("content_block_delta", index=0, delta=CITED_DELTA), *_said("b", "c"), _stop(0), *TAIL],
    "a thought before it": [HEAD, _block(0, type="thinking", thinking="Hm.", signature="sig"), _stop(0), _block(1, type="text", text=""), *_said("a", "b", index=1), _stop(1), *TAIL],
    "a call behind it": [HEAD, TEXT, *_said("a", "b"), _stop(0), _block(1, type="tool_use", id="t", name="f", input={}), _stop(1), *TAIL],
    "an unopened block": [HEAD, TEXT, *_said("a", "b"), *_said("c", index=3), _stop(0), *TAIL],
    "an error": [HEAD, TEXT, *_said("a", "b"), _event("error", error={"type": "overloaded_error", "message": "no"}), *TAIL],
    "words behind the end": [HEAD, TEXT, *_said("a"), _stop(0), TAIL[0], *_said("b"), TAIL[1]],
}  # fmt: skip


def _stream(client: str, *, streams: bool, kept: Kept) -> PivotStream | FoldingStream:
    path, body = CLIENTS[client]
    wire = WireRequest(path=path, body=json.encode({"model": "m", **body, "stream": streams}))
    target = Target(model="m", profile=ModelProfile(), remember=lambda *what: kept.append(what))
    upstream = "anthropic" if client == "openai_chat" else "openai_chat"
    made = FACTORY.convert(Inbound(FACTORY[client], wire, "tenant"), upstream, target).stream()
    assert isinstance(made, PivotStream | FoldingStream)
    return made


def _outcome(stream: PivotStream | FoldingStream, out: list[bytes], broken: bool, kept: Kept) -> Any:
    """All that can be seen of an answer from outside."""
    whole: object = None
    if isinstance(stream, FoldingStream) and stream.ended:
        try:
            whole = stream.answer()
        except MalformedMessage as error:
            whole = str(error)
    seen = (stream.content, stream.ended, stream.refused, stream.finished, stream.response_id)
    return b"".join(out), broken, whole, *seen, stream.usage, stream.failure, kept


def _one_by_one(client: str, data: list[bytes], *, streams: bool) -> Any:
    kept: Kept = []
    stream, out, broken = _stream(client, streams=streams, kept=kept), list[bytes](), False
    try:
        for each in data:
            if stream.ended or stream.failure is not None:
                break
            out.append(stream.feed(Frame(b"", each)))
    except MalformedMessage:
        broken = True
    return _outcome(stream, out, broken, kept)


def _in_reads(client: str, data: list[bytes], sizes: list[int], *, streams: bool) -> Any:
    kept: Kept = []
    stream, out, broken = _stream(client, streams=streams, kept=kept), list[bytes](), False
    frames, sizes = [Frame(b"", each) for each in data], [*sizes, len(data)]
    try:
        while frames and not stream.ended and stream.failure is None:
            size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
            stream.feed_all(frames[:size], out)
            frames = frames[size:]
    except MalformedMessage:
        broken = True
    return _outcome(stream, out, broken, kept)


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize(
    ("client", "name"),
    [
        *((client, name) for client in ("anthropic", "openai_responses") for name in ANSWERS),
        *(("openai_chat", name) for name in CLAUDES),
    ],
)
@settings(max_examples=12)
@given(sizes=st.lists(st.integers(1, 5), max_size=6))
def test_however_many_events_a_read_brings_the_answer_is_the_same(
    client: str, name: str, streams: bool, sizes: list[int]
) -> None:
    data = CLAUDES[name] if client == "openai_chat" else ANSWERS[name]
    assert _in_reads(client, data, sizes, streams=streams) == _one_by_one(client, data, streams=streams)


@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("name", ["a text", "nothing", "keep-alives", "a thought before it"])
def test_a_plain_text_is_told_as_one_that_goes_through_all_passes(name: str, streams: bool) -> None:
    plain = ANSWERS[name]
    watched = [plain[0].replace(b'"id":"c"', b'"id":"c","odd":1'), *plain[1:]]
    first = _one_by_one("anthropic", plain, streams=streams)
    second = _one_by_one("anthropic", watched, streams=streams)
    if streams:
        assert first == second
        return
    assert first[2].response == second[2].response
    lost = [[loss.feature for loss in told[2].losses] for told in (first, second)]
    assert sorted([*lost[0], "ext.odd"]) == sorted(lost[1])
    assert (first[3:], first[2].usage) == (second[3:], second[2].usage)
