"""Whose fault an upstream's error answer is: the first row of the table that fits decides.

Converters have already read the body into an ErrorInfo, so a row looks at its kind and at the provider's own
codes; the prose only where a provider gives nothing else. A caller's mistake keeps the upstream's own words,
because clients act on them, without what looks like a key; an account's fault is told in ours, because it is
none of the client's business.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from aiclient2api.errors import (
    CredentialsRejected,
    ErrorInfo,
    ModelMissing,
    Overloaded,
    PermissionRefused,
    QuotaExhausted,
    RateLimited,
    Rejected,
    TimedOut,
    TooLargeHere,
    Unexplained,
    UpstreamError,
    UpstreamFailed,
)
from aiclient2api.providers.error_rules import CALLERS, RULES

_OURS: Final[dict[type[UpstreamError], str]] = {
    ModelMissing: "the model asked for is not available",
    TooLargeHere: "the request is larger than the upstream account's limit of tokens a minute",
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
            raised = _raised(rule.outcome, error, rule.cool)
            if rule.scope is not None:
                raised.scope = rule.scope
            return raised
    status = error.status
    if status is None or status in CALLERS:
        return _raised(Rejected, error, None)
    return _raised(UpstreamFailed if status >= 500 else Unexplained, error, None)


def _raised(outcome: type[UpstreamError], error: ErrorInfo, cool: float | None) -> UpstreamError:
    wait = cool if error.retry_after is None else error.retry_after
    ours = _OURS.get(outcome)
    if ours is not None:
        return outcome(ours, retry_after=wait)
    kind = error.kind if outcome in (Rejected, Unexplained) else outcome.kind
    message = _SECRET.sub(r"\1…", error.message)
    return outcome(info=msgspec.structs.replace(error, kind=kind, message=message))
