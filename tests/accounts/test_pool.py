from __future__ import annotations

from collections import Counter

import pytest

from aiclient2api.accounts.account import Account, AccountSettings
from aiclient2api.accounts.health import AccountState, Status
from aiclient2api.errors import (
    CredentialsRejected,
    RateLimited,
    Rejected,
    TimedOut,
)
from tests.fakes.accounts import Clock, account, anyone, fairness, out, pool, takes

ONE = AccountSettings(concurrency=1)


def only_a(one: Account) -> bool:
    return one.name == "a"


def test_equal_accounts_get_equal_shares() -> None:
    served = takes(pool(Clock(), *(account(name) for name in "abcdefgh")), 800)

    assert fairness([served[name] for name in "abcdefgh"]) >= 0.99


@pytest.mark.parametrize("gone", ["c", "ab", "aceg"])
def test_the_turns_of_those_who_are_out_are_shared_by_all_others(gone: str) -> None:
    chosen = pool(
        Clock(), *(out(account(n), Status.DISABLED, 9e9) if n in gone else account(n) for n in "abcdefgh")
    )

    served = takes(chosen, 800)

    assert fairness([served[name] for name in "abcdefgh" if name not in gone]) >= 0.98


def test_accounts_for_some_models_do_not_disturb_the_others_shares() -> None:
    some = AccountSettings(models=("claude-*",))
    chosen = pool(Clock(), account("a", some), *(account(name) for name in "bcde"))

    served = takes(chosen, 800, "gpt-5")

    assert fairness([served[name] for name in "bcde"]) >= 0.98
    assert served["a"] == 0


def test_weights_set_the_shares() -> None:
    chosen = pool(Clock(), account("a", AccountSettings(weight=3)), account("b"))

    assert takes(chosen, 400) == {"a": 300, "b": 100}


def test_shares_stay_equal_while_requests_overlap() -> None:
    chosen = pool(Clock(), *(account(name) for name in "abcd"))

    held = [chosen.take(anyone, "m", set()) for _ in range(100)]

    assert Counter(lease.account.name for lease in held if lease) == {"a": 25, "b": 25, "c": 25, "d": 25}


def test_an_account_that_was_tried_is_not_taken_again() -> None:
    chosen = pool(Clock(), account("a"), account("b"))
    tried: set[str] = set()
    for _ in range(2):
        lease = chosen.take(anyone, "m", tried)
        assert lease is not None
        tried.add(lease.account.name)

    assert tried == {"a", "b"}
    assert chosen.take(anyone, "m", tried) is None


def test_the_caller_may_refuse_accounts() -> None:
    chosen = pool(Clock(), account("a"), account("b"))

    lease = chosen.take(lambda one: one.name == "b", "m", set())

    assert lease is not None
    assert lease.account.name == "b"


def test_no_account_carries_more_than_its_limit() -> None:
    chosen = pool(Clock(), account("a", AccountSettings(concurrency=2)), account("b", ONE))

    held = [chosen.take(anyone, "m", set()) for _ in range(4)]

    assert Counter(lease.account.name for lease in held if lease) == {"a": 2, "b": 1}
    assert held[3] is None
    assert chosen.is_full(anyone, "m", set())
    assert held[0] is not None
    held[0].succeeded()
    assert not chosen.is_full(anyone, "m", {"b"})
    assert chosen.take(anyone, "m", set()) is not None


def test_only_the_first_verdict_on_a_lease_counts() -> None:
    chosen = pool(Clock(), account("a"))
    lease = chosen.take(anyone, "m", set())
    assert lease is not None

    lease.abandoned()
    lease.failed(CredentialsRejected("no"))
    lease.succeeded()

    assert lease.account.state.status is Status.HEALTHY
    assert lease.account.inflight == 0


def test_a_failure_puts_the_account_out_and_time_brings_it_back() -> None:
    clock = Clock()
    chosen = pool(clock, account("a"))
    lease = chosen.take(anyone, "m", set())
    assert lease is not None

    lease.failed(RateLimited("slow down", retry_after=10.0))

    assert chosen.take(anyone, "m", set()) is None
    clock.now += 10.5
    assert chosen.take(anyone, "m", set()) is not None


def test_exactly_one_request_probes() -> None:
    clock = Clock()
    chosen = pool(clock, out(account("a"), Status.EJECTED, 1005.0))
    clock.now = 1005.0

    probe = chosen.take(anyone, "m", set())

    assert probe is not None
    assert probe.is_probe
    assert chosen.take(anyone, "m", set()) is None
    probe.succeeded()
    assert chosen.accounts[0].state.status is Status.RAMP
    assert chosen.take(anyone, "m", set()) is not None
    assert chosen.take(anyone, "m", set()) is not None


def test_a_failing_probe_waits_longer() -> None:
    clock = Clock()
    chosen = pool(clock, out(account("a"), Status.EJECTED, 1000.0), account("b"))
    probe = chosen.take(only_a, "m", set())
    assert probe is not None

    probe.failed(TimedOut("silent"))

    assert chosen.take(only_a, "m", set()) is None
    assert chosen.accounts[0].state == AccountState(
        status=Status.EJECTED, until=1007.5, reason="upstream_timeout", step=2, since=1000.0
    )


def test_a_probe_without_verdict_leaves_its_place_to_the_next_request() -> None:
    chosen = pool(Clock(), out(account("a"), Status.COOLING, 1000.0))
    probe = chosen.take(anyone, "m", set())
    assert probe is not None
    assert chosen.take(anyone, "m", set()) is None
    probe.abandoned()

    again = chosen.take(anyone, "m", set())

    assert again is not None
    assert again.is_probe


def test_a_probe_that_is_refused_for_the_clients_mistake_proves_that_the_account_lives() -> None:
    chosen = pool(Clock(), out(account("a"), Status.COOLING, 1000.0))
    probe = chosen.take(anyone, "m", set())
    assert probe is not None

    probe.failed(Rejected("the client's mistake"))

    assert chosen.accounts[0].state.status is Status.RAMP


def test_a_probe_whose_answer_has_begun_lets_others_in() -> None:
    chosen = pool(Clock(), out(account("a"), Status.COOLING, 1000.0))
    probe = chosen.take(anyone, "m", set())
    assert probe is not None

    probe.begun()

    second = chosen.take(anyone, "m", set())
    assert second is not None
    assert not second.is_probe
    assert chosen.accounts[0].inflight == 2


def test_an_older_request_that_ends_does_not_let_a_second_probe_in() -> None:
    clock = Clock()
    chosen = pool(clock, account("a"))
    older, failing = chosen.take(anyone, "m", set()), chosen.take(anyone, "m", set())
    assert older is not None
    assert failing is not None
    failing.failed(CredentialsRejected("revoked"))
    clock.now += 1000.0
    probe = chosen.take(anyone, "m", set())
    assert probe is not None

    older.abandoned()

    assert chosen.take(anyone, "m", set()) is None
    assert chosen.accounts[0].inflight == 1


def test_an_older_request_that_succeeds_does_not_cut_the_cooling_short() -> None:
    chosen = pool(Clock(), account("a"))
    older, refused = chosen.take(anyone, "m", set()), chosen.take(anyone, "m", set())
    assert older is not None
    assert refused is not None
    refused.failed(RateLimited("slow down", retry_after=60.0))

    older.succeeded()

    assert chosen.accounts[0].overlays["m"].status is Status.COOLING
    assert chosen.take(anyone, "m", set()) is None


def test_in_panic_an_ejected_account_is_tried_all_the_same() -> None:
    chosen = pool(Clock(), out(account("a"), Status.EJECTED, 9e9), out(account("b"), Status.EJECTED, 9e9))
    assert chosen.take(anyone, "m", set()) is None

    first, second = chosen.take_in_panic(anyone, "m", set()), chosen.take_in_panic(anyone, "m", set())

    assert first is not None
    assert second is not None
    assert {first.account.name, second.account.name} == {"a", "b"}
    first.succeeded()
    assert first.account.state.status is Status.RAMP
    second.failed(TimedOut("silent"))
    assert second.account.state == AccountState(status=Status.EJECTED, until=9e9, reason="x", step=1)


@pytest.mark.parametrize("status", [Status.HEALTHY, Status.COOLING, Status.DISABLED])
def test_panic_never_falls_on_an_account_that_cools_or_is_disabled(status: Status) -> None:
    chosen = pool(Clock(), out(account("a"), Status.EJECTED, 9e9), out(account("b"), status, 9e9))

    taken = [chosen.take_in_panic(anyone, "m", set()) for _ in range(4)]

    assert {lease.account.name for lease in taken if lease} == {"a"}
    assert chosen.take_in_panic(anyone, "m", {"a"}) is None


def test_there_is_no_panic_without_accounts() -> None:
    chosen = pool(Clock(), out(account("a"), Status.EJECTED, 9e9))

    assert chosen.take_in_panic(anyone, "m", {"a"}) is None
    assert chosen.take_in_panic(lambda one: False, "m", set()) is None
