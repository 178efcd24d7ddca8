from __future__ import annotations

import random
from collections import Counter

import pytest

from aiclient2api.accounts.account import AccountSettings
from aiclient2api.accounts.circuit import CircuitState
from aiclient2api.accounts.health import AccountState, Status
from aiclient2api.accounts.pool import OVERDUE, AccountPool, Wish
from aiclient2api.accounts.surroundings import Surroundings
from aiclient2api.errors import (
    CredentialsRejected,
    Overloaded,
    RateLimited,
    TimedOut,
    Unreachable,
    UpstreamError,
    UpstreamFailed,
)
from tests.fakes.accounts import Clock, account, anyone, fairness, out, pool, takes


def test_a_host_that_cannot_be_reached_is_left_alone_and_no_account_is_to_blame() -> None:
    clock = Clock()
    chosen = pool(clock, account("a"), account("b"))
    for name in "ab":
        lease = chosen.take(lambda one, name=name: one.name == name, "m", set())
        assert lease is not None
        lease.failed(Unreachable("refused"))

    assert chosen.take(anyone, "m", set()) is None
    assert [one.state.status for one in chosen.accounts] == [Status.HEALTHY, Status.HEALTHY]
    assert chosen.take_in_panic(anyone, "m", set()) is not None
    clock.now += 1.0
    probe = chosen.take(anyone, "m", set())
    assert probe is not None
    assert probe.is_probe
    assert chosen.take(anyone, "m", set()) is None
    probe.begun()
    assert chosen.take(anyone, "m", set()) is not None


def test_what_is_out_is_forgotten_with_the_last_account_that_it_is_about() -> None:
    clock = Clock()
    proxied = AccountSettings(proxy="http://127.0.0.1:9")
    before, after, last = Surroundings(), Surroundings(), Surroundings()
    for surroundings, names in ((before, "ab"), (after, "ab"), (last, "a")):
        accounts = [account(name, proxied if name == "b" else None) for name in names]
        AccountPool("main", accounts, now=clock, random=lambda: 0.5, surroundings=surroundings)
    before.host("127.0.0.1:9 via 127.0.0.1").adopt(CircuitState(is_open=True, until=2000.0))

    after.take_over(before)
    last.take_over(after)

    assert [circuit.name for circuit in after.circuits()] == ["host:127.0.0.1:9 via 127.0.0.1"]
    assert not after.is_calm
    assert list(last.circuits()) == []
    assert last.is_calm


def test_one_refused_connection_is_no_outage() -> None:
    chosen = pool(Clock(), account("a"))
    lease = chosen.take(anyone, "m", set())
    assert lease is not None

    lease.failed(Unreachable("refused"))

    assert chosen.take(anyone, "m", set()) is not None


def test_a_limit_for_one_model_leaves_the_account_to_the_others() -> None:
    clock = Clock()
    chosen = pool(clock, account("a"))
    lease = chosen.take(anyone, "m", set())
    assert lease is not None

    lease.failed(RateLimited("slow down", retry_after=10.0))

    assert chosen.take(anyone, "m", set()) is None
    other = chosen.take(anyone, "n", set())
    assert other is not None
    assert not other.is_probe
    other.succeeded()
    clock.now += 10.5
    probe = chosen.take(anyone, "m", set())
    assert probe is not None
    assert probe.is_probe
    assert chosen.take(anyone, "m", set()) is None
    probe.succeeded()
    assert chosen.accounts[0].overlays == {}


def test_an_overloaded_provider_is_left_alone_for_this_model_only() -> None:
    clock = Clock()
    chosen = pool(clock, *(account(name) for name in "abcdefgh"))
    for _ in range(chosen.policy.health.overload_failures):
        lease = chosen.take(anyone, "m", set())
        assert lease is not None
        lease.failed(Overloaded("busy"))

    assert chosen.take(anyone, "m", set()) is None
    assert chosen.take_in_panic(anyone, "m", set()) is None
    assert chosen.take(anyone, "n", set()) is not None
    assert {one.state.status for one in chosen.accounts} == {Status.HEALTHY}
    clock.now += 5.5
    assert chosen.take(anyone, "m", set()) is not None
    assert chosen.take(anyone, "m", set()) is None, "one probe for all accounts of the provider"


@pytest.mark.parametrize(
    ("refusal", "share", "failed"),
    [(Overloaded, 0.01, 3), (Overloaded, 0.2, 450), (RateLimited, 0.01, 3), (RateLimited, 0.05, 40)],
)
def test_refusals_now_and_then_take_nobody_out(
    refusal: type[UpstreamError], share: float, failed: int
) -> None:
    """10,000 requests, 100 a second: a provider that refuses a share of them is asked all the same."""
    clock, chance = Clock(), random.Random(1)
    chosen = pool(clock, *(account(name) for name in "abcd"))
    lost = 0
    for _ in range(10_000):
        clock.now += 0.01
        tried: set[str] = set()
        for _ in range(2):
            lease = chosen.take(anyone, "m", tried)
            if lease is None:
                lost += 1
                break
            if chance.random() >= share:
                lease.succeeded()
                break
            tried.add(lease.account.name)
            lease.failed(refusal("busy"))
        else:
            lost += 1

    assert lost <= failed, "two in a row, hardly more"


@pytest.mark.parametrize(("refusal", "times"), [(Overloaded, 10), (RateLimited, 3)])
def test_an_account_that_never_has_room_rests_with_this_model(
    refusal: type[UpstreamError], times: int
) -> None:
    chosen = pool(Clock(), account("a"), account("b"))
    calls = 0
    for _ in range(60):
        lease = chosen.take(anyone, "m", set())
        assert lease is not None
        if lease.account.name == "b":
            lease.succeeded()
            continue
        calls += 1
        lease.failed(refusal("busy"))

    assert calls == times


def test_an_overload_with_a_wait_is_heeded_at_once() -> None:
    clock = Clock()
    chosen = pool(clock, account("a"))
    lease = chosen.take(anyone, "m", set())
    assert lease is not None

    lease.failed(Overloaded("busy", retry_after=7.0))

    clock.now += 6.9
    assert chosen.take(anyone, "m", set()) is None
    clock.now += 1.0
    assert chosen.take(anyone, "m", set()) is not None


def test_the_last_account_that_is_not_disabled_is_never_ejected() -> None:
    chosen = pool(Clock(), account("a"), out(account("b"), Status.DISABLED, 9e9))
    for _ in range(5):
        lease = chosen.take(anyone, "m", set())
        assert lease is not None
        lease.failed(UpstreamFailed("500"))

    assert chosen.accounts[0].state.status is Status.DEGRADED
    assert chosen.take(anyone, "m", set()) is not None


def test_one_refusal_among_answers_lowers_no_limit_but_two_in_a_row_do() -> None:
    chosen = pool(Clock(), account("a", AccountSettings(concurrency=10)))
    held = [lease for _ in range(10) if (lease := chosen.take(anyone, "m", set()))]

    held.pop().failed(RateLimited("slow down"))
    held.pop().succeeded()
    held.pop().failed(RateLimited("slow down"))
    assert chosen.accounts[0].limit == 10
    held.pop().failed(RateLimited("slow down"))

    assert chosen.accounts[0].limit == 4, "seven were under way"


def test_a_refused_probe_of_an_account_is_enough_for_it_to_rest() -> None:
    clock = Clock()
    chosen = pool(clock, out(account("a"), Status.EJECTED, 1000.0), account("b"))
    probe = chosen.take(anyone, "m", set())
    assert probe is not None
    assert probe.probes_account

    probe.failed(Overloaded("busy"))

    following = [chosen.take(anyone, "m", set()) for _ in range(4)]
    assert [lease.account.name for lease in following if lease] == ["b"] * 4


def test_too_fast_lowers_the_limit_once_a_second_and_success_raises_it_again() -> None:
    clock = Clock()
    chosen = pool(clock, account("a", AccountSettings(concurrency=10)))
    held = [lease for _ in range(10) if (lease := chosen.take(anyone, "m", set()))]

    held.pop().failed(RateLimited("slow down", retry_after=1.0))
    held.pop().failed(RateLimited("slow down", retry_after=1.0))

    assert chosen.accounts[0].limit == 7
    clock.now += 10.0
    probe = chosen.take(anyone, "n", set())
    assert probe is None, "eight are under way"
    for lease in held:
        lease.succeeded()
    grown = chosen.accounts[0].limit
    assert 7 < grown < 10
    for _ in range(200):
        many = [lease for _ in range(10) if (lease := chosen.take(anyone, "n", set()))]
        for lease in many:
            lease.succeeded()
    assert chosen.accounts[0].limit == 10


def test_an_account_that_is_back_gets_its_share_little_by_little() -> None:
    clock = Clock()
    chosen = pool(clock, out(account("a"), Status.EJECTED, 1000.0), account("b"))
    probe = chosen.take(anyone, "m", set())
    assert probe is not None
    assert probe.account.name == "a"
    probe.succeeded()

    clock.now += 0.1
    assert takes(chosen, 110)["a"] == 10
    clock.now += 15.0
    assert 30 <= takes(chosen, 110)["a"] <= 45
    clock.now += 15.0
    assert takes(chosen, 110)["a"] == 55


def test_a_slow_account_gets_a_quarter_of_its_turns_until_it_is_as_fast_as_the_others() -> None:
    clock = Clock()
    chosen = pool(clock, *(account(name) for name in "abc"))
    for _ in range(10):
        for name, seconds in zip("abc", (1.0, 1.0, 9.0), strict=True):
            lease = chosen.take(lambda one, name=name: one.name == name, "m", set())
            assert lease is not None
            clock.now += seconds
            lease.begun()
            lease.succeeded()
    clock.now += 10.0

    served = takes(chosen, 90)

    assert chosen.accounts[2].state.status is Status.DEGRADED
    assert served == {"a": 40, "b": 40, "c": 10}
    for _ in range(60):
        lease = chosen.take(lambda one: one.name == "c", "m", set())
        assert lease is not None
        clock.now += 1.0
        lease.begun()
        lease.succeeded()
    takes(chosen, 3)
    assert chosen.accounts[2].state.status is Status.HEALTHY


def test_equal_accounts_stay_equal_at_five_hundred_under_way_and_after_an_ejection() -> None:
    clock = Clock()
    chosen = pool(clock, *(account(name) for name in "abcdefgh"))
    held = [lease for _ in range(500) if (lease := chosen.take(anyone, "m", set()))]
    served = Counter(lease.account.name for lease in held)
    assert len(held) == 500
    assert fairness([served[name] for name in "abcdefgh"]) >= 0.99
    for lease in [lease for lease in held if lease.account.name == "c"][:3]:
        lease.failed(TimedOut("silent"))
    assert chosen.accounts[2].state.status is Status.EJECTED
    for lease in held:
        lease.succeeded()

    after = takes(chosen, 1400)

    assert after["c"] == 0
    assert fairness([after[name] for name in "abdefgh"]) >= 0.98


def test_a_request_may_wish_for_the_account_that_holds_its_state() -> None:
    chosen = pool(Clock(), *(account(name) for name in "abc"))
    wish = Wish(account=chosen.accounts[1].mark)

    leases = [chosen.take(anyone, "m", set(), wish) for _ in range(3)]

    assert [lease.account.name for lease in leases if lease] == ["b", "b", "b"]
    chosen.accounts[1].state = AccountState(status=Status.EJECTED, until=9e9)
    other = chosen.take(anyone, "m", set(), wish)
    assert other is not None
    assert other.account.name != "b"


def test_a_cached_prompt_goes_to_the_same_account_within_bounds() -> None:
    chosen = pool(Clock(), *(account(name) for name in "abcd"))

    first = takes_wishing(chosen, Wish(prompt=b"one"))

    assert {takes_wishing(chosen, Wish(prompt=b"one")) for _ in range(5)} == {first}
    assert len({takes_wishing(chosen, Wish(prompt=bytes([n]))) for n in range(60)}) == 4
    held = [chosen.take(anyone, "m", set(), Wish(prompt=b"one")) for _ in range(40)]
    loads = Counter(lease.account.name for lease in held if lease)
    assert max(loads.values()) <= 1.25 * 40 / 4 + 1


def takes_wishing(chosen: AccountPool, wish: Wish) -> str:
    lease = chosen.take(anyone, "m", set(), wish)
    assert lease is not None
    lease.abandoned()
    return lease.account.name


def test_a_large_request_is_no_probe_while_another_account_serves() -> None:
    chosen = pool(Clock(), out(account("a"), Status.COOLING, 1000.0), account("b"))

    large = [chosen.take(anyone, "m", set(), Wish(may_probe=False)) for _ in range(3)]
    small = chosen.take(anyone, "m", set())

    assert [lease.account.name for lease in large if lease] == ["b", "b", "b"]
    assert small is not None
    assert small.account.name == "a"


def test_where_all_requests_are_large_one_of_them_is_the_probe_soon() -> None:
    clock = Clock()
    chosen = pool(clock, out(account("a"), Status.COOLING, clock.now), account("b"))
    large = Wish(may_probe=False)

    clock.now += OVERDUE - 0.1
    assert takes_wishing(chosen, large) == "b"
    clock.now += 0.1
    probe = chosen.take(anyone, "m", set(), large)

    assert probe is not None
    assert (probe.account.name, probe.is_probe) == ("a", True)
    assert takes_wishing(chosen, large) == "b", "one probe at a time"


def test_the_operator_disables_for_good_and_retries_at_once() -> None:
    clock = Clock()
    chosen = pool(clock, account("a"))
    chosen.disable(chosen.accounts[0])
    clock.now += 1e9
    assert chosen.take(anyone, "m", set()) is None
    assert chosen.accounts[0].why_not("m", clock.now) == "disabled (by the operator)"

    chosen.retry(chosen.accounts[0])

    probe = chosen.take(anyone, "m", set())
    assert probe is not None
    assert probe.is_probe


def test_every_change_of_health_is_told_once() -> None:
    told: list[tuple[str, str | None, str]] = []

    class Observer:
        def account_changed(self, account: str, model: str | None, state: AccountState) -> None:
            told.append((account, model, state.status.value))

        def circuit_changed(self, name: str, state: CircuitState) -> None:
            told.append((name, None, "open" if state.is_open else "closed"))

    clock = Clock()
    shared = Surroundings(observer=Observer())
    chosen = AccountPool("main", [account("a")], now=clock, random=lambda: 0.5, surroundings=shared)
    for error in (RateLimited("slow", retry_after=5.0), CredentialsRejected("no")):
        lease = chosen.take(anyone, "m" if isinstance(error, RateLimited) else "n", set())
        assert lease is not None
        lease.failed(error)
    clock.now += 1000.0
    probe = chosen.take(anyone, "n", set())
    assert probe is not None
    probe.begun()
    probe.succeeded()

    assert told == [
        ("a", "m", "cooling"),
        ("a", None, "disabled"),
        ("a", None, "half_open"),
        ("a", None, "ramp"),
    ]
