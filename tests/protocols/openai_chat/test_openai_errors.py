"""Errors of the OpenAI protocols, both ways."""

from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiclient2api.errors import ErrorInfo, ErrorKind
from aiclient2api.protocols.openai_errors import decode_error_object
from aiclient2api.wire.http import Headers, WireResponse
from tests.protocols.openai_chat.chat_wire import CONVERTER, RECORDED


def decode(status: int, body: object, headers: Headers = ()) -> ErrorInfo:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return CONVERTER.decode_error(WireResponse(status=status, body=raw, headers=headers))


def error(**members: object) -> dict[str, object]:
    return {"error": {"message": "m", "type": "t", "param": None, "code": None, **members}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error(), "invalid"),
        (400, error(code="context_length_exceeded"), "context_length"),
        (400, error(message="This model's maximum context length is 8192 tokens."), "context_length"),
        (413, error(message="prompt is too long"), "context_length"),
        (400, error(code="content_policy_violation"), "content_policy"),
        (400, error(code="content_filter"), "content_policy"),
        (401, error(code="invalid_api_key"), "auth"),
        (402, error(), "billing"),
        (403, error(), "permission"),
        (404, error(code="model_not_found"), "not_found"),
        (405, error(), "method"),
        (408, error(), "client_timeout"),
        (409, error(), "conflict"),
        (413, error(), "too_large"),
        (422, error(), "invalid"),
        (418, error(), "invalid"),
        (429, error(code="rate_limit_exceeded"), "rate_limit"),
        (429, error(code="slow_down"), "rate_limit"),
        (429, error(type="insufficient_quota"), "quota"),
        (429, error(code="insufficient_quota"), "quota"),
        (429, error(type="usage_limit_reached"), "quota"),
        (500, error(), "internal"),
        (502, error(), "upstream"),
        (503, error(), "overloaded"),
        (503, error(code="no_account_available"), "unavailable"),
        (504, error(), "timeout"),
        (520, error(), "upstream"),
        (529, error(), "overloaded"),
    ],
)
def test_the_kind_of_an_error(status: int, body: object, kind: str) -> None:
    assert decode(status, body).kind == kind


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the upstream answered with status 500"),
        (b"<html>secret host</html>", "the upstream answered with status 500"),
        (b"[]", "the upstream answered with status 500"),
        (b'[{"error":{"message":"m"}}]', "m"),
        (b'{"error":"m"}', "m"),
        (b'{"error":null,"message":"m"}', "the upstream answered with status 500"),
        (b'{"object":"error","message":"m","code":400}', "m"),
        (b'{"detail":"m"}', "m"),
        (b'{"detail":[{"loc":["x"]}]}', "the upstream answered with status 500"),
        (b'{"error":{"message":{"a":1}}}', "the upstream answered with status 500"),
        (b'{"error":3}', "the upstream answered with status 500"),
        (b'\xff\xfe{"error"', "the upstream answered with status 500"),
    ],
)
def test_any_body_is_an_error(body: bytes, message: str) -> None:
    assert decode(500, body).message == message


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=30) | st.text(max_size=10).map(lambda text: json.dumps({"error": text}).encode()))
def test_no_body_raises(body: bytes) -> None:
    CONVERTER.encode_error(decode(503, body))
    decode_error_object(body)


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, (("retry-after", "12"),), 12.0),
        (429, (("retry-after", "1"), ("retry-after-ms", "250")), 0.25),
        (429, (("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"),), None),
        (429, (("retry-after", "-1"),), None),
        (429, (("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6m0s")), 360.0),
        (
            429,
            (
                ("x-ratelimit-remaining-requests", "0"),
                ("x-ratelimit-reset-requests", "1.5s"),
                ("x-ratelimit-remaining-tokens", "9"),
                ("x-ratelimit-reset-tokens", "1h"),
            ),
            1.5,
        ),
        (500, (("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "6m0s")), None),
        (503, (("retry-after", "2"),), 2.0),
    ],
)
def test_how_long_to_wait(status: int, headers: Headers, seconds: float | None) -> None:
    assert decode(status, error(), headers).retry_after == seconds


def test_a_subscription_says_in_its_body_when_it_resets() -> None:
    assert decode(429, error(type="usage_limit_reached", resets_in_seconds=90)).retry_after == 90


@pytest.mark.parametrize("body", [error(code="c", param="p"), error(misalignment={"x": 1.5})])
def test_an_error_of_the_family_keeps_its_words(body: dict[str, object]) -> None:
    response = CONVERTER.encode_error(decode(418, body))
    assert (response.status, json.loads(response.body)) == (418, body)


@pytest.mark.parametrize("kind", sorted(set(get_args(ErrorKind)) - {"billing", "cancelled", "method"}))
def test_a_kind_survives_the_wire(kind: ErrorKind) -> None:
    response = CONVERTER.encode_error(ErrorInfo(kind=kind, message="m", protocol="anthropic"))
    assert CONVERTER.decode_error(response).kind == kind


@pytest.mark.parametrize(
    ("info", "status", "type_", "code", "retry"),
    [
        (ErrorInfo(kind="invalid", message="m"), 400, "invalid_request_error", None, "false"),
        (
            ErrorInfo(kind="auth", code="invalid_api_key", message="m"),
            401,
            "invalid_request_error",
            "invalid_api_key",
            "false",
        ),
        (
            ErrorInfo(kind="not_found", code="model_not_found", message="m"),
            404,
            "invalid_request_error",
            "model_not_found",
            "false",
        ),
        (ErrorInfo(kind="method", message="m"), 405, "invalid_request_error", "method_not_allowed", "false"),
        (
            ErrorInfo(kind="rate_limit", code="rate_limit_exceeded", message="m"),
            429,
            "requests",
            "rate_limit_exceeded",
            "true",
        ),
        (
            ErrorInfo(kind="rate_limit", code="insufficient_quota", message="m"),
            429,
            "insufficient_quota",
            "insufficient_quota",
            "false",
        ),
        (
            ErrorInfo(kind="overloaded", code="overloaded", message="m"),
            503,
            "server_error",
            "overloaded",
            "true",
        ),
        (
            ErrorInfo(kind="unavailable", code="no_account_available", message="m"),
            503,
            "server_error",
            "no_account_available",
            "true",
        ),
        (
            ErrorInfo(kind="upstream", code="upstream_auth", message="m"),
            502,
            "server_error",
            "upstream_auth",
            "true",
        ),
        (
            ErrorInfo(kind="timeout", code="upstream_timeout", message="m"),
            504,
            "server_error",
            "upstream_timeout",
            "true",
        ),
        (ErrorInfo(kind="internal", message="m"), 500, "server_error", "internal_error", "true"),
        (
            ErrorInfo(
                kind="overloaded", message="m", status=529, type="overloaded_error", protocol="anthropic"
            ),
            503,
            "server_error",
            "overloaded",
            "true",
        ),
        (
            ErrorInfo(kind="context_length", message="m", code="x", protocol="anthropic"),
            400,
            "invalid_request_error",
            "context_length_exceeded",
            "false",
        ),
        (
            ErrorInfo(kind="billing", message="m", protocol="anthropic"),
            429,
            "insufficient_quota",
            "insufficient_quota",
            "false",
        ),
    ],
)
def test_an_error_for_a_client(
    info: ErrorInfo, status: int, type_: str, code: str | None, retry: str
) -> None:
    response = CONVERTER.encode_error(info)
    assert response.status == status
    assert json.loads(response.body) == {
        "error": {"message": "m", "type": type_, "code": code, "param": None}
    }
    assert response.header("x-should-retry") == retry
    assert response.header("content-type") == "application/json"


@pytest.mark.parametrize(
    ("seconds", "header", "milliseconds"), [(12.4, "13", "12400"), (0.1, "1", "100"), (3.0, "3", "3000")]
)
def test_retry_after_is_whole_seconds_and_milliseconds(
    seconds: float, header: str, milliseconds: str
) -> None:
    response = CONVERTER.encode_error(ErrorInfo(kind="rate_limit", message="m", retry_after=seconds))
    assert response.header("retry-after") == header
    assert response.header("retry-after-ms") == milliseconds


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b'{"message":"m","type":"invalid_request_error"}', "invalid", "m"),
        (b'{"message":"m","code":"rate_limit_exceeded"}', "rate_limit", "m"),
        (b'{"code":"server_error","message":"m"}', "upstream", "m"),
        (b'"m"', "upstream", "m"),
        (b"3", "upstream", "the upstream failed"),
    ],
)
def test_an_error_object_in_a_stream(data: bytes, kind: str, message: str) -> None:
    info = decode_error_object(data)
    assert (info.kind, info.message, info.status) == (kind, message, None)


@pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recorded traffic in {RECORDED}")
@pytest.mark.parametrize("name", ["temperature", "legacy-parameter"])
def test_a_recorded_error_keeps_its_words(name: str) -> None:
    body = (RECORDED / "openai" / f"reasoning-model-{name}-error.json").read_bytes()
    info = decode(400, body)
    assert info.kind == "invalid"
    assert json.loads(CONVERTER.encode_error(info).body) == json.loads(body)
