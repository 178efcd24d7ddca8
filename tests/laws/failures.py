"""Errors as the four APIs write them: status, body, headers (the design's `errors.tsv`)."""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.laws.native import AM, GG, OC, OR
from tests.laws.plain import Doc, dump
from tests.laws.words import Words


class Failed(NamedTuple):
    """One error answer."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...]


_OPENAI: Final = (
    (400, "invalid_request_error", None),
    (400, "invalid_request_error", "context_length_exceeded"),
    (400, "invalid_request_error", "content_policy_violation"),
    (401, "invalid_request_error", "invalid_api_key"),
    (403, "invalid_request_error", "permission"),
    (404, "invalid_request_error", "model_not_found"),
    (409, "conflict", None),
    (413, "invalid_request_error", None),
    (429, "requests", "rate_limit_exceeded"),
    (429, "insufficient_quota", "insufficient_quota"),
    (500, "server_error", None),
    (502, "server_error", "bad_gateway"),
    (503, "server_error", "overloaded"),
    (504, "timeout", None),
)
_ANTHROPIC: Final = (
    (400, "invalid_request_error"),
    (401, "authentication_error"),
    (402, "billing_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (409, "conflict_error"),
    (413, "request_too_large"),
    (429, "rate_limit_error"),
    (500, "api_error"),
    (504, "timeout_error"),
    (529, "overloaded_error"),
)
_GOOGLE: Final = (
    (400, "INVALID_ARGUMENT"),
    (401, "UNAUTHENTICATED"),
    (403, "PERMISSION_DENIED"),
    (404, "NOT_FOUND"),
    (409, "ABORTED"),
    (429, "RESOURCE_EXHAUSTED"),
    (499, "CANCELLED"),
    (500, "INTERNAL"),
    (501, "UNIMPLEMENTED"),
    (503, "UNAVAILABLE"),
    (504, "DEADLINE_EXCEEDED"),
)


def failed(protocol: str, words: Words) -> Failed:
    """An error answer of an upstream."""
    message, status = words.text(), 0
    error: Doc = {}
    if protocol in (OC, OR):
        status, kind, code = words.pick(_OPENAI)
        error = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    elif protocol == AM:
        status, kind = words.pick(_ANTHROPIC)
        error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    else:
        status, kind = words.pick(_GOOGLE)
        error = {"error": {"code": status, "message": message, "status": kind}}
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    if status in (429, 503, 529):
        wait = words.count(0, 90)
        headers = (*headers, ("retry-after", str(wait))) if wait else headers
    if protocol == GG and status == 429 and words.coin():
        info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{words.count(1, 40)}s"}
        error["error"]["details"] = [info]
    body: object = [error] if protocol == GG and words.coin() else error
    return Failed(status, dump(body), headers)
