"""Requests of this protocol's own clients: what they mean, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Opaque, Reasoning, Shape, Text, ToolCall, ToolResult
from aiclient2api.protocols.carrier import MAGIC
from aiclient2api.protocols.ids import is_synthetic
from aiclient2api.protocols.opening import join_continued
from aiclient2api.wire.http import WireRequest
from tests.protocols.gemini.gemini_samples import (
    GEMINI,
    GEN2,
    GEN3,
    Json,
    contents,
    decode,
    encoded,
    losses,
    model,
    user,
    wire_request,
)

HELLO = user({"text": "hi"})
CALLS = model({"functionCall": {"name": "f", "args": {}}}, {"functionCall": {"name": "g", "args": {}}})
CALLS_AND_RESULTS: Json = contents(
    HELLO,
    CALLS,
    user(
        {"functionResponse": {"name": "g", "response": {"output": "G"}}},
        {"functionResponse": {"name": "f", "response": {"error": "boom"}}},
    ),
)


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/v1beta/models/m:generateContent", "", ("m", "no", "generate")),
        ("/v1/models/org/m:x:generateContent", "key=k", ("org/m:x", "no", "generate")),
        ("/v1alpha/models/m:streamGenerateContent", "alt=sse&key=k", ("m", "sse", "generate")),
        ("/v1beta/models/m:streamGenerateContent", "", ("m", "json_array", "generate")),
        ("/v1beta/tunedModels/x:generateContent", "", ("tunedModels/x", "no", "generate")),
        ("/v1beta/models/m:countTokens", "", ("m", "no", "count_tokens")),
    ],
)
def test_the_path_names_model_mode_and_operation(
    path: str, query: str, expected: tuple[str, str, str]
) -> None:
    request = decode(contents(HELLO), path, query)
    peeked = GEMINI.peek(wire_request(contents(HELLO), path, query))

    assert (request.model, request.stream, request.operation) == expected
    assert (peeked.model, peeked.stream, peeked.operation) == expected
    assert any(
        endpoint.path.fullmatch(path) and endpoint.operation == request.operation
        for endpoint in GEMINI.endpoints
    )
    again = GEMINI.encode_request(request, GEN3).wire
    assert again.path.partition("/models/")[2] == path.partition("/models/")[2]
    assert again.query == ("alt=sse" if request.stream == "sse" else "")


def test_results_without_ids_find_their_calls_by_name() -> None:
    request = decode(CALLS_AND_RESULTS)

    f, g = request.turns[1].parts
    for_g, for_f = request.turns[2].parts
    assert isinstance(f, ToolCall) and isinstance(g, ToolCall)
    assert isinstance(for_f, ToolResult) and isinstance(for_g, ToolResult)
    assert is_synthetic(f.call_id) and f.synthetic_id and f.call_id != g.call_id
    assert (for_g.call_id, for_f.call_id) == (g.call_id, f.call_id)
    assert (for_f.is_error, for_f.parts) == (True, [Text(text="boom")])
    assert request.turns[2].role == "tool"


def test_the_kth_result_of_a_name_answers_its_kth_call() -> None:
    call: Json = {"functionCall": {"name": "f", "args": {}}}
    result: Json = {"functionResponse": {"name": "f", "response": {}}}
    request = decode(contents(HELLO, model(call, call), user(result, result)))

    ids = [part.call_id for part in request.turns[1].parts if isinstance(part, ToolCall)]
    answered = [part.call_id for part in request.turns[2].parts if isinstance(part, ToolResult)]

    assert len(set(ids)) == 2
    assert answered == ids


def test_ids_of_a_longer_conversation_are_the_same() -> None:
    short = decode(contents(HELLO, CALLS))
    long = decode(contents(HELLO, CALLS, user({"functionResponse": {"name": "f", "response": {}}}), CALLS))

    assert short.turns == long.turns[:2]
    assert long.turns[1].parts != long.turns[3].parts


def test_chunks_of_an_echoed_stream_become_one_text() -> None:
    request = decode(
        contents(
            HELLO,
            model({"text": "th", "thought": True}),
            model({"text": "ought", "thought": True}),
            model({"text": "Hel"}),
            model({"text": "lo"}),
            model({"text": "", "thoughtSignature": "QUJD"}),
            model({"text": "x"}),
        )
    )

    assert [bool(part.shape & Shape.CONTINUES) for part in request.turns[1].parts] == [
        False, True, False, True, True, False,
    ]  # fmt: skip
    joined = join_continued(request).turns[1].parts
    assert joined[0] == Reasoning(summary=["thought"])
    assert isinstance(joined[1], Text)
    assert (joined[1].text, joined[1].opaque) == ("Hello", Opaque("gemini.signature", "QUJD"))


def test_an_envelope_in_a_signature_slot_is_recognized_and_never_goes_upstream() -> None:
    request = decode(contents(HELLO, model({"text": "x", "thoughtSignature": MAGIC + "AAAA"})))

    part = request.turns[1].parts[0]

    assert part.opaque == Opaque("envelope", MAGIC + "AAAA")
    assert encoded(request) == contents(HELLO, model({"text": "x"}))


def test_raw_text_instead_of_arguments_comes_back() -> None:
    request = decode(contents(HELLO, model({"functionCall": {"name": "f", "args": {"_raw": '{"a": 1'}}})))

    call = request.turns[1].parts[0]

    assert isinstance(call, ToolCall)
    assert call.arguments == '{"a": 1'
    assert encoded(request)["contents"][1]["parts"][0]["functionCall"]["args"] == {"_raw": '{"a": 1'}


def test_an_upstream_without_ids_gets_results_in_the_order_of_the_calls() -> None:
    body = contents(
        HELLO,
        model({"functionCall": {"id": "1", "name": "f"}}, {"functionCall": {"id": "2", "name": "f"}}),
        user(
            {"functionResponse": {"id": "2", "name": "f", "response": {"output": "two"}}},
            {"functionResponse": {"id": "1", "name": "f", "response": {"output": "one"}}},
        ),
    )

    sent = encoded(decode(body), GEN2)

    assert sent["contents"][2]["parts"] == [
        {"functionResponse": {"name": "f", "response": {"output": "one"}}},
        {"functionResponse": {"name": "f", "response": {"output": "two"}}},
    ]


BROKEN: list[tuple[Json, str]] = [
    ({}, "contents"),
    ({"contents": 5}, "contents"),
    ({"contents": [{"role": "system", "parts": []}]}, "contents[0].role"),
    ({"contents": [{"parts": [{"text": 5}]}]}, "contents[0].parts[0].text"),
    ({"contents": [{"parts": [{"functionCall": {"name": "f", "args": []}}]}]}, "functionCall.args"),
    ({"contents": [{"parts": [{"functionResponse": {}}]}]}, "functionResponse.name"),
    ({"contents": [], "generationConfig": {"topK": "x"}}, "generationConfig.topK"),
    (
        {"contents": [], "tools": [{"functionDeclarations": [{}]}]},
        "tools[0].functionDeclarations[0].name",
    ),
]


@pytest.mark.parametrize(("body", "path"), BROKEN)
def test_a_broken_request_names_the_place(body: Json, path: str) -> None:
    with pytest.raises(MalformedMessage) as caught:
        decode(body)

    assert path in caught.value.path


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"contents":[{"parts":[{"text":"\xff"}]}]}'])
def test_other_bytes_are_malformed(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        GEMINI.decode_request(WireRequest(path="/v1beta/models/m:generateContent", body=body))


NAMES = st.sampled_from(
    [
        *(
            "contents",
            "role",
            "parts",
            "text",
            "thought",
            "thoughtSignature",
            "functionCall",
            "functionResponse",
        ),
        *("inlineData", "file_data", "name", "args", "response", "id", "tools", "functionDeclarations"),
        *("generationConfig", "thinkingConfig", "systemInstruction", "mimeType", "data"),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, VALUES, max_size=5), VALUES, st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_object_is_decoded_or_malformed(body: Json, parts: Json, as_part: bool) -> None:
    try:
        request = decode({**body, "contents": [{"parts": [parts]}]} if as_part else body)
    except MalformedMessage:
        return
    assert losses(request) == set()
