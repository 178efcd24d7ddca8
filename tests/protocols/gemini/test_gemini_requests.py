"""Requests of this protocol's own clients: what they mean, and that nothing of them is lost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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

from aiclient2api.errors import MalformedMessage
from aiclient2api.ir.parts import Opaque, Reasoning, Shape, Text, ToolCall, ToolResult
from aiclient2api.protocols.carrier import MAGIC, join_continued
from aiclient2api.protocols.ids import is_synthetic
from aiclient2api.wire.http import WireRequest

HELLO = user({"text": "hi"})
CALLS = model({"functionCall": {"name": "f", "args": {}}}, {"functionCall": {"name": "g", "args": {}}})

UNCHANGED: dict[str, Json] = {
    "text": contents(HELLO),
    "empty content": contents(HELLO, {"role": "model", "parts": []}, user({"text": ""})),
    "system instruction": contents(HELLO, systemInstruction={"role": "system", "parts": [{"text": "S"}]}),
    "media": contents(
        user(
            {"inlineData": {"mimeType": "image/png", "data": "iVBO", "displayName": "a.png"}},
            {"inlineData": {"mimeType": "application/pdf", "data": "JVBE"}, "futureMember": 1},
            {
                "fileData": {"fileUri": "https://x/y.mp4", "mimeType": "video/mp4"},
                "videoMetadata": {"fps": 2},
            },
            {"fileData": {"fileUri": "gs://b/o"}, "mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}},
            {
                "fileData": {"fileUri": "https://youtu.be/x"},
                "mediaResolution": {"level": "M", "numTokens": 3},
            },
        )
    ),
    "thoughts and signatures": contents(
        HELLO,
        model(
            {"text": "t", "thought": True},
            {"text": "", "thought": True, "thoughtSignature": "QUJD"},
            {"text": "x", "thoughtSignature": "QUJE"},
            {"text": "", "thoughtSignature": "QUJF"},
            {"thoughtSignature": "QUJG"},
        ),
    ),
    "calls with ids": contents(
        HELLO,
        model({"functionCall": {"id": "c1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "QUJD"}),
        user({"functionResponse": {"id": "c1", "name": "f", "response": {"output": "r"}}}),
    ),
    "calls without ids": contents(
        HELLO,
        CALLS,
        user(
            {"functionResponse": {"name": "g", "response": {"output": "G"}}},
            {"functionResponse": {"name": "f", "response": {"error": "boom"}}},
        ),
    ),
    "call without arguments": contents(
        HELLO, model({"functionCall": {"name": "f"}, "partMetadata": {"k": "v"}})
    ),
    "structured results": contents(
        HELLO,
        CALLS,
        user(
            {
                "functionResponse": {
                    "name": "f",
                    "response": {"temp": 3},
                    "scheduling": "SILENT",
                    "parts": [{"inlineData": {"mimeType": "image/png", "data": "iVBO"}}],
                }
            },
            {"functionResponse": {"name": "g", "response": {"output": {"a": [1]}}}},
        ),
    ),
    "hosted and unknown parts": contents(
        HELLO,
        model(
            {"executableCode": {"language": "PYTHON", "code": "1"}, "thoughtSignature": "QUJD"},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
            {"newPart": {"x": [1, 2]}},
        ),
    ),
    "one content per chunk": contents(
        HELLO, model({"text": "a"}), model({"text": "b"}), user({"text": "c"}), user({"text": "d"})
    ),
    "unknown members of contents": contents({**HELLO, "x": 1}, {**CALLS, "y": 2}, {**CALLS, "z": 3}),
    "tools": contents(
        HELLO,
        tools=[
            {
                "functionDeclarations": [
                    {
                        "name": "f",
                        "description": "d",
                        "parameters": {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
                        "response": {"type": "STRING"},
                        "behavior": "BLOCKING",
                    },
                    {"name": "g", "parametersJsonSchema": {"$schema": "s", "const": 1}},
                ]
            },
            {"googleSearch": {}},
            {"codeExecution": {}},
        ],
        toolConfig={
            "functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"], "new": 1},
            "retrievalConfig": {"languageCode": "de"},
        },
    ),
    "settings": contents(
        HELLO,
        generationConfig={
            "temperature": 0.5,
            "topP": 0.9,
            "topK": 40,
            "candidateCount": 2,
            "maxOutputTokens": 10,
            "stopSequences": ["a", "b", "c", "d", "e", "f"],
            "seed": 7,
            "presencePenalty": 0.1,
            "frequencyPenalty": 0.2,
            "responseLogprobs": True,
            "logprobs": 3,
            "responseMimeType": "application/json",
            "responseJsonSchema": {"$schema": "x", "type": "object"},
            "responseModalities": ["TEXT", "IMAGE"],
            "speechConfig": {"voiceConfig": {}},
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 0, "new": 1},
        },
        safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        labels={"team": "a"},
        cachedContent="cachedContents/1",
        serviceTier="flex",
        store=False,
        futureMember={"a": 1.50},
    ),
    "thinking level": contents(HELLO, generationConfig={"thinkingConfig": {"thinkingLevel": "HIGH"}}),
    "unknown thinking level": contents(
        HELLO, generationConfig={"thinkingConfig": {"thinkingLevel": "ULTRA"}}
    ),
    "enum output": contents(
        HELLO, generationConfig={"responseMimeType": "text/x.enum", "responseSchema": {"enum": ["a"]}}
    ),
    "json mode": contents(HELLO, generationConfig={"responseMimeType": "application/json"}),
    "plain text": contents(HELLO, generationConfig={"responseMimeType": "text/plain"}),
    "schema without media type": contents(HELLO, generationConfig={"responseSchema": {"type": "STRING"}}),
    "validated": contents(HELLO, toolConfig={"functionCallingConfig": {"mode": "VALIDATED"}}),
    "unknown mode": contents(HELLO, toolConfig={"functionCallingConfig": {"mode": "NEW"}}),
    "no mode": contents(HELLO, toolConfig={"functionCallingConfig": {}}),
}


@pytest.mark.parametrize("body", UNCHANGED.values(), ids=UNCHANGED.keys())
def test_a_request_of_this_protocol_survives_unchanged(body: Json) -> None:
    request = decode(body)

    assert encoded(request) == body
    assert GEMINI.encode_request(request, GEN3).losses == []


NORMALIZED: dict[str, tuple[Json, Json]] = {
    "snake_case": (
        {
            "contents": [
                {"role": "user", "parts": [{"inline_data": {"mime_type": "image/png", "data": "a"}}]}
            ],
            "system_instruction": {"parts": [{"text": "S"}]},
            "generation_config": {
                "max_output_tokens": 5,
                "thinking_config": {"include_thoughts": True, "thinking_level": "low"},
                "response_mime_type": "application/json",
                "response_json_schema": {"type": "object", "properties": {"snake_name": {}}},
            },
            "tools": [
                {"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}
            ],
            "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f", "g"]}},
            "safety_settings": [],
        },
        {
            "contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "a"}}]}],
            "systemInstruction": {"parts": [{"text": "S"}]},
            "generationConfig": {
                "maxOutputTokens": 5,
                "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "LOW"},
                "responseMimeType": "application/json",
                "responseJsonSchema": {"type": "object", "properties": {"snake_name": {}}},
            },
            "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}},
            "safetySettings": [],
        },
    ),
    "single objects for lists": (
        {"contents": {"parts": {"text": "hi"}}, "tools": {"googleSearch": {}}},
        {"contents": [HELLO], "tools": [{"googleSearch": {}}]},
    ),
    "results stand alone": (
        contents(CALLS, user({"functionResponse": {"name": "f", "response": {}}}, {"text": "and?"})),
        contents(CALLS, user({"functionResponse": {"name": "f", "response": {}}}), user({"text": "and?"})),
    ),
    "one entry for all functions": (
        contents(HELLO, tools=[{"functionDeclarations": [{"name": "f"}], "googleSearch": {}}]),
        contents(HELLO, tools=[{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}}]),
    ),
}


@pytest.mark.parametrize(("body", "normal"), NORMALIZED.values(), ids=NORMALIZED.keys())
def test_other_spellings_take_the_normal_form(body: Json, normal: Json) -> None:
    assert encoded(decode(body)) == normal
    assert encoded(decode(normal)) == normal


def test_argument_text_stays_exact_but_for_white_space() -> None:
    body = b'{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":{"t": 1.50,"n":1e400}}}]}]}'
    request = GEMINI.decode_request(WireRequest(path="/v1beta/models/m:generateContent", body=body))

    call = request.turns[0].parts[0]

    assert isinstance(call, ToolCall)
    assert call.arguments == '{"t":1.50,"n":1e400}'
    assert b'"args":{"t":1.50,"n":1e400}' in GEMINI.encode_request(request, GEN3).wire.body


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
    request = decode(UNCHANGED["calls without ids"])

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


def test_counting_wraps_whatever_is_more_than_contents() -> None:
    inner = {"model": "models/m", **contents(HELLO, systemInstruction={"parts": [{"text": "S"}]})}
    path = "/v1beta/models/m:countTokens"

    assert encoded(decode({"generateContentRequest": inner}, path)) == {"generateContentRequest": inner}
    assert encoded(decode(contents(HELLO), path)) == contents(HELLO)


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("embedContent", {"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY"}),
        ("batchEmbedContents", {"requests": [{"model": "models/m", "content": {"parts": [{"text": "a"}]}}]}),
    ],
)
def test_embeddings_survive_unchanged(method: str, body: Json) -> None:
    request = decode(body, f"/v1beta/models/m:{method}")

    wire = GEMINI.encode_request(request, GEN3).wire

    assert (wire.path, json.loads(wire.body)) == (f"/v1beta/models/m:{method}", body)


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
