"""Streams of an upstream."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiclient2api.errors import ErrorInfo, MalformedMessage
from aiclient2api.ir.events import (
    CandidateEnd,
    Failure,
    PartDelta,
    PartEnd,
    PartStart,
    ResponseEnd,
    ResponseStart,
    UsageReport,
)
from aiclient2api.ir.fold import fold
from aiclient2api.ir.parts import (
    Citation,
    HostedCall,
    Inline,
    Media,
    Opaque,
    Part,
    Reasoning,
    Text,
    ToolCall,
)
from aiclient2api.ir.response import Finish, Usage
from aiclient2api.wire.frames import Frame
from aiclient2api.wire.http import WireResponse
from tests.protocols.gemini.gemini_samples import (
    GEMINI,
    Json,
    candidate,
    chunk,
    events_of,
)

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
