"""The side table asks the store only for turns that this process does not know, waits shortly, and stays small."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from aiclient2api.gateway.carried import ABSENT_SECONDS, KEEP_SECONDS, MAX_KNOWN_BYTES, PATIENCE, Carried
from aiclient2api.protocols.builtin import BUILTIN
from aiclient2api.protocols.conversion import Inbound
from aiclient2api.store import keys
from aiclient2api.store.base import StoreUnavailable
from aiclient2api.store.memory import MemoryStore
from aiclient2api.store.write_behind import WriteBehind
from aiclient2api.wire.http import JSON_HEADERS, WireRequest
from tests.fakes.accounts import Clock

CHAT = next(converter for converter in BUILTIN if converter.name == "openai_chat")


class Watched(MemoryStore):
    """Remembers what it was asked for, and can be out or silent."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.asked: list[list[str]] = []
        self.is_out = False
        self.is_silent = False

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        self.asked.append(list(keys))
        if self.is_out:
            raise StoreUnavailable("out")
        if self.is_silent:
            await asyncio.Event().wait()
        return await super().get_many(keys)


class Node:
    """One process's side table."""

    def __init__(self, store: Watched, clock: Clock) -> None:
        self.store = store
        self.writes = WriteBehind(store)
        self.carried = Carried(store, self.writes, clock)

    async def found(self, *calls: str, tenant: str = "alice") -> dict[str, bytes]:
        inbound = history(*calls, tenant=tenant)
        await self.carried.fetch(inbound)
        assert inbound.records is not None
        return inbound.records


def history(*calls: str, tenant: str = "alice") -> Inbound:
    messages: list[dict[str, Any]] = [{"role": "user", "content": "hi"}]
    for call in calls:
        made = {"id": call, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        messages += [
            {"role": "assistant", "content": None, "tool_calls": [made]},
            {"role": "tool", "tool_call_id": call, "content": "1"},
        ]
    body = json.dumps({"model": "m", "messages": messages}).encode()
    return Inbound(CHAT, WireRequest(path="/v1/chat/completions", body=body, headers=JSON_HEADERS), tenant)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def node(clock: Clock) -> Node:
    return Node(Watched(clock), clock)


async def test_our_own_turns_are_at_hand_whatever_they_held(node: Node) -> None:
    node.carried.remember("alice", "a", b"signed")
    node.carried.remember("alice", "b", None)
    assert await node.found("a", "b") == {"a": b"signed"}
    assert await node.found() == {}
    assert node.store.asked == []


async def test_another_nodes_turns_are_asked_for_once(node: Node, clock: Clock) -> None:
    other = Node(node.store, clock)
    other.carried.remember("alice", "a", b"signed")
    await other.writes.flush()

    assert await node.found("a", "b") == {"a": b"signed"}
    assert await node.found("a", "b") == {"a": b"signed"}
    assert node.store.asked == [[keys.carried("alice", "b"), keys.carried("alice", "a")]]

    clock.now += ABSENT_SECONDS + 1
    await node.found("a", "b")
    assert node.store.asked[1:] == [[keys.carried("alice", "b")]], "what was not there may have come"


async def test_another_tenant_finds_nothing(node: Node) -> None:
    node.carried.remember("alice", "a", b"signed")
    await node.writes.flush()
    assert await node.found("a", tenant="bob") == {}


async def test_a_store_that_is_out_or_silent_costs_no_answer(node: Node) -> None:
    node.carried.remember("alice", "a", b"signed")
    node.store.is_out = True
    assert await node.found("a", "b") == {"a": b"signed"}
    node.store.is_out, node.store.is_silent = False, True
    async with asyncio.timeout(PATIENCE * 50):
        assert await node.found("a", "b") == {"a": b"signed"}


async def test_a_turn_is_kept_while_it_is_in_use(node: Node, clock: Clock) -> None:
    node.carried.remember("alice", "a", b"signed")
    await node.writes.flush()
    for _ in range(3):
        clock.now += KEEP_SECONDS * 0.6
        assert await node.found("a") == {"a": b"signed"}
        await node.writes.flush()
    assert await node.store.get(keys.carried("alice", "a")) == b"signed"

    clock.now += KEEP_SECONDS + 1
    assert await node.found("a") == {}
    assert await node.store.get(keys.carried("alice", "a")) is None


async def test_what_is_at_hand_is_bounded_and_the_store_has_the_rest(node: Node) -> None:
    record = bytes(MAX_KNOWN_BYTES // 4)
    for call in "abcdef":
        node.carried.remember("alice", call, record)
        await node.writes.flush()
    assert await node.found("f") == {"f": record}
    assert node.store.asked == []
    assert await node.found("a") == {"a": record}
    assert node.store.asked == [[keys.carried("alice", "a")]]


async def test_a_history_that_is_malformed_is_left_to_the_conversion(node: Node) -> None:
    body = b'{"model":"m","messages":[{"role":"assistant","tool_calls":7}]}'
    inbound = Inbound(
        CHAT, WireRequest(path="/v1/chat/completions", body=body, headers=JSON_HEADERS), "alice"
    )
    await node.carried.fetch(inbound)
    assert inbound.records == {}


async def test_switched_off_it_keeps_nothing(node: Node, clock: Clock) -> None:
    carried = Carried(node.store, node.writes, clock, is_on=False)
    carried.remember("alice", "a", b"signed")
    inbound = history("a")
    await carried.fetch(inbound)
    assert inbound.records == {}
    assert node.store.asked == []
    assert node.writes.is_empty
