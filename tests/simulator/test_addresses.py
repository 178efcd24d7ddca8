from __future__ import annotations

from typing import Any

import pytest

from .dialects import CHAT, DIALECTS, GEMINI, MESSAGES, RESPONSES, Dialect
from .rig import call, simulator


@pytest.mark.parametrize(
    ("dialect", "status", "missing", "wrong"),
    [
        (CHAT, 401, "invalid_api_key", "invalid_api_key"),
        (RESPONSES, 401, "invalid_api_key", "invalid_api_key"),
        (MESSAGES, 401, "x-api-key header is required", "invalid x-api-key"),
        (GEMINI, 400, "API_KEY_INVALID", "API_KEY_INVALID"),
    ],
    ids=lambda value: value.name if isinstance(value, Dialect) else "",
)
async def test_a_key_is_needed(dialect: Dialect, status: int, missing: str, wrong: str) -> None:
    path, body = dialect.url(stream=False), dialect.request({"prompt": "hi"})
    keyless = {"anthropic-version": "2023-06-01"} if dialect is MESSAGES else {}
    none = await call(simulator(), path, body, keyless)
    unknown = await call(simulator(keys=("other",)), path, body, dialect.headers)
    known = await call(simulator(keys=("key",)), path, body, dialect.headers)
    unneeded = await call(simulator(require_key=False), path, body, keyless)
    assert (none.status, unknown.status, known.status, unneeded.status) == (status, status, 200, 200)
    assert missing.encode() in none.body
    assert wrong.encode() in unknown.body


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/models/m:generateContent?key=key", {}),
        ("/v1/models/m:generateContent", {"authorization": "Bearer key"}),
        ("/v1/messages", {"authorization": "Bearer key", "anthropic-version": "2026-10-21"}),
    ],
)
async def test_keys_are_taken_where_the_provider_documents_them(path: str, headers: dict[str, str]) -> None:
    app = simulator(keys=("key",))
    dialect = MESSAGES if path == "/v1/messages" else GEMINI
    response = await call(app, path, dialect.request({"prompt": "hi"}), headers)
    assert response.status == 200
    assert app.requests[0].key == "key"


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("POST", "/v1/nothing", CHAT.headers, b'"message":"Invalid URL (POST /v1/nothing)"'),
        ("GET", "/v1/chat/completions", CHAT.headers, b'"message":"Invalid URL (GET /v1/chat/completions)"'),
        ("POST", "/v1/messages/nothing", MESSAGES.headers, b'"type":"not_found_error","message":"Not found"'),
        ("POST", "/v1beta/nothing", GEMINI.headers, b'"status":"NOT_FOUND"'),
        ("POST", "/v1beta/models/m:predict", GEMINI.headers, b'"status":"NOT_FOUND"'),
    ],
)
async def test_an_unknown_address_is_not_found(
    method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    response = await call(simulator(), path, {}, headers, method)
    assert response.status == 404
    assert body in response.body


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_only_listed_models_exist_when_a_list_is_given(dialect: Dialect) -> None:
    path, body = dialect.url(stream=False), dialect.request({"prompt": "hi"})
    refused = await call(simulator(models=("other",)), path, body, dialect.headers)
    served = await call(simulator(models=("m", "gemini-2.5-x")), path, body, dialect.headers)
    assert (refused.status, served.status) == (404, 200)


@pytest.mark.parametrize(
    ("path", "body", "headers", "answer"),
    [
        (
            "/v1/messages/count_tokens",
            {"model": "m", "messages": [{"role": "user", "content": "one two"}], "system": "three"},
            MESSAGES.headers,
            {"input_tokens": 3},
        ),
        (
            "/v1beta/models/m:countTokens",
            {"contents": [{"parts": [{"text": "one two"}]}]},
            GEMINI.headers,
            {"totalTokens": 2, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}]},
        ),
        (
            "/v1beta/models/m:countTokens",
            {"generateContentRequest": {"model": "models/m", "contents": [{"parts": [{"text": "one"}]}]}},
            GEMINI.headers,
            {"totalTokens": 1, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1}]},
        ),
    ],
    ids=["messages", "gemini", "gemini request"],
)
async def test_tokens_are_counted(path: str, body: Any, headers: dict[str, str], answer: Any) -> None:
    response = await call(simulator(), path, body, headers)
    assert response.json == answer
