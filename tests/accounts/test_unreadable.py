"""What stands in the store and cannot be read is told once, and neither obeyed nor lost."""

from __future__ import annotations

from typing import Any

import pytest

from aiclient2api.accounts.health import HEALTHY, Status
from aiclient2api.accounts.shared_state import AdminWord
from aiclient2api.store import keys
from aiclient2api.store.base import Add, PutFields
from aiclient2api.store.memory import MemoryStore
from tests.accounts.nodes import EPOCH, Node, cooling, say
from tests.fakes.accounts import Clock

Told = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def node(store: MemoryStore, clock: Clock, told: Told) -> Node:
    node = Node("n1", store, clock, EPOCH - 500.0)
    node.states.told = lambda level, event, **fields: told.append((event, fields))
    return node


async def hear_again(node: Node, store: MemoryStore) -> None:
    await store.apply([Add(keys.accounts_version(), 1)])
    await node.states.hear()


async def test_an_admins_word_that_cannot_be_read_is_told_and_the_last_one_goes_on(
    node: Node, store: MemoryStore, told: Told
) -> None:
    await say(store, "a", AdminWord(disabled=True, at=EPOCH, by="me"))
    await node.states.hear()
    for value in (b"{cut", b"{cut", b"\xff"):
        await store.apply([PutFields(keys.accounts_admin(), {"a": value})])
        await hear_again(node, store)

    assert node.a.state.status is Status.DISABLED
    remedy = "aiclient2api accounts disable a, or enable a, writes it anew"
    assert told == [("account_word_unreadable", {"account": "a", "disabled": True, "remedy": remedy})] * 2
    assert await store.fields(keys.accounts_admin()) == {"a": b"\xff"}


async def test_an_account_whose_only_word_cannot_be_read_is_enabled_and_that_is_told(
    node: Node, store: MemoryStore, told: Told
) -> None:
    await store.apply([PutFields(keys.accounts_admin(), {"a": b"{cut"})])
    await node.states.hear()
    assert node.a.state == HEALTHY
    assert [(event, fields["disabled"]) for event, fields in told] == [("account_word_unreadable", False)]

    await say(store, "a", AdminWord(disabled=True, at=EPOCH, by="me"))  # the remedy
    await node.states.hear()
    assert node.a.state.status is Status.DISABLED


async def test_a_state_that_cannot_be_read_is_told_and_kept_aside_when_it_is_written_over(
    node: Node, store: MemoryStore, told: Told
) -> None:
    key = keys.account_state("a")
    await store.put(key, b"{cut")
    await hear_again(node, store)
    await hear_again(node, store)
    assert node.a.state == HEALTHY
    assert told == [("account_state_unreadable", {"account": "a"})]

    node.a.adopt(cooling(node))
    await node.exchange()

    event, fields = told[1]
    assert (event, fields["key"]) == ("store_value_foreign", key)
    assert await store.get(fields["moved_to"]) == b"{cut"
    assert b"cooling" in (await store.get(key) or b"")
