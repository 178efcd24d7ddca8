from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.health import Status
from aiclient2api.accounts.policy import Policy, RetryPolicy
from aiclient2api.config.load import build
from aiclient2api.errors import (
    ContextTooLong,
    CredentialsRejected,
    ErrorInfo,
    Malformed,
    ModelMissing,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    Rejected,
    TimedOut,
    Truncated,
    Unexplained,
    Unreachable,
    UpstreamError,
    UpstreamFailed,
)
from aiclient2api.gateway.failover import Request, any_account
from aiclient2api.runtime import Runtime
from tests.fakes.journeys import Rig

FAILURES: dict[str, Callable[[], UpstreamError]] = {
    "refused": lambda: Unreachable("refused"),
    "500": lambda: UpstreamFailed("500", info=ErrorInfo(kind="internal", message="500", status=500)),
    "reset": lambda: UpstreamFailed("reset"),
    "silent": lambda: TimedOut("silent"),
    "garbage": lambda: Malformed("garbage"),
    "cut": lambda: Truncated("cut"),
    "429": lambda: RateLimited("slow down", retry_after=2.0),
    "429 without a wait": lambda: RateLimited("slow down"),
    "quota": lambda: QuotaExhausted("spent"),
    "401": lambda: CredentialsRejected("no"),
    "529": lambda: Overloaded("busy"),
}


def always(error: Callable[[], UpstreamError]) -> Callable[[Account, float], UpstreamError | None]:
    return lambda _account, _now: error()


def fine(_account: Account, _now: float) -> UpstreamError | None:
    return None


def test_a_healthy_pool_is_asked_once() -> None:
    rig = Rig(3)

    assert rig.ask(fine)
    assert len(rig.calls) == 1


@pytest.mark.parametrize("error", [Rejected("400"), Unexplained("418")])
def test_a_clients_mistake_costs_exactly_one_call_and_no_health(error: UpstreamError) -> None:
    rig = Rig(3, 3)

    with pytest.raises(type(error)):
        rig.ask(always(lambda: error))

    assert len(rig.calls) == 1
    assert {one.state.status for one in rig.pools["pool0"].accounts} == {Status.HEALTHY}


def test_an_unknown_4xx_is_the_accounts_when_others_serve_the_like() -> None:
    rig = Rig(2)
    rig.ask(fine)
    served = rig.calls[0]

    assert rig.ask(lambda one, _now: None if one is served else Unexplained("418"))

    blamed = rig.calls[1]
    assert rig.calls[1:] == [blamed, served]
    assert blamed.state.strikes == 1


def test_three_attempts_on_the_first_target_and_one_more_on_each_next() -> None:
    rig = Rig(5, 5, 5)

    assert not rig.ask(always(FAILURES["401"]))

    assert [name[0] for name in rig.names()] == ["0", "0", "0", "1", "2"]


def test_every_target_keeps_an_attempt_however_many_accounts_the_first_has() -> None:
    rig = Rig(9, 1, 1, 1, 1)

    assert not rig.ask(always(FAILURES["401"]))

    assert [name[0] for name in rig.names()] == ["0", "1", "2", "3", "4"]


def test_what_the_first_target_did_not_use_is_left_for_the_next() -> None:
    rig = Rig(1, 5)

    assert not rig.ask(always(FAILURES["401"]))

    assert [name[0] for name in rig.names()] == ["0", "1", "1", "1"]


def test_a_missing_model_does_not_use_up_the_chain() -> None:
    rig = Rig(1, 1)

    assert rig.ask(lambda one, _now: ModelMissing("no") if one.name[0] == "0" else None)


def too_long_for(pools: str, earlier: str) -> Callable[[Account, float], UpstreamError | None]:
    """Accounts of these pools find the request too long, those of the others fail in the way of `earlier`."""
    return lambda one, _now: ContextTooLong("too long") if one.name[0] in pools else FAILURES[earlier]()


@pytest.mark.parametrize("kind", ["500", "429", "529", "refused"])
def test_a_fallback_with_a_smaller_context_is_skipped_and_no_mistake_of_the_clients(kind: str) -> None:
    rig = Rig(1, 2, 1)

    assert not rig.ask(too_long_for("1", earlier=kind))

    assert [name[0] for name in rig.names()] == ["0", "1", "2"]
    assert [type(error) for error in rig.last.failures] == [type(FAILURES[kind]())] * 2
    assert "pool1/m: the request is too long for it" in rig.last.skipped


def test_that_also_holds_while_the_first_target_is_out_and_not_asked() -> None:
    rig = Rig(1, 1)
    assert not rig.ask(too_long_for("1", earlier="429"))

    assert not rig.ask(too_long_for("1", earlier="429"))

    assert rig.names() == ["0-0", "1-0", "1-0"]
    assert not rig.last.failures


def test_too_long_for_the_model_that_was_asked_for_is_the_clients_mistake() -> None:
    rig = Rig(2, 1)

    with pytest.raises(ContextTooLong):
        rig.ask(too_long_for("0", earlier="500"))
    assert len(rig.calls) == 1


def test_an_overloaded_provider_is_tried_once_elsewhere_then_the_chain_goes_on() -> None:
    rig = Rig(8, 1)

    assert rig.ask(lambda one, _now: Overloaded("busy") if one.name[0] == "0" else None)

    assert [name[0] for name in rig.names()] == ["0", "0", "1"]


@pytest.mark.parametrize("kind", ["reset", "silent", "garbage", "cut", "500"])
def test_a_request_without_a_verdict_is_sent_again_only_once(kind: str) -> None:
    rig = Rig(5)

    assert not rig.ask(always(FAILURES[kind]))

    assert len(rig.calls) == 2


@pytest.mark.parametrize("size", [2, 4, 8])
def test_the_one_unsafe_retry_goes_to_an_account_beyond_doubt_or_to_the_next_target(size: int) -> None:
    rig = Rig(size, 1)
    provider_is_down = True

    def upstream(one: Account, _now: float) -> UpstreamError | None:
        return UpstreamFailed("500") if provider_is_down and one.name[0] == "0" else None

    answered = [rig.ask(upstream) for _ in range(20)]

    assert answered == [False] + [True] * 19, "only the first request of the outage is lost"


def test_a_request_that_was_not_sent_whole_may_be_sent_again() -> None:
    rig = Rig(5)

    assert not rig.ask(always(lambda: UpstreamFailed("reset while sending", sent=False)))

    assert len(rig.calls) == 3


@pytest.mark.parametrize(("kind", "calls"), [("silent", 1), ("429", 3), ("refused", 3)])
def test_a_request_with_effects_is_sent_again_only_when_it_was_refused(kind: str, calls: int) -> None:
    rig = Rig(5)

    assert not rig.ask(always(FAILURES[kind]), Request(usable=any_account, has_effects=lambda: True))

    assert len(rig.calls) == calls


def test_a_throttled_target_is_asked_when_nobody_behind_it_could_be() -> None:
    rig = Rig(1, 1)
    (behind,) = rig.pools["pool1"].accounts
    rig.pools["pool1"].disable(behind)
    (first,) = rig.pools["pool0"].accounts
    throttle = first.shared("m").throttle
    for _ in range(100):
        throttle.started(rig.clock.now)
        throttle.failed(rig.clock.now)

    assert rig.ask(lambda *_: None)
    assert rig.names() == ["0-0"]

    rig.pools["pool1"].retry(behind)
    for _ in range(100):
        throttle.started(rig.clock.now)
        throttle.failed(rig.clock.now)
    assert rig.ask(lambda *_: None)
    assert rig.names() == ["0-0", "1-0"]


def test_a_retrying_client_gets_one_attempt_while_the_pool_is_not_well() -> None:
    rig = Rig(4)
    retrying = Request(usable=any_account, is_retry=True)
    assert not rig.ask(always(FAILURES["401"]), retrying)
    assert len(rig.calls) == 3, "the pool was well when it began"

    assert not rig.ask(always(FAILURES["401"]), retrying)

    assert len(rig.calls) == 4


def test_no_attempt_starts_when_the_time_is_too_short() -> None:
    rig = Rig(5)

    def slow(_account: Account, _now: float) -> UpstreamError:
        rig.clock.now += 3.0
        return RateLimited("slow down")

    assert not rig.ask(slow, Request(usable=any_account, deadline=rig.clock.now + 7.9))

    assert len(rig.calls) == 2
    assert list(rig.last.skipped) == ["no time left before the deadline"]


def test_retries_stop_when_the_budget_is_spent() -> None:
    policy = Policy(retries=RetryPolicy(budget_cap=1.0, budget_floor=0.0, budget_share=0.0))
    rig = Rig(200, policy=policy)

    for _ in range(30):
        rig.ask(always(FAILURES["500"]))

    assert len(rig.calls) == 31
    assert list(rig.last.skipped) == ["pool0/m: its retry budget is spent"]


def test_the_first_retry_is_at_once_and_later_ones_are_spread() -> None:
    rig = Rig(5, seed=1.0)
    pauses: list[float] = []

    def refusing(_account: Account, _now: float) -> UpstreamError:
        pauses.append(rig.last.pause)
        return RateLimited("slow down")

    rig.ask(refusing)

    assert pauses == [0.0, 0.0, 0.1]


def test_what_cannot_be_expressed_costs_no_attempt() -> None:
    rig = Rig(1, 1)
    rig.ask(fine)
    journey = rig.last
    lease = rig.pools["pool0"].take(any_account, "m", set())
    assert lease is not None
    before = journey.attempts

    journey.refused(lease, {"0-1"})

    assert journey.attempts == before - 1
    assert journey.tried == {"0-0", "0-1"}


# ---- outages


@pytest.mark.parametrize("kind", FAILURES)
def test_an_outage_costs_hardly_more_calls_than_clients_make(kind: str) -> None:
    rig = Rig(8)
    asked = 2000
    for _ in range(asked):
        rig.clock.now += 0.05
        rig.ask(always(FAILURES[kind]))

    assert len(rig.calls) <= 1.2 * asked


@pytest.mark.parametrize("kind", FAILURES)
def test_an_outage_of_two_providers_costs_hardly_more_calls_than_clients_make(kind: str) -> None:
    rig = Rig(4, 4)
    asked = 2000
    for _ in range(asked):
        rig.clock.now += 0.05
        rig.ask(always(FAILURES[kind]))

    assert len(rig.calls) <= 1.2 * asked


@pytest.mark.parametrize("kind", FAILURES)
def test_single_accounts_of_two_dead_providers_are_not_hammered(kind: str) -> None:
    rig = Rig(1, 1)
    asked = 2000
    for _ in range(asked):
        rig.clock.now += 0.05
        rig.ask(always(FAILURES[kind]))

    assert len(rig.calls) <= 1.2 * asked


@pytest.mark.parametrize("kind", ["refused", "500", "reset", "silent", "garbage", "cut", "529"])
@pytest.mark.parametrize("size", [1, 2, 8])
def test_after_an_outage_of_five_minutes_the_first_answer_comes_soon(kind: str, size: int) -> None:
    rig = Rig(size)
    over = rig.clock.now + 300.0
    while rig.clock.now < over:
        rig.clock.now += 0.2
        rig.ask(always(FAILURES[kind]))

    first = next(passed for passed in range(200) if (advance(rig), rig.ask(fine))[1])

    assert first * 0.2 <= (30.0 if kind == "529" else 5.0)
    answered = 0
    for _ in range(50):
        advance(rig)
        answered += rig.ask(fine)
    assert answered == 50


def advance(rig: Rig) -> None:
    rig.clock.now += 0.2


@pytest.mark.parametrize("kind", ["refused", "500", "silent"])
def test_an_account_that_heals_is_used_again_within_ten_seconds(kind: str) -> None:
    rig = Rig(2)
    ill = rig.pools["pool0"].accounts[0]
    for _ in range(100):
        rig.clock.now += 0.02
        assert rig.ask(lambda one, _now: FAILURES[kind]() if one is ill else None)
    rig.calls.clear()

    for _ in range(100):
        rig.clock.now += 0.1
        assert rig.ask(fine)

    assert ill in rig.calls


def test_spent_quota_is_probed_within_fifteen_minutes_whatever_was_promised() -> None:
    rig = Rig(2, seed=0.999)
    ill = rig.pools["pool0"].accounts[0]
    for _ in range(4):
        rig.ask(lambda one, _now: QuotaExhausted("spent", retry_after=604_800.0) if one is ill else None)
    rig.calls.clear()

    rig.clock.now += 15 * 60.0
    for _ in range(4):
        rig.ask(fine)

    assert ill in rig.calls


def test_health_knows_no_wall_clock() -> None:
    config = build({"accounts": {"a": {"provider": "openai", "api_key": "k"}}}, environ={})

    runtime = Runtime(config, ephemeral=True)

    assert all(pool.now is time.monotonic for pool in runtime.pools.values())


def test_a_failure_keeps_no_frame_alive() -> None:
    rig = Rig(2)

    def raised(_account: Account, _now: float) -> UpstreamError | None:
        try:
            raise UpstreamFailed("500")
        except UpstreamFailed as error:
            return error if len(rig.calls) == 1 else None

    assert rig.ask(raised)
    assert [error.__traceback__ for error in rig.last.failures] == [None]
