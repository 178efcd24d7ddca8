"""How each provider words its errors: the texts clients match on, the JSON around them, the status that goes along."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import ClassVar

from aiclient2api.simulator.jsontext import Json, dump


class Refused(Exception):
    """The provider refuses the request."""

    def __init__(
        self, message: str, *, status: int = 400, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param


class Voice(ABC):
    """One provider's way of refusing. `at` is a msgspec path without the `$`, like `.messages[0].role`."""

    request_id_header: ClassVar[str]

    @abstractmethod
    def unknown_field(self, name: str, at: str) -> Refused:
        """A member the API does not have."""

    @abstractmethod
    def missing_field(self, name: str, at: str) -> Refused:
        """A member that must be there."""

    @abstractmethod
    def wrong_type(self, expected: str, got: str, at: str) -> Refused:
        """A member of the wrong JSON type."""

    @abstractmethod
    def wrong_value(self, value: str, at: str) -> Refused:
        """A word that is not in the list."""

    @abstractmethod
    def not_json(self, reason: str) -> Refused:
        """A body that is not JSON at all."""

    @abstractmethod
    def no_key(self, key: str) -> Refused:
        """No key, or one that is not known."""

    @abstractmethod
    def no_path(self, method: str, path: str) -> Refused:
        """A path or method the API does not have."""

    @abstractmethod
    def no_model(self, model: str) -> Refused:
        """A model the API does not have."""

    @abstractmethod
    def body(self, refused: Refused, request_id: str, retry_after: float | None = None) -> bytes:
        """The error as JSON."""

    @abstractmethod
    def event(self, refused: Refused, request_id: str) -> bytes:
        """The error inside a stream."""


_OPENAI_CODES = {
    401: "invalid_api_key",
    403: "permission_denied",
    429: "rate_limit_exceeded",
    503: "server_is_overloaded",
}
_OPENAI_NAMES = {
    "int": "an integer",
    "float": "a decimal",
    "str": "a string",
    "bool": "a boolean",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


class OpenAIVoice(Voice):
    """Chat Completions and Responses."""

    request_id_header = "x-request-id"

    def unknown_field(self, name: str, at: str) -> Refused:
        """`Unknown parameter: 'x'.`"""
        path = _dotted(f"{at}.{name}")
        return Refused(f"Unknown parameter: '{path}'.", code="unknown_parameter", param=path)

    def missing_field(self, name: str, at: str) -> Refused:
        """`Missing required parameter: 'x'.`"""
        path = _dotted(f"{at}.{name}")
        return Refused(
            f"Missing required parameter: '{path}'.", code="missing_required_parameter", param=path
        )

    def wrong_type(self, expected: str, got: str, at: str) -> Refused:
        """`Invalid type for 'x': expected a string, but got an integer instead.`"""
        kinds = [_OPENAI_NAMES[kind] for kind in expected.split(" | ") if kind in _OPENAI_NAMES]
        wanted = " or ".join(dict.fromkeys(kind for kind in kinds if kind != "null")) or expected
        path = _dotted(at)
        text = f"Invalid type for '{path}': expected {wanted}, but got {_OPENAI_NAMES.get(got, got)} instead."
        return Refused(text, code="invalid_type", param=path)

    def wrong_value(self, value: str, at: str) -> Refused:
        """`Invalid value: 'x'.`"""
        return Refused(f"Invalid value: {value}.", code="invalid_value", param=_dotted(at))

    def not_json(self, reason: str) -> Refused:
        """OpenAI's text for a body it cannot parse."""
        return Refused(
            f"We could not parse the JSON body of your request. ({reason}) The OpenAI API expects a JSON payload."
        )

    def no_key(self, key: str) -> Refused:
        """401 `invalid_api_key`."""
        if not key:
            text = (
                "You didn't provide an API key. You need to provide your API key in an Authorization header."
            )
        else:
            text = f"Incorrect API key provided: {key[:3]}***."
        return Refused(text, status=401, code="invalid_api_key")

    def no_path(self, method: str, path: str) -> Refused:
        """404 `Invalid URL`."""
        return Refused(f"Invalid URL ({method} {path})", status=404)

    def no_model(self, model: str) -> Refused:
        """404 `model_not_found`."""
        text = f"The model `{model}` does not exist or you do not have access to it."
        return Refused(text, status=404, code="model_not_found")

    def body(self, refused: Refused, request_id: str, retry_after: float | None = None) -> bytes:
        """`{"error": {message, type, param, code}}`."""
        return dump({"error": openai_error(refused)})

    def event(self, refused: Refused, request_id: str) -> bytes:
        """An unnamed event with the error object; no `[DONE]` follows."""
        return b"data: " + dump({"error": openai_error(refused)}) + b"\n\n"


def openai_error(refused: Refused) -> dict[str, Json]:
    """OpenAI's error object."""
    if refused.code == "insufficient_quota":
        kind = "insufficient_quota"
    elif refused.status == 429:
        kind = "requests"
    else:
        kind = "server_error" if refused.status >= 500 else "invalid_request_error"
    return {
        "message": refused.message,
        "type": kind,
        "param": refused.param,
        "code": refused.code or _OPENAI_CODES.get(refused.status),
    }


_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_ANTHROPIC_NAMES = {
    "int": "integer",
    "float": "number",
    "str": "string",
    "bool": "boolean",
    "array": "list",
    "object": "dictionary",
}


class AnthropicVoice(Voice):
    """Messages: pydantic's words with dotted paths."""

    request_id_header = "request-id"

    def unknown_field(self, name: str, at: str) -> Refused:
        """`x: Extra inputs are not permitted`"""
        return Refused(f"{_numbered(f'{at}.{name}')}: Extra inputs are not permitted")

    def missing_field(self, name: str, at: str) -> Refused:
        """`x: Field required`"""
        return Refused(f"{_numbered(f'{at}.{name}')}: Field required")

    def wrong_type(self, expected: str, got: str, at: str) -> Refused:
        """`x: Input should be a valid integer`"""
        kind = expected.split(" | ")[0]
        return Refused(f"{_numbered(at)}: Input should be a valid {_ANTHROPIC_NAMES.get(kind, kind)}")

    def wrong_value(self, value: str, at: str) -> Refused:
        """`x: Input tag 'y' found … does not match`"""
        return Refused(f"{_numbered(at)}: Input tag {value} found does not match any of the expected tags")

    def not_json(self, reason: str) -> Refused:
        """Anthropic's text for a body it cannot parse."""
        return Refused(f"The request body is not valid JSON: {reason}")

    def no_key(self, key: str) -> Refused:
        """401 `authentication_error`."""
        return Refused("invalid x-api-key" if key else "x-api-key header is required", status=401)

    def no_path(self, method: str, path: str) -> Refused:
        """404 `Not found`."""
        return Refused("Not found", status=404)

    def no_model(self, model: str) -> Refused:
        """404 `model: x`."""
        return Refused(f"model: {model}", status=404)

    def body(self, refused: Refused, request_id: str, retry_after: float | None = None) -> bytes:
        """`{"type": "error", "error": {type, message}, "request_id"}`."""
        error: dict[str, Json] = {
            "type": _ANTHROPIC_TYPES.get(
                refused.status, "invalid_request_error" if refused.status < 500 else "api_error"
            ),
            "message": refused.message,
        }
        if refused.code is not None:
            error["details"] = {"error_code": refused.code}
        return dump({"type": "error", "error": error, "request_id": request_id})

    def event(self, refused: Refused, request_id: str) -> bytes:
        """An `error` event."""
        return b"event: error\ndata: " + self.body(refused, request_id) + b"\n\n"


_GOOGLE_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_GOOGLE_NAMES = {"int": "TYPE_INT32", "float": "TYPE_DOUBLE", "str": "TYPE_STRING", "bool": "TYPE_BOOL"}


class GeminiVoice(Voice):
    """Gemini: google.rpc.Status."""

    request_id_header = "x-request-id"

    def unknown_field(self, name: str, at: str) -> Refused:
        """`Invalid JSON payload received. Unknown name "x": Cannot find field.`"""
        where = f" at '{_dotted(at)}'" if at else ""
        return Refused(f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.')

    def missing_field(self, name: str, at: str) -> Refused:
        """`* GenerateContentRequest.x: x is not specified`"""
        path = _dotted(f"{at}.{name}")
        return Refused(f"* GenerateContentRequest.{path}: {name} is not specified\n")

    def wrong_type(self, expected: str, got: str, at: str) -> Refused:
        """`Invalid value at 'x' (TYPE_INT32)`"""
        kind = _GOOGLE_NAMES.get(expected.split(" | ")[0])
        detail = f"({kind}), {got}" if kind else f"(expected {expected}, got {got})"
        return Refused(f"Invalid value at '{_dotted(at)}' {detail}")

    def wrong_value(self, value: str, at: str) -> Refused:
        """`Invalid value at 'x' (TYPE_ENUM), "y"`"""
        return Refused(f"Invalid value at '{_dotted(at)}' (TYPE_ENUM), \"{value.strip(chr(39))}\"")

    def not_json(self, reason: str) -> Refused:
        """Google's text for a body it cannot parse."""
        return Refused(f"Invalid JSON payload received. {reason}")

    def no_key(self, key: str) -> Refused:
        """400 with the reason `API_KEY_INVALID`: Gemini does not use 401 for keys."""
        return Refused("API key not valid. Please pass a valid API key.", code="API_KEY_INVALID")

    def no_path(self, method: str, path: str) -> Refused:
        """404 `Requested entity was not found.`"""
        return Refused("Requested entity was not found.", status=404)

    def no_model(self, model: str) -> Refused:
        """404 `models/x is not found`."""
        text = f"models/{model} is not found for API version v1beta, or is not supported for generateContent."
        return Refused(text, status=404)

    def body(self, refused: Refused, request_id: str, retry_after: float | None = None) -> bytes:
        """`{"error": {code, message, status, details}}`."""
        error: dict[str, Json] = {
            "code": refused.status,
            "message": refused.message,
            "status": _GOOGLE_STATUSES.get(
                refused.status, "INVALID_ARGUMENT" if refused.status < 500 else "UNAVAILABLE"
            ),
        }
        details: list[Json] = []
        if refused.code is not None:
            info: dict[str, Json] = {"reason": refused.code, "domain": "googleapis.com"}
            details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", **info})
        if retry_after is not None:
            info = {"retryDelay": f"{retry_after:g}s"}
            details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", **info})
        if details:
            error["details"] = details
        return dump({"error": error})

    def event(self, refused: Refused, request_id: str) -> bytes:
        """An event with the error object."""
        return b"data: " + self.body(refused, request_id) + b"\r\n\r\n"


def _dotted(at: str) -> str:
    """`.messages[0].role` → `messages[0].role`."""
    return at.removeprefix(".")


def _numbered(at: str) -> str:
    """`.messages[0].role` → `messages.0.role`."""
    return re.sub(r"\[(\d+)\]", r".\1", at).removeprefix(".")
