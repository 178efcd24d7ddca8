from __future__ import annotations

import pytest

from aiclient2api.accounts.circuit import CLOSED, Circuit, CircuitState, Limits
from aiclient2api.accounts.evidence import Evidence
from aiclient2api.accounts.policy import RetryPolicy, ThrottlePolicy
from aiclient2api.accounts.throttle import RetryBudget, Throttle
from aiclient2api.accounts.tickets import Tickets


def throttle(begun: int, failed: int, now: float = 1000.0) -> Throttle:
    one = Throttle(ThrottlePolicy())
    for number in range(begun):
        one.started(now)
        if number < failed:
            one.failed(now)
    return one


@pytest.mark.parametrize(
    ("begun", "failed", "share"),
    [(100, 0, 0.0), (100, 50, 0.0), (100, 75, 50 / 101), (100, 100, 100 / 101), (19, 19, 0.0)],
)
def test_the_throttle_rejects_what_is_over_twice_the_accepted(begun: int, failed: int, share: float) -> None:
    one = throttle(begun, failed)

    assert one.rejects(1000.5, lambda: share + 0.001) is False
    assert one.rejects(1000.5, lambda: max(0.0, share - 0.001)) is (share > 0)


def test_one_request_a_second_always_goes_through() -> None:
    one = throttle(1000, 1000)

    assert one.rejects(1000.9, lambda: 0.0)
    assert not one.rejects(1001.0, lambda: 0.0)


def test_calls_under_way_count_as_accepted_and_failures_where_they_began() -> None:
    one = throttle(500, 0)
    for _ in range(500):
        one.failed(1000.0)
    assert one.rejects(1000.5, lambda: 0.5)
    later = throttle(500, 500)
    later.started(1200.0)
    assert not later.rejects(1200.5, lambda: 0.0), "two minutes later it is forgotten"


def test_the_first_answer_after_an_outage_forgets_it_and_one_among_failures_does_not() -> None:
    outage, flaky = throttle(100, 100), throttle(100, 80)

    outage.healed()
    flaky.healed()

    assert not outage.rejects(1000.5, lambda: 0.0)
    assert flaky.rejects(1000.5, lambda: 0.5)


def test_the_retry_budget_is_filled_by_requests_and_time() -> None:
    budget = RetryBudget(RetryPolicy(budget_cap=2.0), 0.0)

    assert [budget.spend(0.0, safe=False) for _ in range(3)] == [True, True, False]
    assert budget.spend(0.1, safe=False), "ten a second"
    assert not budget.spend(0.1, safe=True)
    budget.first()
    assert budget.spend(0.1, safe=True)
    assert not budget.spend(0.1, safe=True)
    for _ in range(100):
        budget.first()
    assert budget.tokens == 2.0


def circuit() -> tuple[Circuit, list[CircuitState]]:
    told: list[CircuitState] = []
    limits = Limits(failures=2, base=1.0, maximum=5.0)
    return Circuit("host:x", limits, lambda _name, state: told.append(state)), told


def test_a_circuit_opens_longer_and_longer_and_lets_one_probe_through() -> None:
    one, _ = circuit()
    one.failed(0.0, 1.0)
    assert not one.blocks(0.0)
    now, spans = 0.0, list[float]()
    for _ in range(5):
        one.failed(now, 1.0)
        spans.append(one.state.until - now)
        assert one.blocks(now)
        now = one.state.until
        assert not one.blocks(now)
        one.probed(now + 60.0)
        assert one.blocks(now)

    assert spans == [1.0, 2.0, 4.0, 5.0, 5.0]
    one.release()
    assert not one.blocks(now)
    one.succeeded()
    assert one.state is CLOSED


def test_failures_of_attempts_that_began_before_do_not_lengthen_the_outage() -> None:
    one, told = circuit()
    for _ in range(50):
        one.failed(0.0, 1.0)

    assert one.state.until == 1.0
    assert len(told) == 2


def test_the_window_forgets_slot_by_slot() -> None:
    evidence = Evidence(60.0)
    for second in range(0, 60, 10):
        evidence.bad(1000.0 + second)
        evidence.good(1000.0 + second)

    assert evidence.failing(1050.0, 10) == 0.5
    assert evidence.failing(1050.0, 13) == 0.0
    for _ in range(6):
        evidence.good(1060.0)
    assert evidence.failing(1060.0, 10) == pytest.approx(5 / 16)
    assert evidence.failing(2000.0, 1) == 0.0


def test_the_time_to_the_first_token_moves_slowly() -> None:
    evidence = Evidence(60.0)
    for seconds in (1.0, 1.0, 6.0):
        evidence.took(seconds)

    assert (evidence.first_token, evidence.timed) == (2.0, 3)


def test_tickets_come_from_blocks_and_go_on_without_one() -> None:
    asked: list[int] = []
    tickets = Tickets(first=7, refill=lambda: asked.append(1))

    assert [tickets(), tickets()] == [7, 8]
    assert asked == [1], "asked once, not waited for"
    tickets.add(1000, 20)
    assert [tickets() for _ in range(3)] == [1000, 1001, 1002]
    assert [tickets() for _ in range(3)] == [1003, 1004, 1005]
    assert len(asked) == 2, "again when sixteen are left"
    tickets.failed()
    assert [tickets() for _ in range(14)] == list(range(1006, 1020))
    assert tickets() == 9
