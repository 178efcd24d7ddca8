"""The whole error tree.

    GatewayError                      carries an ErrorInfo: what a client may be told
    ├── ClientError                   the client's fault: never fails over, never touches health
    │   ├── BadRequest · Unauthenticated · Forbidden · UnknownModel · NotFound · MethodNotAllowed
    │   ├── TooLarge · ClientTimeout
    │   ├── Unrepresentable           the target protocol cannot express this content (400)
    │   └── OverLimit · Busy          the client key's limits; our own concurrency limit
    ├── UpstreamError                 failover         penalty
    │   ├── Rejected                  never            none       the upstream refused the request itself
    │   ├── Unexplained               never            none       an unknown 4xx; an account's, if others serve the like
    │   ├── ContextTooLong            never            none       a `context_fallback` may reroute it
    │   ├── ContentBlocked            never            none       safety filter
    │   ├── ModelMissing              next account     none       this account does not have the model
    │   ├── TooLargeHere              next account     none       larger than this account's tokens a minute
    │   ├── CredentialsRejected       next account     disable    401
    │   ├── PermissionRefused         next account     cool       403 that is not about the request
    │   ├── QuotaExhausted            next account     cool       402, spent quota
    │   ├── RateLimited               next account     cool       429 with or without Retry-After
    │   ├── Overloaded                next account     cool       503, 529: the provider's model, not the account
    │   ├── Unreachable               next account     strike     the host, not the account
    │   │   └── ConnectTimedOut       nobody answered in time (504)
    │   ├── UpstreamFailed · TimedOut · Malformed · Truncated · EmptyAnswer   next account   strike
    │   ├── Incomplete                never            none       cut by the client's own limit inside a tool call
    │   └── Saturated                 next account     none       our own connections are all in use
    ├── NoCapacity · StatefulAccountUnavailable   nobody may be used; the one that holds the conversation is out
    └── ShuttingDown                  the drain time is over

    ConfigError                       start-up only; lists every problem with its key path
    MalformedMessage                  raised by converters; the side that fed the bytes names the culprit

The class answers every question (`failover`, `penalty`, `scope`): no loop holds a table of status codes.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

import msgspec

from aiclient2api.verdicts import ErrorKind as ErrorKind
from aiclient2api.verdicts import Failover, Penalty, Scope

_WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class ErrorInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One error as a value: decoded from an upstream's body, or made here, then encoded for the client.

    `type`, `code`, `param` and `details` are the source protocol's own members; an encoder of the same protocol
    family writes them back, others derive theirs from `kind`. `status` is the HTTP status it arrived with.
    `retry_after` is in seconds. `message` is safe to show: no secret, no account name, no upstream address; an
    upstream's own words are so once `Provider.classify` has seen them.
    """

    kind: ErrorKind
    message: str
    status: int | None = None
    type: str | None = None
    code: str | None = None
    param: str | None = None
    details: msgspec.Raw | None = None
    retry_after: float | None = None
    request_id: str | None = None
    protocol: str | None = None
    """The protocol it was decoded from; None for an error of our own."""
    should_retry: bool | None = None  # whether the client's SDK is to try again; None: as its kind says
    reset_at: str | None = None  # when it will pass, RFC 3339, where that is too late to wait for

    @property
    def label(self) -> str:
        """One word for logs and metrics. An upstream may write anything into `code`, so it has to be a word."""
        return self.code if self.code and _WORD.fullmatch(self.code) else self.kind


class MalformedMessage(Exception):
    """Bytes that are not a valid message of their protocol; `path` points at the offending member."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.message = message
        self.path = path


class GatewayError(Exception):
    """Anything a client is told about. `info` is what it is told."""

    kind: ClassVar[ErrorKind] = "internal"
    code: ClassVar[str | None] = None

    def __init__(
        self, message: str = "", *, info: ErrorInfo | None = None, retry_after: float | None = None
    ) -> None:
        self.info = info or ErrorInfo(
            kind=self.kind, code=self.code, message=message, retry_after=retry_after
        )
        super().__init__(self.info.message)


class ClientError(GatewayError):
    """The client's own mistake: answered at once, no other account is tried."""

    kind = "invalid"


class BadRequest(ClientError):
    """The request is not what its protocol asks for (400)."""


class Unauthenticated(ClientError):
    """No client key, or one we do not know (401)."""

    kind = "auth"
    code = "invalid_api_key"


class Forbidden(ClientError):
    """A known client key that may not do this (403)."""

    kind = "permission"
    code = "permission_denied"


class NotFound(ClientError):
    """No such path here (404)."""

    kind = "not_found"
    code = "not_found"


class MethodNotAllowed(ClientError):
    """The path exists, the method does not (405)."""

    kind = "method"
    code = "method_not_allowed"


class UnknownModel(ClientError):
    """The model name leads to no target, or to several without an order (404)."""

    kind = "not_found"
    code = "model_not_found"


class TooLarge(ClientError):
    """The body is over the limit (413)."""

    kind = "too_large"
    code = "request_too_large"


class ClientTimeout(ClientError):
    """The client was too slow to send its request (408)."""

    kind = "client_timeout"
    code = "request_timeout"


class Unrepresentable(ClientError):
    """The target protocol cannot express this content (400). `path` is the IR's, until the caller's own is known."""

    code = "unsupported_content"

    def __init__(self, message: str = "", path: str = "", *, info: ErrorInfo | None = None) -> None:
        super().__init__(f"{path}: {message}" if path else message, info=info)
        self.reason = message
        self.path = path


class OverLimit(ClientError):
    """The client key may not use more at the moment (429)."""

    kind = "rate_limit"
    code = "rate_limit_exceeded"


class Busy(ClientError):
    """Our own concurrency limit (overloaded: 503, Messages 529)."""

    kind = "overloaded"
    code = "overloaded"


class UpstreamError(GatewayError):
    """An upstream did not deliver an answer."""

    kind = "upstream"
    code = "upstream_error"
    failover: ClassVar[Failover] = Failover.NEXT_ACCOUNT
    penalty: ClassVar[Penalty] = Penalty.STRIKE
    scope: Scope = Scope.ACCOUNT  # or what the row of the classification says
    sent: bool = True
    """Whether the upstream had the whole request: it may have worked on it, and may bill it."""
    cause: str = ""  # what broke, in a word or two for the log: `status=502`, `connect`, `dns`, `tls`, `cut`

    def __init__(
        self,
        message: str = "",
        *,
        info: ErrorInfo | None = None,
        retry_after: float | None = None,
        sent: bool | None = None,
        cause: str | None = None,
    ) -> None:
        super().__init__(message, info=info, retry_after=retry_after)
        self.sent = self.sent if sent is None else sent
        self.cause = self.cause if cause is None else cause

    @property
    def is_safe(self) -> bool:
        """Whether the upstream said no, or never got the request: nothing was billed."""
        return self.penalty is not Penalty.STRIKE or not self.sent


class Rejected(UpstreamError):
    """The upstream refused the request itself: the client's mistake, told in the upstream's own words."""

    kind = "invalid"
    failover = Failover.NEVER
    penalty = Penalty.NONE
    scope = Scope.REQUEST


class ContextTooLong(Rejected):
    """Too many tokens for this model."""

    kind = "context_length"


class Unexplained(Rejected):
    """A 4xx that no row knows: the client's mistake, unless another account has just served the like of it."""


class ContentBlocked(Rejected):
    """The upstream's content policy refused the request."""

    kind = "content_policy"


class ModelMissing(UpstreamError):
    """This account does not have the model: another one of the pool may."""

    kind = "not_found"
    code = "model_not_found"
    penalty = Penalty.NONE
    scope = Scope.REQUEST


class TooLargeHere(UpstreamError):
    """One request is more than this account may send in a minute: another one may."""

    kind = "too_large"
    code = "request_too_large"
    penalty = Penalty.NONE
    scope = Scope.REQUEST


class CredentialsRejected(UpstreamError):
    """The account's credential is refused: the operator's problem, never the client's 401."""

    kind = "unavailable"
    code = "upstream_auth"
    penalty = Penalty.DISABLE


class PermissionRefused(UpstreamError):
    """The account may not do this. One verdict does not disable it: the request may be what was refused."""

    kind = "unavailable"
    code = "upstream_auth"
    penalty = Penalty.COOL


class QuotaExhausted(UpstreamError):
    """The account's money or quota is spent."""

    kind = "rate_limit"
    code = "insufficient_quota"
    penalty = Penalty.COOL


class RateLimited(UpstreamError):
    """The account is asked to slow down."""

    kind = "rate_limit"
    code = "rate_limit_exceeded"
    penalty = Penalty.COOL
    scope = Scope.ACCOUNT_MODEL


class Overloaded(UpstreamError):
    """The provider has no capacity at the moment."""

    kind = "overloaded"
    code = "overloaded"
    penalty = Penalty.COOL
    scope = Scope.PROVIDER_MODEL


class UpstreamFailed(UpstreamError):
    """The upstream answered with a failure of its own (5xx)."""


class TimedOut(UpstreamError):
    """The upstream was silent for too long."""

    kind = "timeout"
    code = "upstream_timeout"


class Unreachable(UpstreamError):
    """No connection to the upstream: DNS, refused, TLS, connect time-out."""

    sent = False
    scope = Scope.HOST
    cause = "connect"


class ConnectTimedOut(Unreachable):
    """The same, because nobody answered in time."""

    kind = "timeout"
    code = "upstream_timeout"


class Malformed(UpstreamError):
    """The upstream broke its own protocol."""

    cause = "protocol"


class Truncated(UpstreamError):
    """The upstream's answer ended without its terminal event."""

    cause = "cut"
    code = "upstream_truncated"


TRUNCATED: Final = Truncated("the upstream's answer ended before it was complete").info  # as decoders say it


class Incomplete(UpstreamError):
    """The answer stopped at a limit in the middle of a tool call, which the client's protocol cannot carry."""

    code = "incomplete_answer"
    failover = Failover.NEVER
    penalty = Penalty.NONE


class Saturated(UpstreamError):
    """All of our own connections to the provider are in use."""

    kind = "overloaded"
    code = "overloaded"
    penalty = Penalty.NONE
    sent = False
    scope = Scope.GATEWAY


class EmptyAnswer(UpstreamError):
    """A success without any content."""

    code = "empty_answer"


class ShuttingDown(GatewayError):
    """We are stopping and the drain time is over."""

    kind = "unavailable"
    code = "server_shutting_down"


class StatefulAccountUnavailable(GatewayError):
    """The one account that holds the conversation's state is out; another one could not continue it."""

    kind = "unavailable"
    code = "stateful_account_unavailable"


class NoCapacity(GatewayError):
    """Every candidate failed or none may be used; `failures` has one error per attempt, oldest first."""

    kind = "unavailable"
    code = "no_account_available"

    def __init__(
        self, message: str = "", *, info: ErrorInfo | None = None, failures: tuple[UpstreamError, ...] = ()
    ) -> None:
        super().__init__(message, info=info)
        self.failures = failures


class ConfigError(Exception):
    """The configuration cannot be used; `problems` lists every mistake with its key path."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
