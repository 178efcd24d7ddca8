from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from aiclient2api.errors import ErrorInfo, ErrorKind
from aiclient2api.protocols.anthropic import AnthropicConverter
from aiclient2api.wire.http import Headers, WireResponse

CONVERTER = AnthropicConverter()


def told(kind: str, message: str = "x", **error: Any) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message, **error}, "request_id": "req_1"}


KINDS: dict[str, tuple[int, Any, ErrorKind]] = {
    "invalid": (400, told("invalid_request_error"), "invalid"),
    "too long": (
        400,
        told("invalid_request_error", "prompt is too long: 2 tokens > 1 maximum"),
        "context_length",
    ),
    "no credit": (400, told("invalid_request_error", "Your credit balance is too low"), "billing"),
    "own limit": (
        400,
        told("invalid_request_error", "You have reached your specified API usage limits."),
        "quota",
    ),
    "key": (401, told("authentication_error"), "auth"),
    "billing": (402, told("billing_error"), "billing"),
    "permission": (403, told("permission_error"), "permission"),
    "not found": (404, told("not_found_error"), "not_found"),
    "conflict": (409, told("conflict_error"), "conflict"),
    "too large": (413, told("request_too_large"), "too_large"),
    "too fast": (429, told("rate_limit_error"), "rate_limit"),
    "spent": (429, told("rate_limit_error", details={"error_code": "enforced_spend_limit_reached"}), "quota"),
    "broken": (500, told("api_error"), "internal"),
    "bad gateway": (502, told("api_error"), "upstream"),
    "timeout": (504, told("timeout_error"), "timeout"),
    "overloaded": (529, told("overloaded_error"), "overloaded"),
    "a type we do not know": (418, told("teapot_error"), "invalid"),
    "another gateway": (503, "<html>Service Unavailable</html>", "unavailable"),
    "nothing": (520, "", "upstream"),
    "an array": (400, [], "invalid"),
    "error is text": (404, {"error": "x"}, "not_found"),
    "error is null": (500, {"error": None}, "internal"),
    "members of other types": (
        400,
        {"error": {"type": 1, "message": [], "details": 2}, "request_id": 3},
        "invalid",
    ),
}


@pytest.mark.parametrize(("status", "body", "kind"), KINDS.values(), ids=KINDS.keys())
def test_an_upstreams_error_has_a_kind(status: int, body: Any, kind: ErrorKind) -> None:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()

    error = CONVERTER.decode_error(WireResponse(status=status, body=data))

    assert (error.kind, error.status, error.protocol) == (kind, status, "anthropic")
    assert error.message


def test_an_own_error_comes_back_in_its_own_words() -> None:
    body = told("rate_limit_error", "slow", details={"error_code": "ramp_limit_exceeded"})
    error = CONVERTER.decode_error(WireResponse(status=429, body=json.dumps(body).encode()))

    response = CONVERTER.encode_error(error)

    assert error.code == "ramp_limit_exceeded"
    assert (response.status, json.loads(response.body)) == (429, body)


RATE_HEADERS: Headers = (
    ("date", "Mon, 23 Nov 2026 12:00:00 GMT"),
    ("anthropic-ratelimit-requests-remaining", "0"),
    ("anthropic-ratelimit-requests-reset", "2026-11-23T12:00:07Z"),
    ("anthropic-ratelimit-tokens-remaining", "9"),
    ("anthropic-ratelimit-tokens-reset", "2026-11-23T13:00:00Z"),
)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((("retry-after", "12"),), 12.0),
        ((("retry-after", "12"), ("retry-after-ms", "1500")), 1.5),
        ((("retry-after", "Mon, 23 Nov 2026 12:00:00 GMT"),), None),
        (RATE_HEADERS, 7.0),
        ((), None),
    ],
    ids=["seconds", "milliseconds", "a date", "the limit that is used up", "nothing"],
)
def test_when_to_retry(headers: Headers, seconds: float | None) -> None:
    error = CONVERTER.decode_error(WireResponse(status=429, body=b"", headers=headers))

    assert error.retry_after == seconds


OWN: dict[ErrorKind, tuple[int, str, str]] = {
    "invalid": (400, "invalid_request_error", "false"),
    "content_policy": (400, "invalid_request_error", "false"),
    "context_length": (400, "invalid_request_error", "false"),
    "auth": (401, "authentication_error", "false"),
    "billing": (402, "billing_error", "false"),
    "quota": (402, "billing_error", "false"),
    "permission": (403, "permission_error", "false"),
    "not_found": (404, "not_found_error", "false"),
    "method": (405, "invalid_request_error", "false"),
    "client_timeout": (408, "invalid_request_error", "true"),
    "conflict": (409, "conflict_error", "false"),
    "too_large": (413, "request_too_large", "false"),
    "rate_limit": (429, "rate_limit_error", "true"),
    "cancelled": (499, "api_error", "false"),
    "internal": (500, "api_error", "true"),
    "unimplemented": (501, "api_error", "false"),
    "upstream": (502, "api_error", "true"),
    "unavailable": (503, "api_error", "true"),
    "timeout": (504, "timeout_error", "true"),
    "overloaded": (529, "overloaded_error", "true"),
}


@pytest.mark.parametrize(("kind", "expected"), OWN.items())
def test_an_error_of_ours(kind: ErrorKind, expected: tuple[int, str, str]) -> None:
    response = CONVERTER.encode_error(ErrorInfo(kind=kind, message="no", request_id="r"))

    body = json.loads(response.body)
    assert (response.status, body["error"]["type"], response.header("x-should-retry")) == expected
    assert body["request_id"] == "r"


def test_every_kind_has_an_error() -> None:
    assert set(OWN) == set(get_args(ErrorKind))


def test_a_foreign_error_is_told_by_kind() -> None:
    error = ErrorInfo(
        kind="quota",
        message="no",
        status=400,
        type="x",
        details=Raw(b"{}"),
        retry_after=0.2,
        protocol="gemini",
    )

    response = CONVERTER.encode_error(error)

    assert (response.status, response.header("retry-after")) == (429, "1")
    assert json.loads(response.body)["error"] == {"type": "rate_limit_error", "message": "no"}


def test_a_full_context_is_told_in_the_words_that_clients_look_for() -> None:
    error = ErrorInfo(kind="context_length", message="too many tokens", protocol="openai_chat")

    body = json.loads(CONVERTER.encode_error(error).body)

    assert body["error"]["message"] == "prompt is too long: too many tokens"


@settings(max_examples=100, deadline=None)
@given(body=st.binary(max_size=40), status=st.integers(100, 599))
def test_any_body_is_an_error(body: bytes, status: int) -> None:
    error = CONVERTER.decode_error(WireResponse(status=status, body=body))

    assert json.loads(CONVERTER.encode_error(error).body)["error"]["message"]
