from __future__ import annotations

import time

import pytest

from aiclient2api.accounts.circuit import CircuitState
from aiclient2api.accounts.health import AccountState, Status
from aiclient2api.errors import (
    Busy,
    CredentialsRejected,
    GatewayError,
    ModelMissing,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
    UpstreamFailed,
)
from aiclient2api.gateway.exhaustion import Facts, after_failures, all_out
from aiclient2api.gateway.failover import any_account
from aiclient2api.protocols.registry import converters
from tests.fakes.journeys import Rig

NOW = 1000.0


def facts(rig: Rig) -> Facts:
    return Facts(rig.targets, rig.pools, any_account, lambda: 1_792_000_000.0)


def told(*states: AccountState | None, model: AccountState | None = None) -> GatewayError:
    """What is told when these are the states of a pool's accounts."""
    rig = Rig(len(states))
    for one, state in zip(rig.pools["pool0"].accounts, states, strict=True):
        if state is not None:
            one.state = state
        if model is not None:
            one.adopt(model, "m")
    return all_out(facts(rig))


def out(status: Status, wait: float, reason: str) -> AccountState:
    return AccountState(status=status, until=NOW + wait, reason=reason, step=1)


LIMITED = out(Status.COOLING, 12.0, "rate_limit_exceeded")
SPENT = out(Status.COOLING, 700.0, "insufficient_quota")
BROKEN = out(Status.EJECTED, 200.0, "upstream_error")
REFUSED = out(Status.DISABLED, 500.0, "upstream_auth")
FORBIDDEN = out(Status.COOLING, 20.0, "upstream_auth")


@pytest.mark.parametrize(
    ("states", "kind", "code", "wait", "retry"),
    [
        ([LIMITED, LIMITED], "rate_limit", "rate_limit_exceeded", 12.0, None),
        ([LIMITED, SPENT], "rate_limit", "rate_limit_exceeded", 12.0, None),
        ([SPENT, SPENT], "rate_limit", "insufficient_quota", None, False),
        ([SPENT, REFUSED], "rate_limit", "insufficient_quota", None, False),
        (
            [out(Status.COOLING, 400.0, "rate_limit_exceeded")],
            "rate_limit",
            "rate_limit_exceeded",
            None,
            False,
        ),
        ([BROKEN, BROKEN], "unavailable", "upstream_unavailable", 30.0, None),
        ([BROKEN, LIMITED], "unavailable", "upstream_unavailable", 12.0, None),
        ([BROKEN, SPENT], "unavailable", "upstream_unavailable", 30.0, None),
        ([REFUSED, REFUSED], "unavailable", "no_account_available", None, False),
        ([FORBIDDEN], "unavailable", "no_account_available", 20.0, None),
        ([], "unavailable", "no_account_available", None, False),
    ],
    ids=lambda value: (
        "+".join(f"{s.status.value}({s.reason})" for s in value) if isinstance(value, list) else None
    ),
)
def test_the_client_is_told_what_stands_in_the_way(
    states: list[AccountState], kind: str, code: str, wait: float | None, retry: bool | None
) -> None:
    info = told(*states).info

    assert (info.kind, info.code, info.retry_after, info.should_retry) == (kind, code, wait, retry)
    assert (info.reset_at is not None) == (retry is False and code != "no_account_available")
    assert ("quota" in info.message) == (code == "insufficient_quota")


def test_a_long_wait_says_when_it_is_over() -> None:
    assert told(SPENT).info.reset_at == "2026-10-14T17:58:20+00:00"


def test_a_model_that_is_out_is_told_as_such() -> None:
    limited = told(None, None, model=LIMITED).info

    assert (limited.kind, limited.retry_after) == ("rate_limit", 12.0)


def test_an_overloaded_provider_and_a_lost_host_have_their_own_words() -> None:
    rig = Rig(2)
    shared = rig.pools["pool0"].accounts[0].shared("m")
    shared.overload.adopt(CircuitState(is_open=True, until=NOW + 9.0, failures=3, step=1))
    assert (all_out(facts(rig)).info.kind, all_out(facts(rig)).info.retry_after) == ("overloaded", 9.0)

    rig = Rig(2)
    rig.pools["pool0"].accounts[0].host.adopt(CircuitState(is_open=True, until=NOW + 4.0, failures=2, step=1))
    assert (all_out(facts(rig)).info.code, all_out(facts(rig)).info.retry_after) == (
        "upstream_unavailable",
        4.0,
    )


def test_busy_accounts_are_worth_waiting_for() -> None:
    rig = Rig(1)
    one = rig.pools["pool0"].accounts[0]
    one.inflight = one.concurrency

    error = all_out(facts(rig))

    assert isinstance(error, Busy)
    assert error.info.retry_after == 2.0


@pytest.mark.parametrize(
    ("failures", "code"),
    [
        ([UpstreamFailed("500"), QuotaExhausted("spent")], "upstream_error"),
        ([CredentialsRejected("no"), QuotaExhausted("spent")], "upstream_auth"),
        ([ModelMissing("no"), CredentialsRejected("no")], "model_not_found"),
        ([RateLimited("slow", retry_after=3.0), CredentialsRejected("no")], "rate_limit_exceeded"),
        ([Overloaded("busy"), Overloaded("busy")], "overloaded"),
    ],
)
def test_of_several_failures_the_one_that_passes_is_told(failures: list[UpstreamFailed], code: str) -> None:
    assert after_failures(failures, facts(Rig(1))).info.code == code


def test_a_refused_attempt_is_told_with_the_wait_of_all_accounts() -> None:
    rig = Rig(2)
    first, second = rig.pools["pool0"].accounts
    first.adopt(out(Status.COOLING, 600.0, "rate_limit_exceeded"), "m")
    second.adopt(out(Status.COOLING, 4.0, "rate_limit_exceeded"), "m")

    info = after_failures([RateLimited("slow", retry_after=600.0)], facts(rig)).info

    assert (info.retry_after, info.should_retry, info.reset_at) == (4.0, None, None)


@pytest.mark.parametrize("protocol", ["openai_chat", "openai_responses", "anthropic", "gemini"])
def test_every_protocol_says_not_to_try_again_and_when_it_is_over(protocol: str) -> None:
    converter = next(each for each in converters() if each.name == protocol)

    answer = converter.encode_error(told(SPENT).info)

    assert answer.status == 429
    assert answer.header("x-should-retry") == "false"
    assert answer.header("retry-after") is None
    assert b"2026-10-14T17:58:20+00:00" in answer.body
    unavailable = converter.encode_error(told(REFUSED).info)
    assert (unavailable.status, unavailable.header("x-should-retry")) == (503, "false")


def test_the_decision_over_a_thousand_accounts_takes_milliseconds() -> None:
    rig = Rig(1000)
    for one in rig.pools["pool0"].accounts:
        one.state = SPENT
    began = time.perf_counter()

    for _ in range(10):
        all_out(facts(rig))

    assert (time.perf_counter() - began) / 10 < 0.25, "far from a spin, even on a busy machine"


@pytest.mark.parametrize("refusal", [RateLimited, Overloaded])
def test_a_refusal_without_a_time_is_told_with_a_short_wait(refusal: type[UpstreamError]) -> None:
    rig = Rig(2)

    assert after_failures([refusal("no room")], facts(rig)).info.retry_after == pytest.approx(2.0)
