"""Errors, both ways, before and during a stream."""

from __future__ import annotations

import math

from msgspec import Raw

from aiclient2api.errors import ErrorInfo, ErrorKind, MalformedMessage
from aiclient2api.protocols.anthropic.schema import NAME
from aiclient2api.protocols.plain_errors import plain_message
from aiclient2api.wire import json
from aiclient2api.wire.http import Headers, WireResponse, find_header
from aiclient2api.wire.json import Members
from aiclient2api.wire.retry_after import retry_after, until
from aiclient2api.wire.sse import encode_event

_KINDS_OF_TYPES: dict[str, ErrorKind] = {
    "invalid_request_error": "invalid",
    "authentication_error": "auth",
    "billing_error": "billing",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "conflict_error": "conflict",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "timeout_error": "timeout",
    "overloaded_error": "overloaded",
}
"""`api_error` says nothing that the status does not say better."""

_KINDS_OF_STATUS: dict[int, ErrorKind] = {
    401: "auth",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "method",
    408: "client_timeout",
    409: "conflict",
    413: "too_large",
    429: "rate_limit",
    499: "cancelled",
    500: "internal",
    501: "unimplemented",
    503: "unavailable",
    504: "timeout",
    529: "overloaded",
}

_PHRASES: tuple[tuple[str, ErrorKind], ...] = (
    ("prompt is too long", "context_length"),
    ("exceed context limit", "context_length"),
    ("credit balance is too low", "billing"),
    ("reached your specified api usage limits", "quota"),
)
"""Meanings that the provider tells only in prose, under invalid_request_error."""

_OWN: dict[ErrorKind, tuple[int, str]] = {
    "invalid": (400, "invalid_request_error"),
    "content_policy": (400, "invalid_request_error"),
    "context_length": (400, "invalid_request_error"),
    "auth": (401, "authentication_error"),
    "billing": (402, "billing_error"),
    "permission": (403, "permission_error"),
    "not_found": (404, "not_found_error"),
    "method": (405, "invalid_request_error"),
    "client_timeout": (408, "invalid_request_error"),
    "conflict": (409, "conflict_error"),
    "too_large": (413, "request_too_large"),
    "rate_limit": (429, "rate_limit_error"),
    "quota": (429, "rate_limit_error"),
    "cancelled": (499, "api_error"),
    "internal": (500, "api_error"),
    "unimplemented": (501, "api_error"),
    "upstream": (502, "api_error"),
    "unavailable": (503, "api_error"),
    "timeout": (504, "timeout_error"),
    "overloaded": (529, "overloaded_error"),
}
_OWN_BUDGET = (402, "billing_error")
"""A client key whose own budget is spent, unlike an upstream's quota."""

_RETRYABLE: frozenset[ErrorKind] = frozenset(
    {"rate_limit", "overloaded", "unavailable", "timeout", "upstream", "internal", "client_timeout"}
)
_IN_STREAM: dict[ErrorKind, str] = {"overloaded": "overloaded_error", "timeout": "timeout_error"}

_TOO_LONG = "prompt is too long"
_LIMITS = ("requests", "tokens", "input-tokens", "output-tokens")
_UNIFIED = "anthropic-ratelimit-unified"
"""The windows of a subscription: 5 hours and 7 days; resets in Unix seconds."""


def decode_error(response: WireResponse) -> ErrorInfo:
    """An upstream's error, whatever its body is."""
    return error_of(response.body, response.status, response.headers)


def error_of(body: bytes, status: int | None = None, headers: Headers = ()) -> ErrorInfo:
    """The error in a body or in a stream's `error` event."""
    kind_name, message, details, request_id = _read(body)
    kind = _kind(kind_name, message, details, status)
    if kind == "rate_limit" and find_header(headers, f"{_UNIFIED}-status") == "rejected":
        kind = "quota"  # a subscription's window is used up
    return ErrorInfo(
        kind=kind,
        message=message or _nameless(status),
        status=status,
        type=kind_name,
        code=_code(details),
        details=details,
        retry_after=_retry_after(headers, kind),
        request_id=request_id or find_header(headers, "request-id"),
        protocol=NAME,
    )


def _nameless(status: int | None) -> str:
    return f"the upstream answered with status {status}" if status else "the upstream reported an error"


def _read(body: bytes) -> tuple[str | None, str, Raw | None, str | None]:
    """Type, message, details and request id, as far as the body has them."""
    try:
        members = Members.parse(body)
        request_id = _string(members, "request_id")
        inner = members.peek("error")
        error = members.object("error") if inner is not None and json.is_object(bytes(inner)) else None
        if error is None:
            return None, plain_message(members.rest) or "", None, request_id
        details = error.raw("details")
        if details is not None and not json.is_object(bytes(details)):
            details = None
        return _string(error, "type"), _string(error, "message") or "", details, request_id
    except MalformedMessage:
        return None, "", None, None


def _code(details: Raw | None) -> str | None:
    """The machine-readable word, where the provider gives one."""
    return None if details is None else _string(Members.parse(details), "error_code")


def _string(members: Members, key: str) -> str | None:
    value = members.peek(key)
    return members.take(key, str) if value is not None and json.is_string(value) else None


def _kind(name: str | None, message: str, details: Raw | None, status: int | None) -> ErrorKind:
    told = _KINDS_OF_TYPES.get(name or "")
    if told is None and status is None:
        return "upstream"
    kind = told or _kind_of_status(status or 500)
    if kind == "rate_limit" and details is not None and b"spend_limit_reached" in bytes(details):
        return "quota"
    if kind != "invalid":
        return kind
    lower = message.lower()
    for phrase, meaning in _PHRASES:
        if phrase in lower:
            return meaning
    return kind


def _kind_of_status(status: int) -> ErrorKind:
    known = _KINDS_OF_STATUS.get(status)
    if known is not None:
        return known
    return "invalid" if 400 <= status < 500 else "upstream"


def _retry_after(headers: Headers, kind: ErrorKind) -> float | None:
    """Seconds from `retry-after-ms`, `retry-after`, or the reset of the limit that is used up."""
    told = retry_after(headers)
    if told is not None or kind not in ("rate_limit", "quota"):
        return told
    waits = [_until_reset(headers, limit) for limit in _LIMITS]
    if find_header(headers, f"{_UNIFIED}-status") == "rejected":
        waits.append(until(find_header(headers, f"{_UNIFIED}-reset"), headers))
        waits += [
            until(find_header(headers, f"{_UNIFIED}-{window}-reset"), headers)
            for window in ("5h", "7d")
            if find_header(headers, f"{_UNIFIED}-{window}-status") == "rejected"
        ]
    return max((wait for wait in waits if wait is not None), default=None)


def _until_reset(headers: Headers, limit: str) -> float | None:
    """Both instants are the provider's own, so its clock does not matter."""
    name = f"anthropic-ratelimit-{limit}"
    if find_header(headers, f"{name}-remaining") != "0":
        return None
    return until(find_header(headers, f"{name}-reset"), headers)


def encode_error(error: ErrorInfo) -> WireResponse:
    """An error for a client: an Anthropic upstream's own words and status, else by kind."""
    status, kind_name = _OWN_BUDGET if error.kind == "quota" and error.protocol is None else _OWN[error.kind]
    if error.protocol == NAME:
        status, kind_name = error.status or status, error.type or kind_name
    retryable = error.kind in _RETRYABLE if error.should_retry is None else error.should_retry
    headers: list[tuple[str, str]] = [
        ("content-type", "application/json"),
        ("x-should-retry", "true" if retryable else "false"),
    ]
    if error.retry_after is not None:
        headers.append(("retry-after", str(max(1, math.ceil(error.retry_after)))))
    return WireResponse(status=status, body=_body(error, kind_name), headers=tuple(headers))


def error_event(error: ErrorInfo) -> bytes:
    """An error in the middle of a stream."""
    kind_name = _IN_STREAM.get(error.kind, "api_error")
    if error.protocol == NAME and error.type is not None:
        kind_name = error.type
    return encode_event(_body(error, kind_name), "error")


def _body(error: ErrorInfo, kind_name: str) -> bytes:
    message = error.message
    if error.kind == "context_length" and _TOO_LONG not in message and error.protocol != NAME:
        # Claude Code compacts its history when it reads this phrase
        message = f"{_TOO_LONG}: {message}"
    inner: dict[str, object] = {"type": kind_name, "message": message}
    if error.protocol == NAME and error.details is not None:
        inner["details"] = error.details
    if error.reset_at is not None:
        inner["reset_at"] = error.reset_at
    return json.encode({"type": "error", "error": inner, "request_id": error.request_id})
