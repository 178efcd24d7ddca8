from __future__ import annotations

import pytest

from aiclient2api.accounts.account import Account, AccountSettings
from aiclient2api.accounts.health import AccountState, Status
from tests.fakes.accounts import account

NOW = 1000.0
COOLING = AccountState(status=Status.COOLING, until=1005.0, reason="rate_limit_exceeded", step=1)


def busy(one: Account, inflight: int) -> Account:
    one.inflight = inflight
    return one


def ill(one: Account, state: AccountState) -> Account:
    one.state = state
    return one


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        pytest.param(account("a"), None, id="fine"),
        pytest.param(account("a", AccountSettings(models=("gpt-*",))), None, id="serves the model"),
        pytest.param(
            account("a", AccountSettings(models=("claude-*", "o3"))),
            "model not in its list",
            id="not its model",
        ),
        pytest.param(ill(account("a"), COOLING), "cooling for 5s (rate_limit_exceeded)", id="cooling"),
        pytest.param(
            ill(account("a"), AccountState(status=Status.COOLING, until=NOW)), None, id="due for its probe"
        ),
        pytest.param(
            ill(
                account("a"),
                AccountState(
                    status=Status.HALF_OPEN, before=Status.EJECTED, until=NOW + 9, reason="upstream_timeout"
                ),
            ),
            "being probed after upstream_timeout",
            id="being probed",
        ),
        pytest.param(
            busy(account("a", AccountSettings(concurrency=2)), 2), "at its concurrency limit", id="full"
        ),
        pytest.param(busy(account("a", AccountSettings(concurrency=2)), 1), None, id="not full yet"),
    ],
)
def test_an_account_says_why_it_cannot_serve(one: Account, reason: str | None) -> None:
    assert one.why_not("gpt-5", NOW) == reason


@pytest.mark.parametrize(
    ("client", "spoken"),
    [("openai_responses", "openai_responses"), ("openai_chat", "openai_chat"), ("gemini", "openai_chat")],
)
def test_a_client_is_served_in_its_own_protocol_where_possible(client: str, spoken: str) -> None:
    assert account("a").protocol_for(client) == spoken


def test_the_configuration_limits_the_protocols() -> None:
    one = account("a", AccountSettings(protocols=("openai_responses",)))

    assert one.protocols == ("openai_responses",)
    assert one.protocol_for("openai_chat") == "openai_responses"


def test_an_account_is_ready_when_it_is_not_out() -> None:
    assert account("a").can_serve(NOW)
    assert busy(account("a"), 64).can_serve(NOW)
    assert not ill(account("a"), COOLING).can_serve(NOW)
    assert ill(account("a"), COOLING).can_serve(1005.0)


def test_an_account_shows_its_health_and_no_secret() -> None:
    assert repr(ill(account("a"), COOLING)) == "Account('a', cooling)"
