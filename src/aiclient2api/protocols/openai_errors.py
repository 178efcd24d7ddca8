"""Errors of the two OpenAI protocols: one body shape, one table of kinds.

In-stream forms belong to each protocol.
"""

from __future__ import annotations

import math
import re
from typing import Final

from msgspec import Raw, Struct

from aiclient2api.errors import ErrorInfo, ErrorKind, MalformedMessage
from aiclient2api.protocols.plain_errors import plain_message
from aiclient2api.wire import json
from aiclient2api.wire.http import JSON_HEADERS, WireResponse
from aiclient2api.wire.json import Members
from aiclient2api.wire.retry_after import number, retry_after, until


class _Form(Struct, frozen=True):
    """How a kind looks on the wire when the source has no words of this family for it."""

    status: int
    type: str
    code: str | None


_FORMS: Final[dict[ErrorKind, _Form]] = {
    "invalid": _Form(400, "invalid_request_error", None),
    "context_length": _Form(400, "invalid_request_error", "context_length_exceeded"),
    "content_policy": _Form(400, "invalid_request_error", "content_policy_violation"),
    "auth": _Form(401, "invalid_request_error", "invalid_api_key"),
    "billing": _Form(429, "insufficient_quota", "insufficient_quota"),
    "permission": _Form(403, "invalid_request_error", "permission_denied"),
    "not_found": _Form(404, "invalid_request_error", "model_not_found"),
    "method": _Form(405, "invalid_request_error", "method_not_allowed"),
    "conflict": _Form(409, "invalid_request_error", "conflict"),
    "too_large": _Form(413, "invalid_request_error", "request_too_large"),
    "client_timeout": _Form(408, "invalid_request_error", "request_timeout"),
    "rate_limit": _Form(429, "requests", "rate_limit_exceeded"),
    "quota": _Form(429, "insufficient_quota", "insufficient_quota"),
    "cancelled": _Form(499, "invalid_request_error", "cancelled"),
    "internal": _Form(500, "server_error", "internal_error"),
    "unimplemented": _Form(501, "invalid_request_error", "not_implemented"),
    "upstream": _Form(502, "server_error", "bad_gateway"),
    "unavailable": _Form(503, "server_error", "service_unavailable"),
    "overloaded": _Form(503, "server_error", "overloaded"),
    "timeout": _Form(504, "server_error", "timeout"),
}

_KIND_OF_CODE: Final[dict[str, ErrorKind]] = {
    "context_length_exceeded": "context_length",
    "content_policy_violation": "content_policy",
    "content_filter": "content_policy",
    "invalid_prompt": "content_policy",
    "invalid_api_key": "auth",
    "insufficient_quota": "quota",
    "credit_balance_exhausted": "quota",
    "billing_hard_limit_reached": "quota",
    "usage_limit_reached": "quota",
    "billing_not_active": "billing",
    "rate_limit_exceeded": "rate_limit",
    "slow_down": "rate_limit",
    "model_not_found": "not_found",
    "server_is_overloaded": "overloaded",
    "overloaded": "overloaded",
    "service_unavailable": "unavailable",
    "no_account_available": "unavailable",
    "server_shutting_down": "unavailable",
    "upstream_timeout": "timeout",
    "timeout": "timeout",
    "internal_error": "internal",
    "request_timeout": "client_timeout",
    "request_too_large": "too_large",
}

_KIND_OF_TYPE: Final[dict[str, ErrorKind]] = {
    "invalid_request_error": "invalid",
    "authentication_error": "auth",
    "permission_error": "permission",
    "insufficient_quota": "quota",
    "requests": "rate_limit",
    "tokens": "rate_limit",
    "rate_limit_error": "rate_limit",
    "usage_limit_reached": "quota",
    "overloaded_error": "overloaded",
    "timeout_error": "timeout",
}

_KIND_OF_STATUS: Final[dict[int, ErrorKind]] = {
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
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}

_RETRYABLE: Final[frozenset[ErrorKind]] = frozenset(
    ("rate_limit", "overloaded", "unavailable", "timeout", "upstream", "internal", "client_timeout")
)

# servers that speak this protocol without OpenAI's codes say it in words
_TOO_LONG = re.compile(
    r"maximum context length|context (?:length|window|size)|prompt is too long|too many tokens", re.IGNORECASE
)

_GO_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def decode_openai_error(response: WireResponse, protocol: str = "openai_chat") -> ErrorInfo:
    """An error answer of an OpenAI or compatible upstream; never raises, whatever the body is."""
    return _decode(_error_members(response.body), response, protocol)


def decode_error_object(data: bytes | Raw, protocol: str = "openai_chat") -> ErrorInfo:
    """The error object of a stream, which has no status; never raises."""
    try:
        members = Members.parse(data)
    except MalformedMessage:
        members = Members({"message": Raw(data)} if bytes(data).startswith(b'"') else {})
    return _decode(members, None, protocol)


def encode_openai_error(error: ErrorInfo) -> WireResponse:
    """An error for a client, with the headers that its SDK obeys."""
    form = _FORMS[error.kind]
    own = _is_family(error)
    status = error.status if own and error.status is not None and error.status >= 400 else form.status
    quota = "insufficient_quota" in (error.code, error.type)
    retryable = error.kind in _RETRYABLE and not quota if error.should_retry is None else error.should_retry
    headers = [*JSON_HEADERS, ("x-should-retry", "true" if retryable else "false")]
    if error.retry_after is not None:
        headers.append(("retry-after", str(max(1, math.ceil(error.retry_after)))))
        headers.append(("retry-after-ms", str(max(0, math.ceil(round(error.retry_after * 1000, 3))))))
    return WireResponse(status=status, body=b'{"error":' + error_object(error) + b"}", headers=tuple(headers))


def error_object(info: ErrorInfo) -> bytes:
    """The error object, for a body or for a stream."""
    form = _FORMS[info.kind]
    if _is_family(info):
        members: dict[str, object] = {
            "message": info.message,
            "type": info.type or form.type,
            "param": info.param,
            "code": info.code,
        }
        if info.details is not None:
            members |= json.decode(info.details, dict[str, Raw])
        if info.reset_at is not None:
            members["reset_at"] = info.reset_at
        return json.encode(members)
    code = info.code if info.protocol is None and info.code else form.code
    type_ = "insufficient_quota" if code == "insufficient_quota" else form.type
    param = info.param if info.protocol is None else None
    own: dict[str, object] = {"message": info.message, "type": type_, "code": code, "param": param}
    return json.encode(own if info.reset_at is None else {**own, "reset_at": info.reset_at})


def _is_family(info: ErrorInfo) -> bool:
    return info.protocol is not None and info.protocol.startswith("openai_")


def _error_members(body: bytes) -> Members:
    """The error object, wherever the many compatible servers put it; empty when there is none."""
    try:
        if body.lstrip()[:1] == b"[":
            body = bytes(json.parse_array(body)[0])
        outer = Members.parse(body)
    except (MalformedMessage, IndexError):
        return Members({})
    inner = outer.peek("error")
    if inner is None:
        message = plain_message(outer.rest)
        return _plain(json.NULL if message is None else Raw(json.encode(message)), outer)
    if json.is_string(inner):
        return Members(
            {"message": inner, **{key: raw for key in ("code", "type") if (raw := outer.peek(key))}}
        )
    try:
        return Members.parse(inner)
    except MalformedMessage:
        return Members({})


def _plain(message: Raw, outer: Members) -> Members:
    """An error that is not wrapped: only what has a meaning, the rest of such a body may be anything."""
    return Members({"message": message} | {key: raw for key in ("code", "type") if (raw := outer.peek(key))})


def _decode(members: Members, response: WireResponse | None, protocol: str) -> ErrorInfo:
    message, code = _text(members, "message"), _text(members, "code")
    type_, param = _text(members, "type"), _text(members, "param")
    status = response.status if response is not None else None
    wait = _reset(members, response)
    if response is not None:
        told = _retry_after(response)
        wait = wait if told is None else told
    rest = {key: raw for key, raw in members.rest.items() if key not in ("object", "sequence_number")}
    return ErrorInfo(
        kind=_kind(status, code, type_, message or ""),
        message=message or _default_message(status),
        status=status,
        type=type_,
        code=code,
        param=param,
        details=json.raw(rest) if rest else None,
        retry_after=wait,
        request_id=response.header("x-request-id") if response is not None else None,
        protocol=protocol,
    )


def _kind(status: int | None, code: str | None, type_: str | None, message: str) -> ErrorKind:
    kind = _KIND_OF_CODE.get(code or "")
    if kind is None and status is None:
        kind = _KIND_OF_TYPE.get(type_ or "", "upstream")
    if kind is None and status is not None:
        kind = "quota" if status == 429 and _KIND_OF_TYPE.get(type_ or "") == "quota" else _of_status(status)
    assert kind is not None
    if kind in ("invalid", "too_large") and _TOO_LONG.search(message):
        return "context_length"
    return kind


def _of_status(status: int) -> ErrorKind:
    return _KIND_OF_STATUS.get(status, "invalid" if status < 500 else "upstream")


def _default_message(status: int | None) -> str:
    return "the upstream failed" if status is None else f"the upstream answered with status {status}"


def _text(members: Members, key: str) -> str | None:
    """Take a string member; anything else stays where it is or vanishes when null."""
    raw = members.peek(key)
    if raw is None or not json.is_string(raw):
        members.raw(key)
        return None
    try:
        return members.take(key, str)
    except MalformedMessage:
        return None


def _retry_after(response: WireResponse) -> float | None:
    """Seconds to wait, as the most exact header says."""
    seconds = retry_after(response.headers)
    if seconds is not None or response.status != 429:
        return seconds
    waits = [
        _duration(response.header(f"x-ratelimit-reset-{unit}"))
        for unit in ("requests", "tokens")
        if response.header(f"x-ratelimit-remaining-{unit}") == "0"
    ]
    return max((wait for wait in waits if wait is not None), default=None)


def _reset(members: Members, response: WireResponse | None) -> float | None:
    """Seconds until a used up window begins anew: Codex says so in the body, as a span or as an instant."""
    span = number(_bare(members.peek("resets_in_seconds")))
    if span is not None or response is None:
        return span
    return until(_bare(members.peek("resets_at")), response.headers)


def _bare(raw: Raw | None) -> str | None:
    return None if raw is None else bytes(raw).decode("utf-8", "replace").strip('"')


def _duration(text: str | None) -> float | None:
    """A Go duration such as `6m0s`."""
    parts = _GO_DURATION.findall(text or "")
    return sum(float(amount) * _SECONDS[unit] for amount, unit in parts) if parts else None
