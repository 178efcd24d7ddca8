"""Requests of this protocol's own clients: nothing of them is lost."""

from __future__ import annotations

import json

import pytest

from aiclient2api.ir.parts import ToolCall
from aiclient2api.wire.http import WireRequest
from tests.protocols.gemini.gemini_samples import (
    GEMINI,
    GEN3,
    Json,
    contents,
    decode,
    encoded,
    model,
    user,
)

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
