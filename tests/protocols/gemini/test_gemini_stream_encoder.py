"""Streams to a client."""

from __future__ import annotations

import json
import warnings

import msgspec
import pytest
from google.genai import types
from msgspec import Raw

from aiclient2api.errors import ErrorInfo
from aiclient2api.ir.events import (
    CandidateEnd,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
)
from aiclient2api.ir.fold import unfold
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
from aiclient2api.ir.request import StreamMode
from aiclient2api.ir.response import Candidate, Finish, ModelResponse, Usage
from tests.protocols.gemini.gemini_samples import (
    GEMINI,
    Json,
    decode,
    foreign,
    turn,
)

ENVELOPE = "Z3ctY2FycnkxAAAA"


def encoded(events: list[StreamEvent], mode: StreamMode = "sse") -> bytes:
    encoder = GEMINI.stream_encoder(msgspec.structs.replace(foreign(), protocol="gemini", stream=mode))
    return b"".join(encoder.feed(event) for event in events)


def chunks_of(stream: bytes) -> list[Json]:
    frames = GEMINI.frames("text/event-stream")
    found = frames.feed(stream)
    assert frames.close() == b""
    assert all(frame.raw.startswith(b"data: ") and frame.raw.endswith(b"\r\n\r\n") for frame in found)
    return [json.loads(frame.data) for frame in found]


def answer_of(*parts: Part, **more: Json) -> ModelResponse:
    finish = more.pop("finish", Finish(reason="stop"))
    return ModelResponse(
        protocol="anthropic",
        id="msg_1",
        model="claude",
        candidates=[Candidate(turn=turn("assistant", *parts), finish=finish)],
        **more,
    )


def test_a_stream_in_server_sent_events() -> None:
    stream = encoded(unfold(answer_of(Text(text='H"i'), usage=Usage(input=2, output=3))))

    assert stream == (
        b'data: {"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"H\\"i"}]}}],'
        b'"modelVersion":"claude","responseId":"msg_1"}\r\n\r\n'
        b'data: {"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"finishReason":"STOP","index":0}],'
        b'"usageMetadata":{"promptTokenCount":2,"candidatesTokenCount":3,"totalTokenCount":5},'
        b'"modelVersion":"claude","responseId":"msg_1"}\r\n\r\n'
    )


def test_a_stream_as_an_array_is_one_json_value() -> None:
    stream = encoded(unfold(answer_of(Text(text="Hi"))), "json_array")

    found = json.loads(stream)

    assert stream.startswith(b'[{"candidates"') and b"},\r\n{" in stream
    assert [item["candidates"][0]["content"]["parts"] for item in found] == [[{"text": "Hi"}], [{"text": ""}]]
    assert "finishReason" not in found[0]["candidates"][0]


def test_signatures_follow_their_text_and_calls_are_whole() -> None:
    opaque = Opaque("envelope", ENVELOPE)
    events: list[StreamEvent] = [
        ResponseStart(id="a", model="b"),
        PartStart(0, Reasoning()),
        PartDelta(0, "A", "summary", 0),
        PartDelta(0, "B", "summary", 1),
        PartDelta(0, "", "opaque", 0, opaque),
        PartEnd(0),
        PartStart(1, Text(text="", opaque=Opaque("gemini.signature", "QUJD"))),
        PartEnd(1),
        PartStart(2, ToolCall(call_id="t", name="f", opaque=opaque)),
        PartStart(3, ToolCall(call_id="u", name="g")),
        PartDelta(3, '{"b":', "arguments"),
        PartDelta(2, "{}", "arguments"),
        PartDelta(3, "\n1}", "arguments"),
        PartEnd(2),
        PartEnd(3),
        CandidateEnd(Finish(reason="tool_use")),
        ResponseEnd(),
    ]

    parts = [
        part for item in chunks_of(encoded(events)) for part in item["candidates"][0]["content"]["parts"]
    ]

    assert parts == [
        {"text": "A", "thought": True},
        {"text": "\n\nB", "thought": True},
        {"text": "", "thought": True, "thoughtSignature": ENVELOPE},
        {"text": "", "thoughtSignature": "QUJD"},
        {"functionCall": {"id": "t", "name": "f", "args": {}}, "thoughtSignature": ENVELOPE},
        {"functionCall": {"id": "u", "name": "g", "args": {"b": 1}}},
        {"text": ""},
    ]


def test_the_authoritative_part_completes_a_call() -> None:
    call = ToolCall(call_id="t", name="f", arguments='{"a":1}', opaque=Opaque("envelope", ENVELOPE))
    events: list[StreamEvent] = [
        ResponseStart(),
        PartStart(0, msgspec.structs.replace(call, arguments="", opaque=None)),
        PartEnd(0, call),
        CandidateEnd(Finish(reason="tool_use")),
        ResponseEnd(),
    ]

    assert chunks_of(encoded(events))[0]["candidates"][0]["content"]["parts"] == [
        {"functionCall": {"id": "t", "name": "f", "args": {"a": 1}}, "thoughtSignature": ENVELOPE}
    ]


STREAMS: dict[str, ModelResponse] = {
    "thought, text, call": answer_of(
        Reasoning(summary=["A"], opaque=Opaque("envelope", ENVELOPE)),
        Text(text="Hi 🎉"),
        ToolCall(call_id="t", name="f", arguments='{"a": "\\n"}'),
        usage=Usage(input=1, output=2, reasoning=1),
        finish=Finish(reason="tool_use"),
    ),
    "sources and probabilities": answer_of(
        Text(
            text="Hi",
            citations=[Citation(kind="url", url="https://x", span=(0, 2))],
            logprobs=[TokenLogprob(token="Hi", logprob=-0.1)],
        )
    ),
    "refusal": answer_of(
        Text(text="I can"), finish=Finish(reason="refusal", raw="refusal", category="cyber")
    ),
    "refusal part": answer_of(Refusal(text="no")),
    "image": answer_of(Media(kind="image", source=Inline("image/png", "iVBO"))),
    "unknown part": answer_of(HostedCall(protocol="anthropic", wire_type="x", raw=Raw(b"{}"))),
    "nothing": answer_of(),
    "truncated call": answer_of(
        ToolCall(call_id="t", name="f", arguments='{"a": 1'), finish=Finish(reason="length")
    ),
    "refused prompt": ModelResponse(
        protocol="gemini", id="r", model="g", blocked=Finish(reason="content_filter", raw="SAFETY")
    ),
    "two candidates": ModelResponse(
        protocol="openai_chat",
        id="r",
        model="g",
        candidates=[
            Candidate(turn=turn("assistant", Text(text=text)), index=index, finish=Finish(reason="stop"))
            for index, text in enumerate("ab")
        ],
    ),
}


@pytest.mark.parametrize("answer", STREAMS.values(), ids=STREAMS.keys())
@pytest.mark.parametrize("mode", ["sse", "json_array"])
def test_the_official_client_reads_every_chunk_and_the_same_answer(
    answer: ModelResponse, mode: StreamMode
) -> None:
    stream = encoded(unfold(answer), mode)
    chunks = chunks_of(stream) if mode == "sse" else json.loads(stream)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = [types.GenerateContentResponse.model_validate(item) for item in chunks]

    unary = json.loads(GEMINI.encode_response(answer, foreign()).wire.body)
    assert (read[-1].usage_metadata is None) == ("usageMetadata" not in unary)
    for index, whole in enumerate(unary.get("candidates", [])):
        pieces = [item for item in chunks for item in item["candidates"] if item["index"] == index]
        assert _merged(pieces) == _merged([whole])
        assert pieces[-1]["finishReason"] == whole["finishReason"]
        assert pieces[-1].get("finishMessage") == whole.get("finishMessage")
        assert pieces[-1].get("groundingMetadata") == whole.get("groundingMetadata")
        assert pieces[-1].get("logprobsResult") == whole.get("logprobsResult")
        assert all(item["content"]["parts"] for item in pieces)


def _merged(pieces: list[Json]) -> list[Json]:
    """All parts, texts of one kind joined, so that a signature on an empty part counts for its text."""
    parts: list[Json] = []
    for part in [part for item in pieces for part in item["content"]["parts"]]:
        last = parts[-1] if parts else None
        if "text" not in part:
            parts.append(part)
        elif last is not None and "text" in last and last.get("thought") == part.get("thought"):
            parts[-1] = {**last, **part, "text": last["text"] + part["text"]}
        else:
            parts.append(part)
    return [part for part in parts if part != {"text": ""}]


def test_an_echoed_stream_is_read_back_as_it_was_said() -> None:
    answer = STREAMS["thought, text, call"]
    chunks = chunks_of(encoded(unfold(answer)))
    echo = [item["candidates"][0]["content"] for item in chunks]

    parts = decode({"contents": [{"role": "user", "parts": [{"text": "hi"}]}, *echo]}).turns[1].parts

    assert [type(part).__name__ for part in parts] == ["Reasoning", "Reasoning", "Text", "ToolCall", "Text"]
    assert parts[1].opaque == Opaque("envelope", ENVELOPE)
    call = parts[3]
    assert isinstance(call, ToolCall)
    assert (call.call_id, call.synthetic_id, call.arguments) == ("t", False, '{"a":"\\n"}')


ERROR = ErrorInfo(kind="upstream", message="cut", code="upstream_truncated")
BODY = b'{"error":{"code":503,"message":"cut","status":"UNAVAILABLE"}}'


@pytest.mark.parametrize(
    ("mode", "begun", "ending"),
    [
        ("sse", True, b"data: " + BODY + b"\n\n"),
        ("json_array", True, b"," + BODY + b"]"),
        ("json_array", False, b"[" + BODY + b"]"),
    ],
)
def test_a_stream_that_dies_says_so(mode: StreamMode, begun: bool, ending: bytes) -> None:
    encoder = GEMINI.stream_encoder(msgspec.structs.replace(foreign(), stream=mode))
    stream = encoder.feed(ResponseStart(id="a", model="b"))
    if begun:
        stream += encoder.feed(PartStart(0, Text(text=""))) + encoder.feed(PartDelta(0, "x"))
        stream += encoder.ping()

    last = encoder.fail(ERROR)

    assert last == ending
    if mode == "json_array":
        assert json.loads(stream + last)[-1]["error"]["code"] == 503


@pytest.mark.parametrize("mode", ["sse", "json_array"])
def test_keep_alives_are_white_space(mode: StreamMode) -> None:
    assert GEMINI.stream_encoder(msgspec.structs.replace(foreign(), stream=mode)).ping() == b"\n"


def test_what_a_stream_loses_is_reported() -> None:
    encoder = GEMINI.stream_encoder(foreign())
    for event in unfold(
        answer_of(Refusal(text="no"), HostedCall(protocol="x", wire_type="y", raw=Raw(b"{}")))
    ):
        encoder.feed(event)

    assert {(loss.feature, loss.act) for loss in encoder.losses} == {
        ("refusal", "approximated"),
        ("tool.hosted", "dropped"),
    }


def test_content_types() -> None:
    assert GEMINI.stream_content_type("sse") == "text/event-stream"
    assert GEMINI.stream_content_type("json_array") == "application/json"
