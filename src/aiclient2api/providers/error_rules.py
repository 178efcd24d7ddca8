"""The rows by which errors are told apart; the first one that fits decides. Each fact carries its source."""

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
    TooLargeHere,
    UpstreamError,
    UpstreamFailed,
)
from aiclient2api.verdicts import Scope


class Rule(Struct, frozen=True, kw_only=True):
    """One row: everything that is given must fit."""

    outcome: type[UpstreamError]
    protocols: frozenset[str] = frozenset()
    """Only errors that came in one of these; empty for all."""
    kinds: frozenset[ErrorKind] = frozenset()
    codes: frozenset[str] = frozenset()
    """Any of the provider's machine-readable words, in `type` or `code`."""
    status: int | None = None
    prose: re.Pattern[str] | None = None
    details: re.Pattern[bytes] | None = None
    scope: Scope | None = None
    """Whose trouble it is, where that is not what the class says."""
    cool: float | None = None
    """Seconds to wait where the upstream gives none."""

    def fits(self, error: ErrorInfo) -> bool:
        """Whether this row is about this error."""
        return (
            (not self.protocols or error.protocol in self.protocols)
            and (not self.kinds or error.kind in self.kinds)
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

_GEMINI: Final = frozenset(("gemini",))
_ANTHROPIC: Final = frozenset(("anthropic",))

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
    Rule(outcome=QuotaExhausted, status=402),
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
    # Gemini: the id of a quota says whose it is, GenerateRequestsPerDayPerProjectPerModel-FreeTier
    Rule(
        outcome=QuotaExhausted,
        protocols=_GEMINI,
        kinds=_kinds("rate_limit", "quota"),
        details=re.compile(rb"PerDay\w*PerModel"),
        scope=Scope.ACCOUNT_MODEL,
    ),
    Rule(
        outcome=QuotaExhausted, kinds=_kinds("rate_limit"), details=re.compile(rb"spend_limit_reached|PerDay")
    ),
    # xAI says 403 when the credits of a team are used up (docs.x.ai, "Debugging errors"); others in words only
    Rule(
        outcome=QuotaExhausted,
        kinds=_kinds("permission", "rate_limit", "invalid"),
        prose=_words(
            r"used all available credits|monthly spending limit|insufficient (?:balance|credits|funds)"
        ),
    ),
    # --- the account itself, on hold or without access to its own encryption keys (Anthropic, errors)
    Rule(
        outcome=CredentialsRejected,
        protocols=_ANTHROPIC,
        details=re.compile(rb'"error_code"\s*:\s*"(?:organization_on_hold|cmek_)'),
    ),
    Rule(outcome=CredentialsRejected, codes=frozenset(("account_deactivated", "organization_deactivated"))),
    # Anthropic answers 400 when the organisation's own limit or credit is used up
    Rule(
        outcome=QuotaExhausted,
        kinds=_kinds("invalid"),
        prose=_words(r"credit balance is too low|reached your specified (?:workspace )?API usage limits"),
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
    # DeploymentNotFound: Azure's word
    Rule(
        outcome=ModelMissing,
        codes=frozenset(("model_not_found", "model_not_available", "DeploymentNotFound")),
    ),
    Rule(outcome=ModelMissing, kinds=_kinds("not_found"), prose=_words(r"\bmodels?\b|no endpoints found")),
    Rule(outcome=ModelMissing, kinds=_kinds("invalid"), prose=_NO_SUCH_MODEL),
    # --- too fast, too full
    # one request that is larger than the tokens a minute of this account: another one may have a higher limit
    Rule(
        outcome=TooLargeHere,
        kinds=_kinds("rate_limit", "too_large"),
        prose=_words(r"request too large for .{0,200}\b(?:tpm|tokens per min)"),
    ),
    # the model has no room, whoever asks: Mistral's service tiers, TGI's "Model is overloaded"
    Rule(
        outcome=Overloaded,
        kinds=_kinds("rate_limit"),
        prose=_words(r"capacity exceeded|model is (?:currently )?overloaded|overloaded_error"),
    ),
    Rule(
        outcome=RateLimited,
        codes=frozenset(("slow_down", "ramp_limit_exceeded")),
        scope=Scope.ACCOUNT,
        cool=10.0,
    ),
    Rule(outcome=RateLimited, kinds=_kinds("rate_limit")),
    Rule(outcome=Overloaded, kinds=_kinds("overloaded", "unavailable")),
    Rule(outcome=Overloaded, status=503),
    Rule(outcome=Overloaded, status=529),
    # --- broken
    Rule(outcome=TimedOut, kinds=_kinds("timeout", "client_timeout")),
    Rule(outcome=UpstreamFailed, kinds=_kinds("internal", "upstream", "cancelled")),
]

CALLERS: Final = frozenset((400, 404, 405, 406, 409, 410, 411, 413, 414, 415, 416, 422, 428, 431, 501))
"""What HTTP means by these is a mistake of the request, whatever the body says."""
