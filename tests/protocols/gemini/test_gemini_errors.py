"""Errors, both ways."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from google.genai import errors as genai_errors
from hypothesis import given, settings
from hypothesis import strategies as st

from aiclient2api.errors import ErrorInfo, ErrorKind
from aiclient2api.wire.http import Headers, WireResponse
from tests.protocols.gemini.gemini_samples import GEMINI, RECORDED, Json

RPC = "type.googleapis.com/google.rpc."


def status(code: int, name: str, message: str = "m", *details: Json) -> bytes:
    return json.dumps(
        {"error": {"code": code, "message": message, "status": name, "details": details}}
    ).encode()


def decoded(code: int, body: bytes, headers: Headers = ()) -> ErrorInfo:
    return GEMINI.decode_error(WireResponse(status=code, body=body, headers=headers))


KINDS: dict[str, tuple[int, bytes, ErrorKind]] = {
    "bad request": (400, status(400, "INVALID_ARGUMENT"), "invalid"),
    "bad key": (
        400,
        status(400, "INVALID_ARGUMENT", "m", {"@type": f"{RPC}ErrorInfo", "reason": "API_KEY_INVALID"}),
        "auth",
    ),
    "bad key by its words": (
        400,
        status(400, "INVALID_ARGUMENT", "API key not valid. Please pass one."),
        "auth",
    ),
    "leaked key": (403, status(403, "PERMISSION_DENIED", "Your API key was reported as leaked."), "auth"),
    "region": (400, status(400, "FAILED_PRECONDITION", "User location is not supported"), "permission"),
    "billing": (400, status(400, "FAILED_PRECONDITION", "Please enable billing on your project"), "billing"),
    "too long": (
        400,
        status(
            400,
            "INVALID_ARGUMENT",
            "The input token count (9) exceeds the maximum number of tokens allowed (8).",
        ),
        "context_length",
    ),
    "unauthenticated": (401, status(401, "UNAUTHENTICATED"), "auth"),
    "forbidden": (403, status(403, "PERMISSION_DENIED"), "permission"),
    "no model": (404, status(404, "NOT_FOUND"), "not_found"),
    "conflict": (409, status(409, "ABORTED"), "conflict"),
    "too fast": (429, status(429, "RESOURCE_EXHAUSTED"), "rate_limit"),
    "day spent": (
        429,
        status(
            429,
            "RESOURCE_EXHAUSTED",
            "m",
            {"@type": f"{RPC}QuotaFailure", "violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]},
        ),
        "quota",
    ),
    "cancelled": (499, status(499, "CANCELLED"), "cancelled"),
    "internal": (500, status(500, "INTERNAL"), "internal"),
    "overloaded": (503, status(503, "UNAVAILABLE", "The model is overloaded. Try later."), "overloaded"),
    "unavailable": (503, status(503, "UNAVAILABLE"), "unavailable"),
    "deadline": (504, status(504, "DEADLINE_EXCEEDED"), "timeout"),
    "in an array": (429, b"[" + status(429, "RESOURCE_EXHAUSTED") + b"]", "rate_limit"),
    "html": (502, b"<html>Bad Gateway</html>", "upstream"),
    "empty": (500, b"", "internal"),
    "teapot": (418, b"{}", "invalid"),
    "new": (599, b"[]", "upstream"),
}


@pytest.mark.parametrize(("code", "body", "kind"), KINDS.values(), ids=KINDS.keys())
def test_kinds(code: int, body: bytes, kind: ErrorKind) -> None:
    error = decoded(code, body)

    assert (error.kind, error.status, error.protocol) == (kind, code, "gemini")
    assert error.message
    assert "<html>" not in error.message


DELAY = {"@type": f"{RPC}RetryInfo", "retryDelay": "12.4s"}


@pytest.mark.parametrize(
    ("headers", "details", "seconds"),
    [
        ((), [DELAY], 12.4),
        ((("retry-after", "7"),), [DELAY], 7.0),
        ((("retry-after-ms", "1500"), ("retry-after", "7")), [], 1.5),
        ((("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"),), [], None),
        ((), [{"@type": f"{RPC}RetryInfo", "retryDelay": "soon"}], None),
    ],
)
def test_when_to_retry(headers: Headers, details: list[Json], seconds: float | None) -> None:
    assert decoded(429, status(429, "RESOURCE_EXHAUSTED", "m", *details), headers).retry_after == seconds


def test_the_details_say_which_field_and_why() -> None:
    body = status(
        400,
        "INVALID_ARGUMENT",
        "m",
        {"@type": f"{RPC}BadRequest", "fieldViolations": [{"field": "contents[0]", "description": "d"}]},
        {"@type": f"{RPC}ErrorInfo", "reason": "SOMETHING", "domain": "googleapis.com"},
    )

    error = decoded(400, body)

    assert (error.param, error.code, error.type) == ("contents[0]", "SOMETHING", "INVALID_ARGUMENT")


def test_an_error_of_this_protocol_passes_unchanged() -> None:
    body = status(429, "RESOURCE_EXHAUSTED", "slow", DELAY, {"@type": "x", "n": 1.50})

    wire = GEMINI.encode_error(decoded(429, body))

    assert (wire.status, json.loads(wire.body)) == (429, json.loads(body))
    assert dict(wire.headers) == {
        "content-type": "application/json",
        "x-should-retry": "true",
        "retry-after": "13",
    }


OWN: dict[str, tuple[ErrorInfo, int, str, str]] = {
    "schema": (ErrorInfo(kind="invalid", message="m"), 400, "INVALID_ARGUMENT", "false"),
    "key": (ErrorInfo(kind="auth", message="m"), 401, "UNAUTHENTICATED", "false"),
    "permission": (ErrorInfo(kind="permission", message="m"), 403, "PERMISSION_DENIED", "false"),
    "model": (ErrorInfo(kind="not_found", message="m"), 404, "NOT_FOUND", "false"),
    "method": (ErrorInfo(kind="method", message="m"), 405, "UNIMPLEMENTED", "false"),
    "slow client": (ErrorInfo(kind="client_timeout", message="m"), 408, "DEADLINE_EXCEEDED", "true"),
    "too large": (ErrorInfo(kind="too_large", message="m"), 413, "INVALID_ARGUMENT", "false"),
    "rate": (ErrorInfo(kind="rate_limit", message="m"), 429, "RESOURCE_EXHAUSTED", "true"),
    "budget": (
        ErrorInfo(kind="rate_limit", code="insufficient_quota", message="m"),
        429,
        "RESOURCE_EXHAUSTED",
        "false",
    ),
    "quota": (ErrorInfo(kind="quota", message="m"), 429, "RESOURCE_EXHAUSTED", "false"),
    "bug": (ErrorInfo(kind="internal", message="m"), 500, "INTERNAL", "true"),
    "bad answer": (ErrorInfo(kind="upstream", message="m"), 503, "UNAVAILABLE", "true"),
    "bad answer, theirs": (
        ErrorInfo(kind="upstream", message="m", status=520, protocol="anthropic"),
        502,
        "UNAVAILABLE",
        "true",
    ),
    "overloaded, theirs": (
        ErrorInfo(kind="overloaded", message="m", status=529, protocol="anthropic"),
        503,
        "UNAVAILABLE",
        "true",
    ),
    "no account": (ErrorInfo(kind="unavailable", message="m"), 503, "UNAVAILABLE", "true"),
    "timeout": (ErrorInfo(kind="timeout", message="m"), 504, "DEADLINE_EXCEEDED", "true"),
}


@pytest.mark.parametrize(("error", "code", "name", "retry"), OWN.values(), ids=OWN.keys())
def test_errors_for_a_client(error: ErrorInfo, code: int, name: str, retry: str) -> None:
    wire = GEMINI.encode_error(error)

    body = json.loads(wire.body)["error"]
    assert (wire.status, body["code"], body["status"], body["message"]) == (code, code, name, "m")
    assert wire.header("x-should-retry") == retry


def test_details_of_our_own() -> None:
    error = ErrorInfo(kind="rate_limit", code="insufficient_quota", message="spent", retry_after=0.2)

    wire = GEMINI.encode_error(error)

    assert json.loads(wire.body)["error"]["details"] == [
        {"@type": f"{RPC}ErrorInfo", "reason": "INSUFFICIENT_QUOTA", "domain": "aiclient2api"},
        {"@type": f"{RPC}QuotaFailure", "violations": [{"description": "spent"}]},
        {"@type": f"{RPC}RetryInfo", "retryDelay": "0.2s"},
    ]
    assert wire.header("retry-after") == "1"


@pytest.mark.parametrize("kind", ["invalid", "rate_limit", "upstream"])
def test_the_official_client_reads_our_errors(kind: ErrorKind) -> None:
    wire = GEMINI.encode_error(ErrorInfo(kind=kind, message="m", retry_after=2.0))
    response = httpx.Response(wire.status, content=wire.body, headers=dict(wire.headers))

    read: Any = genai_errors.APIError

    with pytest.raises(genai_errors.APIError) as caught:
        read.raise_for_response(response)

    assert (caught.value.code, caught.value.message) == (wire.status, "m")


@given(
    st.integers(400, 599),
    st.binary(max_size=60) | st.sampled_from([b'{"error":5}', b'[{"error":{}}]', b"[5]"]),
)
@settings(max_examples=100, deadline=None)
def test_any_body_is_an_error(code: int, body: bytes) -> None:
    assert decoded(code, body).message


JSON_VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "message", "status", "details", "@type", "violations"]), inner
        )
    ),
    max_leaves=8,
)


@given(JSON_VALUES)
@settings(max_examples=100, deadline=None)
def test_any_json_is_an_error(body: Json) -> None:
    error = decoded(429, json.dumps({"error": body}).encode())

    assert GEMINI.encode_error(error).status == 429


@pytest.mark.skipif(not RECORDED.is_dir(), reason="no recorded traffic here")
def test_a_recorded_rate_limit() -> None:
    error = decoded(429, (RECORDED / "google-429-retry-info.json").read_bytes())

    assert (error.kind, error.retry_after) == ("rate_limit", 34.4)
