from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiclient2api.accounts.health import (
    HEALTHY,
    AccountState,
    Circumstances,
    HealthRules,
    Status,
)
from aiclient2api.accounts.policy import HealthPolicy
from aiclient2api.errors import (
    ContentBlocked,
    ContextTooLong,
    CredentialsRejected,
    EmptyAnswer,
    Malformed,
    ModelMissing,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    Rejected,
    TimedOut,
    Truncated,
    UpstreamError,
    UpstreamFailed,
)

NOW = 1000.0
RULES = HealthRules(HealthPolicy())
LIMITED = AccountState(status=Status.COOLING, until=1030.0, reason="rate_limit_exceeded", step=1)
EJECTED = AccountState(status=Status.EJECTED, until=1005.0, reason="upstream_error", step=1)


def after(
    state: AccountState,
    error: UpstreamError,
    now: float = NOW,
    jitter: float = 0.0,
    *,
    is_probe: bool = False,
) -> AccountState:
    return RULES.failed(state, error, now, jitter, Circumstances(is_probe=is_probe))


@pytest.mark.parametrize(
    ("error", "status", "until", "reason"),
    [
        pytest.param(CredentialsRejected(), Status.DISABLED, 1480.0, "upstream_auth", id="credentials"),
        pytest.param(QuotaExhausted(), Status.COOLING, 1576.0, "insufficient_quota", id="quota"),
        pytest.param(
            QuotaExhausted(retry_after=86_400.0),
            Status.COOLING,
            1576.0,
            "insufficient_quota",
            id="quota for a day",
        ),
        pytest.param(RateLimited(), Status.COOLING, 1005.0, "rate_limit_exceeded", id="too fast"),
        pytest.param(
            RateLimited(retry_after=30.0),
            Status.COOLING,
            1030.0,
            "rate_limit_exceeded",
            id="too fast for 30 s",
        ),
        pytest.param(
            RateLimited(retry_after=0.0),
            Status.COOLING,
            1001.0,
            "rate_limit_exceeded",
            id="too fast for nothing",
        ),
        pytest.param(
            RateLimited(retry_after=1_587_827.0),
            Status.COOLING,
            1900.0,
            "rate_limit_exceeded",
            id="too fast for 18 days",
        ),
        pytest.param(Overloaded(), Status.COOLING, 1005.0, "overloaded", id="overloaded"),
        pytest.param(
            Overloaded(retry_after=600.0), Status.COOLING, 1030.0, "overloaded", id="overloaded for long"
        ),
    ],
)
def test_one_such_failure_puts_an_account_out(
    error: UpstreamError, status: Status, until: float, reason: str
) -> None:
    assert after(HEALTHY, error) == AccountState(status=status, until=until, reason=reason, step=1, since=NOW)


@pytest.mark.parametrize("error", [Rejected(), ContextTooLong(), ContentBlocked(), ModelMissing()])
def test_the_clients_mistakes_never_touch_health(error: UpstreamError) -> None:
    assert after(HEALTHY, error) is HEALTHY
    assert after(LIMITED, error) is LIMITED
    assert after(EJECTED, error, 1005.0, is_probe=True) is EJECTED


@pytest.mark.parametrize("error", [UpstreamFailed(), TimedOut(), Malformed(), Truncated(), EmptyAnswer()])
def test_the_third_strike_in_a_row_ejects(error: UpstreamError) -> None:
    first = after(HEALTHY, error)
    second = after(first, error)

    third = after(second, error)

    assert (first.status, first.strikes) == (Status.HEALTHY, 1)
    assert (second.status, second.strikes) == (Status.HEALTHY, 2)
    assert (third.status, third.until, third.strikes, third.step) == (Status.EJECTED, 1002.5, 0, 1)


def test_a_success_forgives_earlier_strikes() -> None:
    struck = after(after(HEALTHY, TimedOut()), TimedOut())

    assert RULES.succeeded(struck, NOW, is_probe=False) == HEALTHY


def test_a_successful_probe_ends_any_outage() -> None:
    for state in (LIMITED, EJECTED):
        assert RULES.succeeded(state, NOW, is_probe=True) == AccountState(
            status=Status.RAMP, until=1030.0, step=1, since=NOW
        )


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        pytest.param(UpstreamFailed(), [2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 150.0, 150.0], id="ejected"),
        pytest.param(RateLimited(), [5.0, 10.0, 20.0, 40.0, 60.0, 60.0, 60.0, 60.0], id="too fast"),
        pytest.param(Overloaded(), [5.0] * 8, id="overloaded"),
        pytest.param(QuotaExhausted(), [576.0] * 8, id="quota"),
        pytest.param(
            CredentialsRejected(),
            [480.0, 960.0, 1920.0, 3840.0, 7680.0, 15_360.0, 30_720.0, 61_440.0],
            id="credentials",
        ),
    ],
)
def test_failing_probes_wait_longer_and_longer(error: UpstreamError, waits: list[float]) -> None:
    state = HEALTHY
    while not state.needs_probe:
        state = after(state, error)
    found = [state.until - NOW]
    for _ in waits[1:]:
        now = state.until
        state = after(state, error, now, is_probe=True)
        found.append(state.until - now)

    assert found == pytest.approx(waits)


@pytest.mark.parametrize(
    ("error", "low", "high"),
    [
        (RateLimited(retry_after=10.0), 10.0, 11.0),
        (RateLimited(), 5.0, 5.5),
        (QuotaExhausted(), 576.0, 864.0),
        (CredentialsRejected(), 480.0, 720.0),
    ],
    ids=["retry after", "too fast", "quota", "credentials"],
)
def test_waits_are_spread_and_never_shorter_than_asked(error: UpstreamError, low: float, high: float) -> None:
    assert after(HEALTHY, error, jitter=0.0).until - NOW == pytest.approx(low)
    assert after(HEALTHY, error, jitter=1.0).until - NOW == pytest.approx(high)


def test_failures_of_one_outage_count_once() -> None:
    state = HEALTHY
    for _ in range(64):
        state = after(state, TimedOut(), jitter=1.0)

    assert (state.status, state.until, state.step) == (Status.EJECTED, 1005.0, 1)


def test_requests_refused_together_do_not_lengthen_the_cooling() -> None:
    state = HEALTHY
    for _ in range(64):
        state = after(state, RateLimited())

    assert (state.status, state.until, state.step) == (Status.COOLING, 1005.0, 1)


def test_a_late_failure_may_bring_the_longer_wait() -> None:
    refused = after(after(HEALTHY, RateLimited()), RateLimited(retry_after=60.0), 1001.0)
    spent = after(refused, QuotaExhausted(), 1002.0)
    shorter = after(spent, RateLimited(), 1003.0)

    assert (refused.until, refused.step) == (1061.0, 1)
    assert (spent.until, spent.reason, spent.step) == (1578.0, "insufficient_quota", 1)
    assert shorter == spent


def test_a_late_strike_does_not_turn_cooling_into_an_ejection() -> None:
    assert after(LIMITED, TimedOut(), 1029.0) == LIMITED


def test_a_late_success_does_not_end_the_cooling() -> None:
    assert RULES.succeeded(LIMITED, NOW, is_probe=False) == LIMITED


@pytest.mark.parametrize("error", [CredentialsRejected(), RateLimited(), Overloaded(), UpstreamFailed()])
def test_thousands_of_outages_in_a_row_still_end(error: UpstreamError) -> None:
    old = AccountState(status=Status.COOLING, until=NOW, reason="x", step=5000)

    assert after(old, error, is_probe=True).until - NOW <= 86_400.0


ERRORS = st.sampled_from(
    [
        Rejected(),
        CredentialsRejected(),
        QuotaExhausted(),
        RateLimited(),
        RateLimited(retry_after=120.0),
        Overloaded(),
        UpstreamFailed(),
        Truncated(),
    ]
)


@given(st.lists(st.tuples(ERRORS, st.floats(0, 100), st.floats(0, 1, exclude_max=True), st.booleans())))
@settings(max_examples=100)
def test_every_bad_state_ends_by_itself(
    failures: list[tuple[UpstreamError, float, float, bool]],
) -> None:
    state, now = HEALTHY, NOW
    for error, passed, jitter, is_probe in failures:
        now += passed
        state = RULES.failed(state, error, now, jitter, Circumstances(is_probe=is_probe))

        assert state.is_open(now + 86_400.0 * 1.2)


def test_half_of_the_last_minutes_attempts_eject_and_a_fifth_degrade() -> None:
    def failing(share: float) -> AccountState:
        return RULES.failed(HEALTHY, TimedOut(), NOW, 1.0, Circumstances(failing=share))

    assert (failing(0.5).status, failing(0.5).until) == (Status.EJECTED, 1005.0)
    assert (failing(0.2).status, failing(0.2).until) == (Status.DEGRADED, 1060.0)
    assert failing(0.19).status is Status.HEALTHY


def test_the_last_account_is_degraded_where_others_are_ejected() -> None:
    state = HEALTHY
    for _ in range(4):
        state = RULES.failed(state, TimedOut(), NOW, 0.0, Circumstances(is_last=True))

    assert state.status is Status.DEGRADED
    limited = RULES.failed(state, QuotaExhausted(), NOW, 0.0, Circumstances(is_last=True))
    assert limited.status is Status.COOLING


def test_a_minute_in_health_forgives_one_outage() -> None:
    back = AccountState(status=Status.RAMP, until=1030.0, step=3, since=NOW)

    assert [RULES.step(back, NOW + seconds) for seconds in (0, 59, 60, 120, 180, 999)] == [3, 3, 2, 1, 0, 0]
    healthy = RULES.advanced(back, 1030.0)
    assert (healthy.status, RULES.step(healthy, NOW + 60)) == (Status.HEALTHY, 2)


def test_a_probe_without_a_verdict_leaves_the_outage_as_it_was_but_due() -> None:
    probing = RULES.probing(EJECTED, 1005.0)

    assert (probing.status, probing.cause, probing.is_open(1005.0)) == (
        Status.HALF_OPEN,
        Status.EJECTED,
        False,
    )
    given_up = RULES.given_up(probing, 1006.0)
    assert (given_up.status, given_up.until, given_up.step) == (Status.EJECTED, 1006.0, 1)
    assert RULES.advanced(probing, 1605.0).status is Status.EJECTED, "patience is over"


def test_weights_rise_along_the_ramp() -> None:
    ramp = AccountState(status=Status.RAMP, until=1030.0, since=NOW)

    assert [round(RULES.weight(ramp, NOW + seconds), 2) for seconds in (0, 15, 30)] == [0.1, 0.55, 1.0]
    assert RULES.weight(AccountState(status=Status.DEGRADED), NOW) == 0.25
    assert RULES.weight(EJECTED, NOW) == 0.0
