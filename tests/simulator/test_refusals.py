from __future__ import annotations

from typing import Any

import pytest

from .dialects import CHAT, DIALECTS, GEMINI, MESSAGES, RESPONSES, Dialect
from .rig import Response, call, simulator

USER = {"role": "user", "content": "hi"}
CALLED: dict[str, Any] = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
ANSWERED = {"role": "tool", "tool_call_id": "c1", "content": "x"}
ITEM = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "x"}
THOUGHT: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
USE: dict[str, Any] = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}],
}
RESULT: dict[str, Any] = {"type": "tool_result", "tool_use_id": "t1", "content": "x"}
FCALL: dict[str, Any] = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}
FRESPONSE: dict[str, Any] = {
    "role": "user",
    "parts": [{"functionResponse": {"name": "f", "response": {"output": "x"}}}],
}
TEXT: dict[str, Any] = {"role": "user", "parts": [{"text": "hi"}]}

CHAT_CASES: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("an unknown member", {"extra": 1}, "Unknown parameter: 'extra'.", "unknown_parameter"),
    (
        "an unknown member inside",
        {"messages": [{"role": "user", "content": "hi", "reasoning": "x"}]},
        "Unknown parameter: 'messages[0].reasoning'.",
        "unknown_parameter",
    ),
    (
        "a wrong type",
        {"n": "2"},
        "Invalid type for 'n': expected an integer, but got a string instead.",
        "invalid_type",
    ),
    ("a wrong role", {"messages": [{"role": "model", "content": "x"}]}, "Invalid value: 'model'.", "invalid_value"),
    (
        "a wrong part",
        {"messages": [{"role": "user", "content": [{"type": "video_url"}]}]},
        "Invalid value: 'video_url'.",
        "invalid_value",
    ),
    ("no messages", {"messages": []}, "Invalid 'messages': empty array. Expected an array with minimum length 1.", "empty_array"),
    (
        "a tool message without its call",
        {"messages": [USER, ANSWERED]},
        "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
        None,
    ),
    (
        "a call without its tool message",
        {"messages": [USER, CALLED, USER]},
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
        "'tool_call_id'. The following tool_call_ids did not have response messages: c1",
        None,
    ),
    (
        "an answer given twice",
        {"messages": [USER, CALLED, ANSWERED, ANSWERED]},
        "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
        None,
    ),
    (
        "too many stops",
        {"stop": ["a", "b", "c", "d", "e"]},
        "Invalid 'stop': array too long. Expected an array with maximum length 4.",
        "array_above_max_length",
    ),
    (
        "stream options without a stream",
        {"stream_options": {"include_usage": True}},
        "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        None,
    ),
    (
        "a gateway's envelope",
        {"messages": [{**USER, "content": "Z3ctY2Fycnkx…".encode().decode()}]},
        "foreign signature: the request carries a gateway's envelope",
        None,
    ),
]  # fmt: skip

RESPONSES_CASES: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("an unknown member", {"stop": ["x"]}, "Unknown parameter: 'stop'.", "unknown_parameter"),
    ("an unknown member of an item", {"input": [{**ITEM, "x": 1}]}, "Unknown parameter: 'input[0].x'.", "unknown_parameter"),
    ("an output without its call", {"input": [OUTPUT]}, "No tool call found for function call output with call_id c1.", None),
    ("a call without its output", {"input": [ITEM]}, "No tool output found for function call c1.", None),
    ("a call made twice", {"input": [ITEM, OUTPUT, ITEM]}, "Duplicate function call with call_id c1.", None),
    (
        "a thought that was altered",
        {"input": [THOUGHT, ITEM, OUTPUT]},
        "The encrypted content gAAA... could not be verified. Reason: Encrypted content could not be decrypted or parsed.",
        "invalid_encrypted_content",
    ),
    (
        "a thought alone",
        {"input": [USER, {"type": "reasoning", "id": "rs_1", "summary": []}]},
        "Item 'rs_1' of type 'reasoning' was provided without its required following item.",
        None,
    ),
    (
        "an assistant message with input text",
        {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}, USER]},
        "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'.",
        "invalid_value",
    ),
    (
        "a response nobody kept",
        {"previous_response_id": "resp_1"},
        "Previous response with id 'resp_1' not found.",
        "previous_response_not_found",
    ),
]  # fmt: skip

MESSAGES_CASES: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown member", {"extra_field": 1}, "extra_field: Extra inputs are not permitted"),
    ("a beta member without its header", {"mcp_servers": []}, "mcp_servers: Extra inputs are not permitted"),
    ("no max_tokens", {"max_tokens": None}, "max_tokens: Input should be a valid integer"),
    ("a wrong type", {"max_tokens": "9"}, "max_tokens: Input should be a valid integer"),
    ("no messages", {"messages": []}, "messages: at least one message is required"),
    (
        "an assistant first",
        {"messages": [{"role": "assistant", "content": "x"}, USER]},
        'messages: first message must use the "user" role',
    ),
    (
        "an empty text block",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]},
        "messages: text content blocks must be non-empty",
    ),
    (
        "a block of another protocol",
        {"messages": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]},
        "messages.0.content.0.type: Input tag 'input_text' found does not match any of the expected tags",
    ),
    (
        "a use without its result",
        {"messages": [USER, USE, USER]},
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1. Each `tool_use` "
        "block must have a corresponding `tool_result` block in the next message.",
    ),
    (
        "a text before the result",
        {"messages": [USER, USE, {"role": "user", "content": [{"type": "text", "text": "x"}, RESULT]}]},
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: t1. Each `tool_use` "
        "block must have a corresponding `tool_result` block in the next message.",
    ),
    (
        "a result without its use",
        {"messages": [{"role": "user", "content": [RESULT]}]},
        "messages.0.content.0: unexpected `tool_use_id` found in `tool_result` blocks: t1. Each `tool_result` block "
        "must have a corresponding `tool_use` block in the previous message.",
    ),
    (
        "an id used twice",
        {"messages": [USER, {**USE, "content": USE["content"] * 2}]},
        "messages.1.content.1: `tool_use` ids must be unique",
    ),
    (
        "an altered thought",
        {"messages": [USER, {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "U0lH"}]}, USER]},
        "messages.1.content.0: Invalid `signature` in `thinking` block",
    ),
    (
        "too many cache marks",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 5}]},
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
    ),
    (
        "a schema that is no object",
        {"tools": [{"name": "f", "input_schema": {"type": "string"}}]},
        "tools.0.custom.input_schema.type: Input should be 'object'",
    ),
    (
        "a budget over the limit",
        {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 1500},
        "`max_tokens` must be greater than `thinking.budget_tokens`.",
    ),
]  # fmt: skip

GEMINI_CASES: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown member", {"extra": 1}, 'Invalid JSON payload received. Unknown name "extra": Cannot find field.'),
    (
        "an unknown member inside",
        {"contents": [{"role": "user", "parts": [{"text": "x", "cache_control": 1}]}]},
        "Invalid JSON payload received. Unknown name \"cacheControl\" at 'contents[0].parts[0]': Cannot find field.",
    ),
    ("a wrong type", {"generationConfig": {"seed": "x"}}, "Invalid value at 'generationConfig.seed' (TYPE_INT32), str"),
    ("no contents", {"contents": []}, "* GenerateContentRequest.contents: contents is not specified\n"),
    ("a wrong role", {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "Please use a valid role: user, model."),
    (
        "no parts",
        {"contents": [{"role": "user", "parts": []}]},
        "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty.\n",
    ),
    (
        "a part with nothing",
        {"contents": [{"role": "user", "parts": [{}]}]},
        "* GenerateContentRequest.contents[0].parts[0].data: required oneof field 'data' must be set\n",
    ),
    (
        "a call without its response",
        {"contents": [TEXT, FCALL, TEXT]},
        "Please ensure that the number of function response parts is equal to the number of function call parts of "
        "the function call turn.",
    ),
    (
        "a response without its call",
        {"contents": [FRESPONSE]},
        "Please ensure that function response turn comes immediately after a function call turn.",
    ),
    (
        "budget and level",
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW"}}},
        "You can only set only one of thinking budget and thinking level.",
    ),
    (
        "an altered signature",
        {"contents": [TEXT, {"role": "model", "parts": [{"text": "x", "thoughtSignature": "U0lH"}]}, TEXT]},
        "Corrupted thought signature.",
    ),
]  # fmt: skip


async def ask(dialect: Dialect, change: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    body = dialect.request({"prompt": "hi"}) | change
    return await call(simulator(), dialect.url(stream=False), body, headers or dialect.headers)


@pytest.mark.parametrize(
    ("change", "message", "code"), [case[1:] for case in CHAT_CASES], ids=[case[0] for case in CHAT_CASES]
)
async def test_chat_refuses(change: dict[str, Any], message: str, code: str | None) -> None:
    response = await ask(CHAT, change)
    error = response.json["error"]
    assert (response.status, error["message"], error["type"], error["code"]) == (
        400, message, "invalid_request_error", code,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message", "code"),
    [case[1:] for case in RESPONSES_CASES],
    ids=[case[0] for case in RESPONSES_CASES],
)
async def test_responses_refuses(change: dict[str, Any], message: str, code: str | None) -> None:
    response = await ask(RESPONSES, change)
    error = response.json["error"]
    assert (response.status, error["message"], error["code"]) == (400, message, code)


@pytest.mark.parametrize(
    ("change", "message"), [case[1:] for case in MESSAGES_CASES], ids=[case[0] for case in MESSAGES_CASES]
)
async def test_messages_refuses(change: dict[str, Any], message: str) -> None:
    response = await ask(MESSAGES, change)
    assert response.status == 400
    assert response.json == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": message},
        "request_id": response.headers["request-id"],
    }


@pytest.mark.parametrize(
    ("change", "message"), [case[1:] for case in GEMINI_CASES], ids=[case[0] for case in GEMINI_CASES]
)
async def test_gemini_refuses(change: dict[str, Any], message: str) -> None:
    response = await ask(GEMINI, change)
    assert response.status == 400
    assert response.json == {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}


async def test_a_missing_max_tokens_is_required_by_messages() -> None:
    body = MESSAGES.request({"prompt": "hi"})
    del body["max_tokens"]
    response = await call(simulator(), "/v1/messages", body, MESSAGES.headers)
    assert response.json["error"]["message"] == "max_tokens: Field required"


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (None, "anthropic-version: header is required"),
        ("2024-01-01", 'anthropic-version: "2024-01-01" is not a valid version'),
        ("2026-10-21", "temperature: Extra inputs are not permitted"),
    ],
)
async def test_the_dialect_of_messages_is_its_version(version: str | None, message: str) -> None:
    headers = {"x-api-key": "k"} | ({"anthropic-version": version} if version else {})
    response = await ask(MESSAGES, {"temperature": 0.5}, headers)
    assert response.json["error"]["message"] == message


async def test_a_beta_header_opens_beta_members() -> None:
    response = await ask(
        MESSAGES, {"mcp_servers": []}, MESSAGES.headers | {"anthropic-beta": "mcp-client-2025-11-20"}
    )
    assert response.status == 200


@pytest.mark.parametrize("model", ["gemini-3-pro", "simulator/gemini-3-pro"])
async def test_the_third_gemini_wants_a_signature_on_the_first_call_of_the_turn(model: str) -> None:
    body: Any = {"contents": [TEXT, FCALL, FRESPONSE]}
    path = f"/v1beta/models/{model}:generateContent"
    response = await call(simulator(), path, body, GEMINI.headers)
    assert response.status == 400
    assert response.json["error"]["message"].startswith(
        "Function call is missing a thought_signature in functionCall parts."
    )


SENTINEL = {**FCALL["parts"][0], "thoughtSignature": "skip_thought_signature_validator"}
UNSIGNED: list[list[Any]] = [
    [TEXT, {"role": "model", "parts": [SENTINEL]}, FRESPONSE],
    [TEXT, FCALL, FRESPONSE, {"role": "model", "parts": [{"text": "done"}]}, TEXT],
]


@pytest.mark.parametrize("contents", UNSIGNED, ids=["the sentinel", "an earlier turn"])
async def test_the_third_gemini_takes_unsigned_calls(contents: list[Any]) -> None:
    response = await call(
        simulator(), "/v1/models/gemini-3:generateContent", {"contents": contents}, GEMINI.headers
    )
    assert response.status == 200


async def test_gemini_takes_either_casing() -> None:
    body = {
        "system_instruction": {"parts": [{"text": "s"}]},
        "contents": [{"parts": [{"inline_data": {"mime_type": "image/png", "data": "AAAA"}}]}],
        "generation_config": {"max_output_tokens": 50, "thinking_config": {"include_thoughts": False}},
    }
    response = await call(simulator(), "/v1/models/m:generateContent", body, GEMINI.headers)
    parts = response.json["candidates"][0]["content"]["parts"]
    assert parts == [{"text": "I see 1 image (image/png, 3 bytes) [system: s]"}]


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b""])
async def test_a_body_that_is_no_object_is_refused(dialect: Dialect, body: bytes) -> None:
    response = await call(simulator(), dialect.url(stream=False), body, dialect.headers)
    assert response.status == 400
