from __future__ import annotations

import pytest

from aiclient2api import errors
from aiclient2api.errors import ErrorInfo, GatewayError, MalformedMessage, NoCapacity
from aiclient2api.verdicts import Failover, Penalty


@pytest.mark.parametrize(
    ("error", "failover", "penalty"),
    [
        (errors.Rejected, Failover.NEVER, Penalty.NONE),
        (errors.ContextTooLong, Failover.NEVER, Penalty.NONE),
        (errors.ContentBlocked, Failover.NEVER, Penalty.NONE),
        (errors.ModelMissing, Failover.NEXT_ACCOUNT, Penalty.NONE),
        (errors.CredentialsRejected, Failover.NEXT_ACCOUNT, Penalty.DISABLE),
        (errors.PermissionRefused, Failover.NEXT_ACCOUNT, Penalty.COOL),
        (errors.QuotaExhausted, Failover.NEXT_ACCOUNT, Penalty.COOL),
        (errors.RateLimited, Failover.NEXT_ACCOUNT, Penalty.COOL),
        (errors.Overloaded, Failover.NEXT_ACCOUNT, Penalty.COOL),
        (errors.UpstreamFailed, Failover.NEXT_ACCOUNT, Penalty.STRIKE),
        (errors.TimedOut, Failover.NEXT_ACCOUNT, Penalty.STRIKE),
        (errors.Unreachable, Failover.NEXT_ACCOUNT, Penalty.STRIKE),
        (errors.Malformed, Failover.NEXT_ACCOUNT, Penalty.STRIKE),
        (errors.Truncated, Failover.NEXT_ACCOUNT, Penalty.STRIKE),
        (errors.EmptyAnswer, Failover.NEXT_ACCOUNT, Penalty.STRIKE),
    ],
)
def test_the_class_of_an_upstream_error_says_what_follows(
    error: type[errors.UpstreamError], failover: Failover, penalty: Penalty
) -> None:
    assert (error.failover, error.penalty) == (failover, penalty)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (errors.BadRequest("no"), "invalid", None),
        (errors.Unauthenticated("no"), "auth", "invalid_api_key"),
        (errors.Forbidden("no"), "permission", "permission_denied"),
        (errors.NotFound("no"), "not_found", "not_found"),
        (errors.MethodNotAllowed("no"), "method", "method_not_allowed"),
        (errors.UnknownModel("no"), "not_found", "model_not_found"),
        (errors.TooLarge("no"), "too_large", "request_too_large"),
        (errors.ClientTimeout("no"), "client_timeout", "request_timeout"),
        (errors.Unrepresentable("no"), "invalid", "unsupported_content"),
        (errors.Busy("no"), "overloaded", "overloaded"),
        (errors.CredentialsRejected("no"), "unavailable", "upstream_auth"),
        (errors.ConnectTimedOut("no"), "timeout", "upstream_timeout"),
        (errors.TimedOut("no"), "timeout", "upstream_timeout"),
        (errors.Truncated("no"), "upstream", "upstream_truncated"),
        (errors.ShuttingDown("no"), "unavailable", "server_shutting_down"),
        (errors.NoCapacity("no"), "unavailable", "no_account_available"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, GatewayError) else "",
)
def test_an_error_of_ours_has_its_kind_and_code(error: GatewayError, kind: str, code: str | None) -> None:
    assert (error.info.kind, error.info.code, error.info.message) == (kind, code, "no")
    assert error.info.protocol is None
    assert str(error) == "no"


def test_an_upstreams_own_words_replace_ours() -> None:
    info = ErrorInfo(kind="invalid", message="max_tokens: too large", status=400, protocol="anthropic")

    error = errors.Rejected("unused", info=info)

    assert error.info is info
    assert str(error) == "max_tokens: too large"


def test_a_wait_is_told() -> None:
    assert errors.Busy("full", retry_after=2.0).info.retry_after == 2.0


def test_no_capacity_remembers_every_failure() -> None:
    first, second = errors.RateLimited("slow down"), errors.UpstreamFailed("boom")

    error = NoCapacity("nobody left", failures=(first, second))

    assert error.failures == (first, second)


@pytest.mark.parametrize(("path", "text"), [("", "is required"), ("model", "model: is required")])
def test_a_malformed_message_names_the_place(path: str, text: str) -> None:
    error = MalformedMessage("is required", path)

    assert str(error) == text
    assert (error.message, error.path) == ("is required", path)


def test_a_configuration_error_lists_every_problem() -> None:
    error = errors.ConfigError(["server.port: must be a number", "keys: is empty"])

    assert error.problems == ["server.port: must be a number", "keys: is empty"]
    assert str(error) == "server.port: must be a number\nkeys: is empty"


def test_the_docstring_draws_every_class() -> None:
    drawn = errors.__doc__ or ""
    classes = [value for value in vars(errors).values() if isinstance(value, type)]

    missing = [
        one.__name__ for one in classes if issubclass(one, Exception) and one.__name__ not in drawn.split()
    ]

    assert missing == []
