"""Error answers in each provider's own form: (status, headers, body) by kind and protocol.

Sources: platform.openai.com/docs/guides/error-codes, docs.anthropic.com/en/api/errors and /rate-limits,
ai.google.dev/gemini-api/docs/troubleshooting and /rate-limits, cloud.google.com/apis/design/errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from tests.faults.voices import CHAT, GEMINI, MESSAGES, PROTOCOLS, RESPONSES

CALLERS_WORDS: Final = "messages.0: that will not do"
CANARY: Final = "canary-upstream-secret"
"""Part of every upstream key: it must be in nothing that a client, a log or a metric shows."""


class Refusal(NamedTuple):
    """One error answer."""

    status: str
    body: bytes
    headers: tuple[str, ...] = ()


def _openai(status: str, message: str, type_: str, code: str | None) -> Refusal:
    named = f'"{code}"' if code else "null"
    return Refusal(
        status, f'{{"error":{{"message":"{message}","type":"{type_}","param":null,"code":{named}}}}}'.encode()
    )


def _anthropic(status: str, message: str, type_: str, details: str = "") -> Refusal:
    more = f',"details":{details}' if details else ""
    return Refusal(
        status,
        f'{{"type":"error","error":{{"type":"{type_}","message":"{message}"{more}}},"request_id":"req_1"}}'.encode(),
    )


def _google(status: str, message: str, name: str, details: str = "") -> Refusal:
    code = status.split()[0]
    more = f',"details":[{details}]' if details else ""
    return Refusal(
        status, f'{{"error":{{"code":{code},"message":"{message}","status":"{name}"{more}}}}}'.encode()
    )


def _same(make: Callable[[], tuple[Refusal, Refusal, Refusal]]) -> dict[str, Refusal]:
    """The two OpenAI protocols share their errors."""
    openai, anthropic, google = make()
    return {CHAT: openai, RESPONSES: openai, MESSAGES: anthropic, GEMINI: google}


_QUOTA: Final = (
    '{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":'
    '"GenerateRequestsPer%sPerProjectPerModel-FreeTier"}]}'
)

REFUSALS: Final[dict[str, dict[str, Refusal]]] = {
    "caller": _same(
        lambda: (
            _openai("400 Bad Request", CALLERS_WORDS, "invalid_request_error", None),
            _anthropic("400 Bad Request", CALLERS_WORDS, "invalid_request_error"),
            _google("400 Bad Request", CALLERS_WORDS, "INVALID_ARGUMENT"),
        )
    ),
    "too long": _same(
        lambda: (
            _openai(
                "400 Bad Request",
                "This model's maximum context length is 128000 tokens.",
                "invalid_request_error",
                "context_length_exceeded",
            ),
            _anthropic("400 Bad Request", "prompt is too long: 210000 tokens > 200000", "invalid_request_error"),
            _google(
                "400 Bad Request",
                "The input token count (1200000) exceeds the maximum number of tokens allowed (1048575).",
                "INVALID_ARGUMENT",
            ),
        )
    ),
    "bad key": _same(
        lambda: (
            _openai(
                "401 Unauthorized",
                f"Incorrect API key provided: {CANARY}.",
                "invalid_request_error",
                "invalid_api_key",
            ),
            _anthropic("401 Unauthorized", f"invalid x-api-key {CANARY}", "authentication_error"),
            _google(
                "400 Bad Request",
                "API key not valid. Please pass a valid API key.",
                "INVALID_ARGUMENT",
                '{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}',
            ),
        )
    ),
    "forbidden": _same(
        lambda: (
            _openai(
                "403 Forbidden",
                "Country, region, or territory not supported",
                "request_forbidden",
                "unsupported_country_region_territory",
            ),
            _anthropic("403 Forbidden", "Your organization has been disabled.", "permission_error"),
            _google("403 Forbidden", "Permission denied for this project.", "PERMISSION_DENIED"),
        )
    ),
    "money": _same(
        lambda: (
            _openai(
                "429 Too Many Requests",
                "You exceeded your current quota.",
                "insufficient_quota",
                "insufficient_quota",
            ),
            _anthropic("402 Payment Required", "There is an issue with your billing.", "billing_error"),
            _google(
                "429 Too Many Requests",
                "You exceeded your current quota.",
                "RESOURCE_EXHAUSTED",
                _QUOTA % "Day",
            ),
        )
    ),
    "spend limit": _same(
        lambda: (
            _openai(
                "429 Too Many Requests",
                "Your credit balance is exhausted.",
                "credit_balance_exhausted",
                "credit_balance_exhausted",
            ),
            _anthropic(
                "429 Too Many Requests",
                "Spend limit reached.",
                "rate_limit_error",
                '{"error_code":"enforced_spend_limit_reached"}',
            ),
            _google("400 Bad Request", "Please enable billing on this project.", "FAILED_PRECONDITION"),
        )
    ),
    "rate": _same(
        lambda: (
            _openai("429 Too Many Requests", "Rate limit reached.", "requests", "rate_limit_exceeded"),
            _anthropic("429 Too Many Requests", "Number of requests has exceeded your limit.", "rate_limit_error"),
            _google(
                "429 Too Many Requests",
                "Resource has been exhausted.",
                "RESOURCE_EXHAUSTED",
                _QUOTA % "Minute",
            ),
        )
    ),
    "slow down": _same(
        lambda: (
            _openai("429 Too Many Requests", "Slow down.", "requests", "slow_down"),
            _anthropic("529 ", "Overloaded", "overloaded_error"),
            _google("503 Service Unavailable", "The model is overloaded.", "UNAVAILABLE"),
        )
    ),
    "overloaded": _same(
        lambda: (
            _openai("503 Service Unavailable", "The engine is overloaded.", "server_error", "overloaded"),
            _anthropic("529 ", "Overloaded", "overloaded_error"),
            _google("503 Service Unavailable", "The model is overloaded.", "UNAVAILABLE"),
        )
    ),
    "model": _same(
        lambda: (
            _openai("404 Not Found", "The model does not exist.", "invalid_request_error", "model_not_found"),
            _anthropic("404 Not Found", "model: m", "not_found_error"),
            _google("404 Not Found", "models/m is not found for API version v1beta.", "NOT_FOUND"),
        )
    ),
    **{
        f"broken {status}": _same(
            lambda status=status: (
                _openai(f"{status} Broken", "The server had an error.", "server_error", None),
                _anthropic(f"{status} Broken", "Internal server error", "api_error"),
                _google(f"{status} Broken", "An internal error has occurred.", "INTERNAL"),
            )
        )
        for status in (500, 502, 504, 520, 521, 522, 523, 524, 525, 526)
    },
}  # fmt: skip

assert all(set(of) == set(PROTOCOLS) for of in REFUSALS.values())
