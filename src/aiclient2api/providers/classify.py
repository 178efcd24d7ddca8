"""Whose fault an upstream's error answer is, as a table: the first row that fits decides.

Converters have already read the body into an ErrorInfo, so a row looks at its kind and at the provider's own
codes; the prose only where a provider gives nothing else. A caller's mistake keeps the upstream's own words,
because clients act on them, without what looks like a key; an account's fault is told in ours, because it is
none of the client's business.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

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
    UpstreamError,
    UpstreamFailed,
)


class Rule(Struct, frozen=True, kw_only=True):
    """One row: everything that is given must fit."""

    outcome: type[UpstreamError]
    kinds: frozenset[ErrorKind] = frozenset()
    codes: frozenset[str] = frozenset()
    """Any of the provider's machine-readable words, in `type` or `code`."""
    status: int | None = None
    prose: re.Pattern[str] | None = None
    details: re.Pattern[bytes] | None = None
    cool: float | None = None
    """Seconds to wait where the upstream gives none."""

    def fits(self, error: ErrorInfo) -> bool:
        """Whether this row is about this error."""
        return (
            (not self.kinds or error.kind in self.kinds)
            and (not self.codes or error.code in self.codes or error.type in self.codes)
            and (self.status is None or error.status == self.status)
            and (self.prose is None or self.prose.search(error.message[:_PROSE]) is not None)
            and (self.details is None or self.details.search(_head(error.details)) is not None)
        )


_PROSE: Final = 8192
"""Characters of a message that are looked at; whatever matters stands at the beginning."""


def _head(details: msgspec.Raw | None) -> bytes:
    return b"" if details is None else bytes(details)[:_PROSE]


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _kinds(*kinds: ErrorKind) -> frozenset[ErrorKind]:
    return frozenset(kinds)


_TOO_LONG: Final = _words(
    r"prompt is too long|maximum context length|context length exceeded|too many (?:input )?tokens|"
    r"exceeds? (?:the |this model's )?context (?:window|length|size)|available context size|"
    r"input token count .{0,40}exceeds"
)
_NO_SUCH_MODEL: Final = _words(
    r"\bmodels? not exist|\binvalid model(?: id|:| name)|\bmodels?\b.{0,120}(?:does not exist|not found)|"
    r"\bunknown model\b|is not a valid model"
)
# only how a message begins: further on it may quote the client
_BAD_KEY: Final = _words(r"^(?:incorrect|invalid) api key\b|^api key (?:not valid|expired)\b")
_NAMED_RESOURCE: Final = _words(
    r"permission to access the file\b|\bcached ?content not found|\bspecified resource\b"
)

RULES: Final[Sequence[Rule]] = [
    # --- the request itself
    Rule(outcome=ContextTooLong, kinds=_kinds("context_length")),
    Rule(
        outcome=ContextTooLong, kinds=_kinds("invalid", "too_large", "internal", "upstream"), prose=_TOO_LONG
    ),
    Rule(outcome=ContentBlocked, kinds=_kinds("content_policy")),
    # OpenRouter answers 403 for input that its moderation flagged (openrouter.ai/docs/api-reference/errors)
    Rule(
        outcome=ContentBlocked, kinds=_kinds("permission"), prose=_words(r"requires moderation|was flagged")
    ),
    # --- the account's money: also said with 400 and 429, so before the kinds
    Rule(
        outcome=QuotaExhausted,
        codes=frozenset(
            (
                "insufficient_quota",
                "credit_balance_exhausted",
                "billing_hard_limit_reached",
                "billing_not_active",
                "usage_limit_reached",
                "enforced_spend_limit_reached",
                "contract_spend_limit_reached",
                "billing_error",
            )
        ),
    ),
    Rule(
        outcome=QuotaExhausted, kinds=_kinds("rate_limit"), details=re.compile(rb"spend_limit_reached|PerDay")
    ),
    # Anthropic answers 400 when the organisation's own limit or credit is used up
    Rule(
        outcome=QuotaExhausted,
        kinds=_kinds("invalid"),
        prose=_words(r"credit balance is too low|reached your specified API usage limits"),
    ),
    # Gemini's FAILED_PRECONDITION is the account's country or billing, or else a file that is not ready
    Rule(
        outcome=CredentialsRejected,
        codes=frozenset(("FAILED_PRECONDITION",)),
        prose=_words(r"location|country|region|billing|free tier"),
    ),
    Rule(outcome=Rejected, codes=frozenset(("FAILED_PRECONDITION",))),
    Rule(outcome=QuotaExhausted, kinds=_kinds("quota", "billing")),
    # --- the account's key
    Rule(outcome=CredentialsRejected, codes=frozenset(("API_KEY_INVALID", "invalid_api_key"))),
    # the details may also quote the client, but never with bare quotation marks
    Rule(outcome=CredentialsRejected, details=re.compile(rb'"reason"\s*:\s*"API_KEY_INVALID"')),
    # xAI answers 400 for a wrong key
    Rule(outcome=CredentialsRejected, kinds=_kinds("invalid"), prose=_BAD_KEY),
    Rule(outcome=CredentialsRejected, kinds=_kinds("auth")),
    # --- what the account may do; Gemini says 403 for a file or cache that does not exist, too
    Rule(outcome=Rejected, kinds=_kinds("permission"), prose=_NAMED_RESOURCE),
    Rule(outcome=PermissionRefused, kinds=_kinds("permission")),
    # --- the model
    Rule(outcome=ModelMissing, codes=frozenset(("model_not_found", "model_not_available"))),
    Rule(outcome=ModelMissing, kinds=_kinds("not_found"), prose=_words(r"\bmodels?\b|no endpoints found")),
    Rule(outcome=ModelMissing, kinds=_kinds("invalid"), prose=_NO_SUCH_MODEL),
    # --- too fast, too full
    Rule(outcome=RateLimited, codes=frozenset(("slow_down", "ramp_limit_exceeded")), cool=10.0),
    Rule(outcome=RateLimited, kinds=_kinds("rate_limit")),
    Rule(outcome=Overloaded, kinds=_kinds("overloaded", "unavailable")),
    Rule(outcome=Overloaded, status=503),
    Rule(outcome=Overloaded, status=529),
    # --- broken
    Rule(outcome=TimedOut, kinds=_kinds("timeout", "client_timeout")),
    Rule(outcome=UpstreamFailed, kinds=_kinds("internal", "upstream", "cancelled")),
]

_OURS: Final[dict[type[UpstreamError], str]] = {
    ModelMissing: "the model asked for is not available",
    CredentialsRejected: "the upstream refused this gateway's credentials",
    PermissionRefused: "the upstream does not permit this to the gateway's account",
    QuotaExhausted: "the upstream account's quota is used up",
    RateLimited: "the upstream asks to slow down",
    Overloaded: "the upstream is overloaded",
    TimedOut: "the upstream took too long",
    UpstreamFailed: "the upstream failed",
}

_SECRET: Final = re.compile(
    r"(?<![A-Za-z0-9])((?:sk|rk|key|xai)-|gsk_|AIza|AQ\.|ya29\.|(?i:Bearer)\s(?=[\w.-]{16}))"
    r"[\w*-]{6,}(?:\.[\w-]+)*",
    re.ASCII,
)
"""A provider's key, whole or with asterisks, or a bearer token; the group is what may stay."""


def classify(error: ErrorInfo) -> UpstreamError:
    """Whose fault this is. An unknown 4xx is the caller's mistake, an unknown 5xx the upstream's failure."""
    for rule in RULES:
        if rule.fits(error):
            return _raised(rule.outcome, error, rule.cool)
    broken = error.status is not None and error.status >= 500 and error.kind != "unimplemented"
    return _raised(UpstreamFailed if broken else Rejected, error, None)


def _raised(outcome: type[UpstreamError], error: ErrorInfo, cool: float | None) -> UpstreamError:
    wait = cool if error.retry_after is None else error.retry_after
    ours = _OURS.get(outcome)
    if ours is not None:
        return outcome(ours, retry_after=wait)
    kind = error.kind if outcome is Rejected else outcome.kind
    message = _SECRET.sub(r"\1…", error.message)
    return outcome(info=msgspec.structs.replace(error, kind=kind, message=message))
