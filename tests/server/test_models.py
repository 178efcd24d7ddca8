from __future__ import annotations

import pytest

from aiclient2api.accounts.account import Account, AccountSettings
from aiclient2api.accounts.health import AccountState, Status
from aiclient2api.errors import MalformedMessage, Unreachable
from aiclient2api.server.models import ModelLists
from tests.fakes.accounts import Clock, account, pool


class Upstream:
    """Answers with lists by account name, and keeps a record of who was asked."""

    def __init__(self, **lists: list[str] | Exception) -> None:
        self.lists = lists
        self.asked: list[str] = []

    async def list_models(self, account: Account) -> list[str]:
        self.asked.append(account.name)
        answer = self.lists[account.name]
        if isinstance(answer, Exception):
            raise answer
        return answer


def nowhere(_: str) -> str | None:
    """No plain name leads to a pool."""
    return None


async def test_configured_names_come_first_and_nothing_twice() -> None:
    clock = Clock()
    pools = {
        "main": pool(clock, account("a")),
        "spare": pool(clock, account("b")),
    }
    pools["spare"].name = "spare"
    lists = ModelLists(
        ["fast", "main/gpt-5"], pools, Upstream(a=["gpt-5", "o3"], b=["gpt-5"]), clock, nowhere
    )

    assert await lists.names(None) == ["fast", "main/gpt-5", "main/o3", "spare/gpt-5"]
    assert await lists.names("main") == ["gpt-5", "o3"]


async def test_a_list_is_kept_for_a_while() -> None:
    clock = Clock()
    upstream = Upstream(a=["gpt-5"])
    lists = ModelLists([], {"main": pool(clock, account("a"))}, upstream, clock, nowhere)

    await lists.names("main")
    clock.now += 299.0
    await lists.names("main")
    before = len(upstream.asked)
    clock.now += 2.0
    await lists.names("main")

    assert (before, len(upstream.asked)) == (1, 2)


@pytest.mark.parametrize("failure", [Unreachable("no"), MalformedMessage("no"), TimeoutError()])
async def test_the_next_account_is_asked_when_one_fails(failure: Exception) -> None:
    clock = Clock()
    lists = ModelLists(
        [],
        {"main": pool(clock, account("a"), account("b"))},
        Upstream(a=failure, b=["gpt-5"]),
        clock,
        nowhere,
    )

    assert await lists.names("main") == ["gpt-5"]


async def test_an_account_that_is_out_is_not_asked() -> None:
    clock = Clock()
    out = account("a")
    out.state = AccountState(status=Status.DISABLED, until=9e9)
    upstream = Upstream(b=["gpt-5"])
    lists = ModelLists([], {"main": pool(clock, out, account("b"))}, upstream, clock, nowhere)

    assert await lists.names("main") == ["gpt-5"]
    assert upstream.asked == ["b"]


async def test_the_last_known_list_stays_while_nobody_answers() -> None:
    clock = Clock()
    upstream = Upstream(a=["gpt-5"])
    lists = ModelLists([], {"main": pool(clock, account("a"))}, upstream, clock, nowhere)
    await lists.names("main")
    upstream.lists["a"] = Unreachable("no")

    clock.now += 301.0
    during = await lists.names("main")
    clock.now += 14.0
    await lists.names("main")
    clock.now += 2.0
    upstream.lists["a"] = ["o3"]

    assert during == ["gpt-5"]
    assert upstream.asked == ["a", "a"]
    assert await lists.names("main") == ["o3"]


async def test_only_models_the_account_may_serve_are_listed() -> None:
    clock = Clock()
    limited = account("a", AccountSettings(models=("gpt-*",)))
    lists = ModelLists([], {"main": pool(clock, limited)}, Upstream(a=["gpt-5", "o3"]), clock, nowhere)

    assert await lists.names("main") == ["gpt-5"]


async def test_a_plain_name_is_listed_where_it_leads_to_its_pool_and_the_key_may_use_it() -> None:
    clock = Clock()
    lists = ModelLists(
        [],
        {"main": pool(clock, account("a"))},
        Upstream(a=["gpt-5", "llama"]),
        clock,
        lambda name: "main" if name == "gpt-5" else None,
    )

    assert await lists.names(None) == ["gpt-5", "main/llama"]
    assert await lists.names(None, lambda name: name.startswith("gpt-")) == ["gpt-5"]
    assert await lists.names(None, lambda name: name.startswith("main/")) == ["main/gpt-5", "main/llama"]
    listed = ["gpt-5", "main/gpt-5", "main/llama", "llama", "other/gpt-5"]
    assert [await lists.has(name, None) for name in listed] == [True, True, True, False, False]
    assert await lists.has("llama", "main")
