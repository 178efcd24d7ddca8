"""Errors inside a Responses stream or answer: the `error` event, and `response.error` of a failed response."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw

from aiclient2api.errors import ErrorInfo, ErrorKind
from aiclient2api.protocols.openai_errors import decode_error_object
from aiclient2api.protocols.openai_responses.schema import FAMILY, NAME

_KINDS: Final[dict[str, ErrorKind]] = {
    "server_error": "upstream",
    "rate_limit_exceeded": "rate_limit",
    "invalid_prompt": "content_policy",
    "data_residency_mismatch": "invalid",
    "bio_policy": "content_policy",
    "misalignment_policy_violation": "content_policy",
    "vector_store_timeout": "timeout",
    "invalid_image": "invalid",
    "invalid_image_format": "invalid",
    "invalid_base64_image": "invalid",
    "invalid_image_url": "invalid",
    "image_too_large": "invalid",
    "image_too_small": "invalid",
    "image_parse_error": "invalid",
    "image_content_policy_violation": "content_policy",
    "invalid_image_mode": "invalid",
    "image_file_too_large": "invalid",
    "unsupported_image_media_type": "invalid",
    "empty_image_file": "invalid",
    "failed_to_download_image": "invalid",
    "image_file_not_found": "invalid",
}
"""Every `response.error.code`; the SDK's types know no other."""

_RATE_LIMITS: Final[frozenset[ErrorKind]] = frozenset(("rate_limit", "quota", "billing"))


def decode_failure(error: bytes | Raw) -> ErrorInfo:
    """The error of a `response.failed` or `error` event; never raises."""
    info = decode_error_object(error, NAME)
    kind = _KINDS.get(info.code or "")
    return info if kind is None else msgspec.structs.replace(info, kind=kind)


def response_error(info: ErrorInfo) -> dict[str, object]:
    """The `error` member of a failed response."""
    code = "server_error"
    if info.protocol in FAMILY and info.code in _KINDS:
        code = info.code
    elif info.kind in _RATE_LIMITS:
        code = "rate_limit_exceeded"
    elif info.kind in ("content_policy", "invalid", "context_length"):
        code = "invalid_prompt"
    return {"code": code, "message": info.message}
