"""Streams, both ways."""

from __future__ import annotations

import itertools
import json
import warnings

import msgspec
import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from tests.protocols.gemini.gemini_samples import (
    GEMINI,
    Json,
    candidate,
    chunk,
    decode,
    events_of,
    foreign,
    turn,
)

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.events import (
    CandidateEnd,
    Failure,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    StreamEvent,
    UsageReport,
)
from aiclient2api.ir.fold import fold, unfold
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
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireResponse

ENVELOPE = "Z3ctY2FycnkxAAAA"
USAGE = {"promptTokenCount": 2, "candidatesTokenCount": 3, "totalTokenCount": 5}


def parts_of(*frames: Frame) -> list[Part]:
    return fold(events_of(*frames), "gemini").candidates[0].turn.parts


def test_text_of_one_kind_flows_into_one_part() -> None:
    events = events_of(
        chunk({"text": "th", "thought": True}, usageMetadata={"trafficType": "ON_DEMAND"}),
        chunk({"text": "ink", "thought": True}, {"text": "Hel"}),
        chunk({"text": "lo"}),
        chunk({"text": ""}, reason="STOP", usageMetadata=USAGE),
    )

    assert events == [
        ResponseStart(id="r1", model="g"),
        PartStart(0, Reasoning()),
        PartDelta(0, "th", "summary"),
        PartDelta(0, "ink", "summary"),
        PartEnd(0),
        PartStart(1, Text(text="")),
        PartDelta(1, "Hel"),
        PartDelta(1, "lo"),
        PartEnd(1),
        UsageReport(Usage(input=2, output=3), final=True),
        CandidateEnd(Finish(reason="stop", raw="STOP")),
        ResponseEnd(),
    ]


def test_a_late_signature_on_an_empty_text_stays_a_part_of_its_own() -> None:
    parts = parts_of(
        chunk({"text": "Hello"}),
        chunk({"text": " world"}),
        chunk({"text": "", "thoughtSignature": "SIGg"}, reason="STOP"),
    )

    assert parts == [Text(text="Hello world"), Text(text="", opaque=Opaque("gemini.signature", "SIGg"))]


def test_a_signed_text_is_never_joined() -> None:
    parts = parts_of(
        chunk({"text": "a"}),
        chunk({"text": "b", "thoughtSignature": "S"}),
        chunk({"text": "c"}, reason="STOP"),
    )

    assert parts == [Text(text="a"), Text(text="b", opaque=Opaque("gemini.signature", "S")), Text(text="c")]


def test_a_whole_call() -> None:
    parts = parts_of(
        chunk({"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "S"}, reason=None),
        chunk({"functionCall": {"id": "x", "name": "g"}}, reason="STOP"),
    )

    one, two = parts
    assert isinstance(one, ToolCall) and isinstance(two, ToolCall)
    assert (one.name, json.loads(one.arguments), one.opaque) == (
        "f",
        {"a": 1},
        Opaque("gemini.signature", "S"),
    )
    assert one.synthetic_id and one.call_id.startswith("call_gw_")
    assert (two.call_id, two.arguments, two.synthetic_id) == ("x", "{}", False)


def piece(path: str, **value: Json) -> Json:
    return {"functionCall": {"partialArgs": [{"jsonPath": path, **value}], "willContinue": True}}


def test_arguments_in_pieces() -> None:
    parts = parts_of(
        chunk({"functionCall": {"name": "f", "willContinue": True}, "thoughtSignature": "S"}),
        chunk(piece("$.items[0].name", stringValue="ap", willContinue=True)),
        chunk(piece("$.items[0].name", stringValue='ple"')),
        chunk(piece("$.items[1]['odd.key']", numberValue=0.50)),
        chunk(piece("$.ok", boolValue=False)),
        chunk(piece('$["none"]', nullValue="NULL_VALUE")),
        chunk({"functionCall": {}}),
        chunk({"functionCall": {"name": "g", "willContinue": True}}),
        chunk({"text": ""}, reason="STOP"),
    )

    one, two = parts
    assert isinstance(one, ToolCall) and isinstance(two, ToolCall)
    assert json.loads(one.arguments) == {
        "items": [{"name": 'apple"'}, {"odd.key": 0.5}],
        "ok": False,
        "none": None,
    }
    assert one.opaque == Opaque("gemini.signature", "S")
    assert (two.name, two.arguments) == ("g", "{}")


@pytest.mark.parametrize("path", ["$", "items", "$.a[5]", "$[0]", "$.a[x]"])
def test_a_path_to_nowhere_is_malformed(path: str) -> None:
    decoder = GEMINI.stream_decoder()
    decoder.feed(chunk({"functionCall": {"name": "f", "willContinue": True}}))

    with pytest.raises(MalformedMessage):
        decoder.feed(chunk(piece(path, stringValue="x")))


def test_media_and_native_parts_arrive_whole() -> None:
    code = {"executableCode": {"language": "PYTHON", "code": "1"}}
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}

    parts = parts_of(chunk({"text": "a"}, image, code, {"text": "b"}, reason="STOP"))

    assert parts[0] == Text(text="a")
    assert parts[1] == Media(kind="image", source=Inline("image/png", "iVBO"))
    assert isinstance(parts[2], HostedCall) and json.loads(bytes(parts[2].raw)) == code
    assert parts[3] == Text(text="b")


def test_sources_are_attached_at_the_end() -> None:
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://x"}}],
        "groundingSupports": [{"segment": {"endIndex": 3, "text": "é "}, "groundingChunkIndices": [0]}],
    }
    last = {"candidates": [candidate({"text": "b"}, groundingMetadata=grounding)]}

    answer = fold(events_of(chunk({"text": "é "}), Frame(b"", json.dumps(last).encode())), "gemini")

    text = answer.candidates[0].turn.parts[0]
    assert isinstance(text, Text)
    assert text.citations == [
        Citation(kind="url", url="https://x", quote="é ", span=(0, 2), protocol="gemini")
    ]


def test_several_candidates_keep_apart() -> None:
    frames = [
        Frame(
            b"",
            json.dumps({"candidates": [{"index": index, "content": {"parts": [{"text": text}]}}]}).encode(),
        )
        for index, text in [(0, "a"), (1, "x"), (0, "b"), (1, "y")]
    ]
    last = {"candidates": [{"index": 0, "finishReason": "STOP"}, {"index": 1, "finishReason": "MAX_TOKENS"}]}

    answer = fold(events_of(*frames, Frame(b"", json.dumps(last).encode())), "gemini")

    assert [(item.index, item.turn.parts, item.finish) for item in answer.candidates] == [
        (0, [Text(text="ab")], Finish(reason="stop", raw="STOP")),
        (1, [Text(text="xy")], Finish(reason="length", raw="MAX_TOKENS")),
    ]


def test_a_finish_reason_in_every_chunk_ends_nothing_early() -> None:
    assert parts_of(chunk({"text": "a"}, reason="STOP"), chunk({"text": "b"}, reason="STOP")) == [
        Text(text="ab")
    ]


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([], id="nothing"),
        pytest.param([chunk({"text": "a"})], id="text without an end"),
        pytest.param([chunk({"functionCall": {"name": "f", "willContinue": True}})], id="half a call"),
    ],
)
def test_a_stream_without_finish_reason_is_truncated(frames: list[Frame]) -> None:
    last = events_of(*frames)[-1]

    assert isinstance(last, Failure)
    assert (last.error.kind, last.error.code) == ("upstream", "upstream_truncated")


def test_half_a_call_is_never_completed_by_us() -> None:
    events = events_of(chunk({"functionCall": {"name": "f", "willContinue": True}}))

    assert not any(isinstance(event, PartEnd) for event in events)


def test_a_refused_prompt_ends_cleanly() -> None:
    frame = Frame(b"", b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":7}}')

    end = events_of(frame)[-1]

    assert end == ResponseEnd(blocked=Finish(reason="content_filter", raw="SAFETY", explanation="SAFETY"))


def test_an_error_in_the_stream_is_a_failure() -> None:
    frame = Frame(b"", b'{"error":{"code":503,"message":"The model is overloaded","status":"UNAVAILABLE"}}')

    assert events_of(chunk({"text": "a"}), frame)[-1] == Failure(
        ErrorInfo(
            kind="overloaded",
            message="The model is overloaded",
            status=503,
            type="UNAVAILABLE",
            protocol="gemini",
        )
    )


@given(
    st.lists(
        st.tuples(st.sampled_from(["text", "thought", "call", "signed"]), st.text(min_size=1, max_size=4))
    )
)
@settings(max_examples=60, deadline=None)
def test_a_folded_stream_equals_the_whole_answer(pieces: list[tuple[str, str]]) -> None:
    wires: list[Json] = []
    for kind, text in pieces:
        match kind:
            case "text":
                wires.append({"text": text})
            case "thought":
                wires.append({"text": text, "thought": True})
            case "signed":
                wires.append({"text": text, "thoughtSignature": "QUJD"})
            case _:
                wires.append({"functionCall": {"name": "f", "args": {"a": text}}})
    apart = [wire for wire, _ in itertools.groupby(wires, key=lambda wire: wire) if True]
    apart = [wire for at, wire in enumerate(apart) if not _flows(apart[at - 1] if at else None, wire)]

    streamed = parts_of(*[chunk(wire) for wire in apart], chunk({"text": ""}, reason="STOP"))

    body = {"candidates": [candidate(*apart)], "responseId": "r1"}
    whole = GEMINI.decode_response(WireResponse(status=200, body=json.dumps(body).encode()))
    assert streamed == whole.candidates[0].turn.parts


def _flows(before: Json, wire: Json) -> bool:
    """Whether a stream would join these two, which a whole answer keeps apart."""
    return before is not None and "text" in before and "text" in wire and before.keys() == wire.keys()


SSE = (
    b'data: {"candidates":[{"content":{"parts":[{"text":"h\xc3\xa9"}]}}]}\r\n\r\n'
    b'data: {"candidates":[{"content":{"parts":[{"text":"llo"}]},"finishReason":"STOP"}]}\r\n\r\n'
)
ARRAY = (
    b'[{"candidates":[{"content":{"parts":[{"text":"h\xc3\xa9"}]}}]}\n,\r\n'
    b'{"candidates":[{"content":{"parts":[{"text":"llo"}]},"finishReason":"STOP"}]}\n]\n'
)


KINDS = st.sampled_from([("text/event-stream", SSE), ("application/json; charset=UTF-8", ARRAY)])


@given(st.sets(st.integers(1, 150)), KINDS)
@settings(max_examples=60, deadline=None)
def test_the_cuts_of_the_network_do_not_matter(cuts: set[int], kind: tuple[str, bytes]) -> None:
    content_type, stream = kind
    bounds = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    frames = GEMINI.frames(content_type)

    found = [frame for start, end in itertools.pairwise(bounds) for frame in frames.feed(stream[start:end])]

    assert frames.close() == b""
    assert b"".join(frame.raw for frame in found) == stream
    assert parts_of(*found) == [Text(text="héllo")]


def test_an_unknown_content_type_is_malformed() -> None:
    with pytest.raises(MalformedMessage):
        GEMINI.frames("text/html")


# to clients


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


@pytest.mark.parametrize(("mode", "blank"), [("sse", b"\r\n"), ("json_array", b"\n")])
def test_keep_alives_are_white_space(mode: StreamMode, blank: bytes) -> None:
    assert GEMINI.stream_encoder(msgspec.structs.replace(foreign(), stream=mode)).ping() == blank


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
