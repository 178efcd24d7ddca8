from __future__ import annotations

import pytest
from msgspec import Raw

from aiclient2api.errors import (
    ContentBlocked,
    ContextTooLong,
    CredentialsRejected,
    ErrorInfo,
    ErrorKind,
    ModelMissing,
    Overloaded,
    PermissionRefused,
    QuotaExhausted,
    RateLimited,
    Rejected,
    TimedOut,
    Unexplained,
    UpstreamError,
    UpstreamFailed,
)
from aiclient2api.providers.classify import classify


def _error(
    kind: ErrorKind,
    status: int | None,
    message: str = "boom",
    type_: str | None = None,
    code: str | None = None,
) -> ErrorInfo:
    return ErrorInfo(kind=kind, status=status, message=message, type=type_, code=code, protocol="openai_chat")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (_error("invalid", 400), Rejected),
        (_error("invalid", 422), Rejected),
        (_error("invalid", 418), Unexplained),
        (_error("too_large", 413), Rejected),
        (_error("conflict", 409), Rejected),
        (_error("method", 405), Rejected),
        (_error("unimplemented", 501), Rejected),
        (_error("not_found", 404, "Previous response with id 'resp_1' not found."), Rejected),
        (_error("not_found", 404, "the upstream answered with status 404"), Rejected),
        (_error("context_length", 400), ContextTooLong),
        (_error("invalid", 400, "prompt is too long: 210000 tokens > 200000 maximum"), ContextTooLong),
        (_error("invalid", 400, "This model's maximum context length is 8192 tokens."), ContextTooLong),
        (
            _error("invalid", 400, "The input token count (1200000) exceeds the maximum number of tokens"),
            ContextTooLong,
        ),
        (_error("internal", 500, "the request exceeds the available context size"), ContextTooLong),
        (_error("content_policy", 400), ContentBlocked),
        (
            _error("permission", 403, "Your chosen model requires moderation and your input was flagged"),
            ContentBlocked,
        ),
        (_error("auth", 401), CredentialsRejected),
        (_error("permission", 403), PermissionRefused),
        (_error("permission", 403, "Permission denied on resource project p"), PermissionRefused),
        (
            _error(
                "permission", 403, "You do not have permission to access the File abc or it may not exist."
            ),
            Rejected,
        ),
        (_error("permission", 403, "CachedContent not found (or permission denied)"), Rejected),
        (
            _error("permission", 403, "Your API key does not have permission to use the specified resource."),
            Rejected,
        ),
        (_error("invalid", 400, "Incorrect API key provided: xai-Ab****yz."), CredentialsRejected),
        (_error("invalid", 400, "API key not valid. Please pass a valid API key."), CredentialsRejected),
        (_error("invalid", 400, "tools.0: unknown name 'Incorrect API key provided'"), Rejected),
        (_error("invalid", 400, code="API_KEY_INVALID"), CredentialsRejected),
        (
            _error("invalid", 400, "User location is not supported for the API use.", "FAILED_PRECONDITION"),
            CredentialsRejected,
        ),
        (
            _error("billing", 400, "The File abc is not in an ACTIVE state", "FAILED_PRECONDITION"),
            Rejected,
        ),
        (_error("billing", 402), QuotaExhausted),
        (_error("quota", 429), QuotaExhausted),
        (_error("rate_limit", 429, type_="insufficient_quota"), QuotaExhausted),
        (_error("rate_limit", 429, code="usage_limit_reached"), QuotaExhausted),
        (_error("invalid", 400, "Your credit balance is too low to access the API"), QuotaExhausted),
        (_error("rate_limit", 429), RateLimited),
        (_error("rate_limit", 429, code="slow_down"), RateLimited),
        (_error("not_found", 404, "The model `x` does not exist or you do not have access"), ModelMissing),
        (_error("not_found", 404, "model: claude-9"), ModelMissing),
        (_error("not_found", 404, "models/gemini-9 is not found for API version v1beta"), ModelMissing),
        (_error("not_found", 404, "No endpoints found for x/y"), ModelMissing),
        (_error("not_found", 403, code="model_not_found"), ModelMissing),
        (_error("invalid", 400, "Model Not Exist"), ModelMissing),
        (_error("invalid", 400, "Invalid model: x"), ModelMissing),
        (_error("overloaded", 529), Overloaded),
        (_error("overloaded", None), Overloaded),
        (_error("unavailable", 503), Overloaded),
        (_error("timeout", 504), TimedOut),
        (_error("client_timeout", 408), TimedOut),
        (_error("internal", 500), UpstreamFailed),
        (_error("upstream", 502), UpstreamFailed),
        (_error("upstream", 522), UpstreamFailed),
        (_error("cancelled", 499), UpstreamFailed),
        (_error("invalid", 599), UpstreamFailed),
        (_error("upstream", None), UpstreamFailed),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, ErrorInfo) else value.__name__,
)
def test_each_error_has_its_class(error: ErrorInfo, outcome: type[UpstreamError]) -> None:
    assert type(classify(error)) is outcome


@pytest.mark.parametrize(
    ("details", "outcome"),
    [
        (b'{"error_code":"enforced_spend_limit_reached"}', QuotaExhausted),
        (b'{"quotaId":"GenerateRequestsPerDayPerProjectPerModel"}', QuotaExhausted),
        (b'{"quotaId":"GenerateRequestsPerMinutePerProject"}', RateLimited),
    ],
)
def test_the_details_tell_spent_from_fast(details: bytes, outcome: type[UpstreamError]) -> None:
    error = ErrorInfo(kind="rate_limit", status=429, message="429", details=Raw(details))

    assert type(classify(error)) is outcome


def test_geminis_bad_key_is_told_by_its_details() -> None:
    error = ErrorInfo(
        kind="invalid", status=400, message="bad", details=Raw(b'[{"reason":"API_KEY_INVALID"}]')
    )

    assert type(classify(error)) is CredentialsRejected


def test_a_client_cannot_have_a_key_disabled_by_being_quoted() -> None:
    quoting = (
        rb'[{"fieldViolations":[{"description":"Unknown name \"API_KEY_INVALID\": Cannot find field."}]}]'
    )
    error = ErrorInfo(kind="invalid", status=400, message="bad", details=Raw(quoting))

    assert type(classify(error)) is Rejected


def test_a_callers_mistake_keeps_the_upstreams_own_words() -> None:
    error = ErrorInfo(
        kind="invalid",
        status=400,
        message="Unsupported value: 'temperature'",
        type="invalid_request_error",
        code="unsupported_value",
        param="temperature",
        protocol="openai_chat",
    )

    assert classify(error).info == error


def test_a_too_long_context_is_known_as_such_whatever_the_upstream_calls_it() -> None:
    info = classify(_error("invalid", 400, "prompt is too long: 3 > 2")).info

    assert info.kind == "context_length"
    assert info.message == "prompt is too long: 3 > 2"


def test_a_missing_model_is_told_without_the_upstreams_words() -> None:
    info = classify(
        _error("not_found", 404, "Project `proj_secret1` has no access to model `x`", "t", "c")
    ).info

    assert info == ErrorInfo(
        kind="not_found", code="model_not_found", message="the model asked for is not available"
    )


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("invalid x-api-key: sk-ant-api03-verysecret", "invalid x-api-key: sk-…"),
        ("the key sk-proj-abc****wxyz. Find yours", "the key sk-…. Find yours"),
        ("the key xai-AbCdEf0123456789 is blocked", "the key xai-… is blocked"),
        ("gsk_AbCdEf0123456789 and AIzaSyD-0123456789_abcdef", "gsk_… and AIza…"),
        ("密钥sk-abcdef0123456789无效", "密钥sk-…无效"),
        ("header 'Bearer eyJhbGciOi.eyJzdWIiOiI.c2ln' is bad", "header 'Bearer …' is bad"),
        ("use Bearer authentication", "use Bearer authentication"),
        ("risk-assessment: key-value is required", "risk-assessment: key-value is required"),
    ],
)
def test_a_key_in_a_message_is_not_passed_on(message: str, shown: str) -> None:
    assert classify(_error("invalid", 400, message)).info.message == shown


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("auth", 401, "upstream_auth"),
        ("permission", 403, "upstream_auth"),
        ("quota", 429, "insufficient_quota"),
        ("rate_limit", 429, "rate_limit_exceeded"),
        ("internal", 500, "upstream_error"),
    ],
)
def test_an_accounts_fault_is_told_in_our_words(kind: ErrorKind, status: int, code: str) -> None:
    info = classify(_error(kind, status, "Incorrect API key provided: sk-abc (org-123)", "t", "c")).info

    assert "sk-abc" not in info.message
    assert "org-123" not in info.message
    assert (info.code, info.type, info.protocol, info.status) == (code, None, None, None)


@pytest.mark.parametrize(
    ("code", "told", "waits"),
    [(None, 7.5, 7.5), (None, None, None), ("slow_down", None, 10.0), ("slow_down", 3.0, 3.0)],
)
def test_the_wait_is_the_upstreams_or_the_tables(
    code: str | None, told: float | None, waits: float | None
) -> None:
    error = ErrorInfo(kind="rate_limit", status=429, message="slow", code=code, retry_after=told)

    assert classify(error).info.retry_after == waits


def test_only_the_beginning_of_a_message_is_searched() -> None:
    error = _error("invalid", 400, "x" * 9000 + "prompt is too long")

    assert type(classify(error)) is Rejected
