"""google.rpc.Status, both ways."""

from __future__ import annotations

import math
import re
from typing import Final, cast

from msgspec import Raw, Struct

from aiclient2api.errors import ErrorInfo, ErrorKind, MalformedMessage
from aiclient2api.protocols.gemini.encode_parts import Wire
from aiclient2api.protocols.gemini.schema import NAME
from aiclient2api.protocols.plain_errors import plain_message
from aiclient2api.wire import json
from aiclient2api.wire.http import Headers, WireResponse, find_header
from aiclient2api.wire.retry_after import number, retry_after

_TYPE: Final = "type.googleapis.com/google.rpc."
_DOMAIN: Final = "aiclient2api"

_BY_HTTP: Final[dict[int, ErrorKind]] = {
    400: "invalid",
    401: "auth",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "method",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    429: "rate_limit",
    499: "cancelled",
    500: "internal",
    501: "unimplemented",
    502: "upstream",
    503: "unavailable",
    504: "timeout",
    529: "overloaded",
}
_BY_STATUS: Final[dict[str, ErrorKind]] = {
    "FAILED_PRECONDITION": "permission",
    "UNAUTHENTICATED": "auth",
    "PERMISSION_DENIED": "permission",
    "NOT_FOUND": "not_found",
    "ABORTED": "conflict",
    "ALREADY_EXISTS": "conflict",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "CANCELLED": "cancelled",
    "INTERNAL": "internal",
    "UNKNOWN": "internal",
    "UNIMPLEMENTED": "unimplemented",
    "UNAVAILABLE": "unavailable",
    "DEADLINE_EXCEEDED": "timeout",
}
_BY_REASON: Final[dict[str, ErrorKind]] = {
    "API_KEY_INVALID": "auth",
    "API_KEY_EXPIRED": "auth",
    "ACCESS_TOKEN_EXPIRED": "auth",
    "CREDENTIALS_MISSING": "auth",
    "CONSUMER_SUSPENDED": "auth",
    "BILLING_DISABLED": "billing",
}
_BY_MESSAGE: Final[tuple[tuple[frozenset[ErrorKind], re.Pattern[str], ErrorKind], ...]] = (
    (frozenset({"invalid"}), re.compile(r"api key (not valid|not found|expired)", re.I), "auth"),
    (frozenset({"permission"}), re.compile(r"api key", re.I), "auth"),
    (frozenset({"permission"}), re.compile(r"billing", re.I), "billing"),
    (
        frozenset({"invalid"}),
        re.compile(r"token count.{0,40}exceed|exceeds? the maximum number of (input )?tokens", re.I),
        "context_length",
    ),
    (
        frozenset({"invalid"}),
        re.compile(r"blocked by (the )?safety|prohibited.content", re.I),
        "content_policy",
    ),
    (frozenset({"unavailable"}), re.compile(r"overloaded|high demand", re.I), "overloaded"),
)

_OUT: Final[dict[ErrorKind, tuple[int, str]]] = {
    "invalid": (400, "INVALID_ARGUMENT"),
    "context_length": (400, "INVALID_ARGUMENT"),
    "content_policy": (400, "INVALID_ARGUMENT"),
    "auth": (401, "UNAUTHENTICATED"),
    "billing": (400, "FAILED_PRECONDITION"),
    "permission": (403, "PERMISSION_DENIED"),
    "not_found": (404, "NOT_FOUND"),
    "method": (405, "UNIMPLEMENTED"),
    "conflict": (409, "ABORTED"),
    "too_large": (413, "INVALID_ARGUMENT"),
    "rate_limit": (429, "RESOURCE_EXHAUSTED"),
    "quota": (429, "RESOURCE_EXHAUSTED"),
    "client_timeout": (408, "DEADLINE_EXCEEDED"),
    "timeout": (504, "DEADLINE_EXCEEDED"),
    "overloaded": (503, "UNAVAILABLE"),
    "unavailable": (503, "UNAVAILABLE"),
    "cancelled": (499, "CANCELLED"),
    "unimplemented": (501, "UNIMPLEMENTED"),
    "upstream": (502, "UNAVAILABLE"),
    "internal": (500, "INTERNAL"),
}
_RETRYABLE: Final = frozenset(
    ["rate_limit", "overloaded", "unavailable", "timeout", "upstream", "internal", "client_timeout"]
)
_SPENT: Final = "insufficient_quota"


class _Details(Struct, frozen=True):
    """The typed details that say more than the status."""

    reason: str | None = None
    retry_after: float | None = None
    is_daily: bool = False
    field: str | None = None


def decode_error(response: WireResponse) -> ErrorInfo:
    """See Converter.decode_error."""
    headers = response.headers
    try:
        if response.body.lstrip()[:1] == b"[":
            body = json.decode(json.parse_array(response.body)[0], dict[str, Raw])
        else:
            body = json.decode(response.body, dict[str, Raw])
    except (MalformedMessage, IndexError):
        body = {}
    status = body.get("error")
    if status is None or not json.is_object(bytes(status)):
        return _described(response.status, headers, {"message": plain_message(body)})
    return decode_status(status, response)


def decode_status(status: Raw, response: WireResponse | None) -> ErrorInfo:
    """The `error` member of an answer or, without `response`, of a stream."""
    try:
        members = json.decode(status, dict[str, object])
    except MalformedMessage:
        members = {}
    code = members.get("code")
    http = response.status if response is not None else code if isinstance(code, int) else 500
    raw = json.decode(status, dict[str, Raw]).get("details") if members else None
    return _described(http, response.headers if response is not None else (), members, raw)


def _described(
    http: int, headers: Headers, members: dict[str, object], details: Raw | None = None
) -> ErrorInfo:
    message, status = members.get("message"), members.get("status")
    found = _read_details(members.get("details"))
    text = message if isinstance(message, str) and message else f"the upstream answered with status {http}"
    name = status if isinstance(status, str) else None
    return ErrorInfo(
        kind=_kind(http, name, found, text),
        message=text,
        status=http,
        type=name,
        code=found.reason,
        param=found.field,
        details=details,
        retry_after=_retry_after(headers, found),
        request_id=find_header(headers, "x-request-id"),
        protocol=NAME,
    )


def _kind(http: int, status: str | None, details: _Details, message: str) -> ErrorKind:
    if details.reason in _BY_REASON:
        return _BY_REASON[details.reason]
    kind = _BY_STATUS.get(status or "") if http == 400 or http not in _BY_HTTP else _BY_HTTP[http]
    if kind is None:
        kind = "invalid" if 400 <= http < 500 else "upstream"
    if kind == "rate_limit" and details.is_daily:
        return "quota"
    for kinds, pattern, found in _BY_MESSAGE:
        if kind in kinds and pattern.search(message):
            return found
    return kind


def _read_details(details: object) -> _Details:
    reason: str | None = None
    field: str | None = None
    retry_after: float | None = None
    is_daily = False
    for detail in _dicts(details):
        match str(detail.get("@type", "")).removeprefix(_TYPE):
            case "ErrorInfo":
                reason = _text(detail.get("reason")) or reason
            case "RetryInfo":
                retry_after = _seconds(_text(detail.get("retryDelay")))
            case "QuotaFailure":
                violations = _dicts(detail.get("violations"))
                is_daily = any("PerDay" in (_text(item.get("quotaId")) or "") for item in violations)
            case "BadRequest":
                violations = _dicts(detail.get("fieldViolations"))
                field = next((name for item in violations if (name := _text(item.get("field")))), field)
            case _:
                pass
    return _Details(reason, retry_after, is_daily, field)


def _dicts(value: object) -> list[dict[str, object]]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, object]", item) for item in items if isinstance(item, dict)]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _seconds(delay: str | None) -> float | None:
    """A protobuf duration: `34.4s`."""
    return number(delay.removesuffix("s")) if delay is not None else None


def _retry_after(headers: Headers, details: _Details) -> float | None:
    seconds = retry_after(headers)
    return seconds if seconds is not None else details.retry_after


def encode_error(error: ErrorInfo) -> WireResponse:
    """See Converter.encode_error."""
    http, status = _address(error)
    headers = [
        ("content-type", "application/json"),
        ("x-should-retry", "true" if _is_retryable(error) else "false"),
    ]
    if error.retry_after is not None:
        headers.append(("retry-after", str(max(1, math.ceil(error.retry_after)))))
    wire: Wire = {"code": http, "message": error.message, "status": status}
    details = error.details if error.protocol == NAME and error.details else _details(error)
    if details:
        wire["details"] = details
    return WireResponse(status=http, headers=tuple(headers), body=json.encode({"error": wire}))


def inline_error(error: ErrorInfo) -> bytes:
    """The object that ends a broken stream: `error` is its first member, `code` an integer."""
    http, status = _address(error)
    return json.encode({"error": {"code": http, "message": error.message, "status": status}})


def _address(error: ErrorInfo) -> tuple[int, str]:
    http, status = _OUT[error.kind]
    if error.protocol == NAME:
        return (
            error.status if error.status is not None and error.status >= 400 else http,
            error.type or status,
        )
    if error.protocol is None and error.kind == "upstream":
        return 503, status  # Google has no 502; its clients know how to wait for 503
    return http, status


def _is_retryable(error: ErrorInfo) -> bool:
    if error.should_retry is not None:
        return error.should_retry
    return error.kind in _RETRYABLE and error.code != _SPENT


def _details(error: ErrorInfo) -> list[Wire]:
    details: list[Wire] = []
    if error.code is not None:
        reason = re.sub(r"[^A-Z0-9_]", "_", error.code.upper())
        details.append({"@type": f"{_TYPE}ErrorInfo", "reason": reason, "domain": error.protocol or _DOMAIN})
        if error.reset_at is not None:
            details[-1]["metadata"] = {"reset_at": error.reset_at}
    if error.kind == "quota" or error.code == _SPENT:
        details.append({"@type": f"{_TYPE}QuotaFailure", "violations": [{"description": error.message}]})
    if error.retry_after is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{error.retry_after:g}s"})
    return details
