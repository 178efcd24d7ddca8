"""Nodes, a store that comes and goes, and a client that asks where it likes: the stated bound holds."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from math import ceil

import pytest

from aiclient2api.errors import OverLimit
from aiclient2api.gateway.exchange import Exchange
from aiclient2api.keys.limiter import KeyLimiter
from aiclient2api.keys.ring import ClientKey, KeyLimits
from aiclient2api.keys.sharing import UseSharing
from aiclient2api.protocols.conversion import Inbound
from aiclient2api.protocols.registry import converters
from aiclient2api.store.base import StoreUnavailable
from aiclient2api.store.memory import MemoryStore
from aiclient2api.wire.http import WireRequest

START = 1_800_000_000.0
CHAT = next(each for each in converters() if each.name == "openai_chat")


class Coming(MemoryStore):
    """A store that answers when it likes."""

    def __init__(self, answers: Callable[[], bool]) -> None:
        super().__init__(time.monotonic)
        self._answers = answers

    async def fields(self, key: str) -> dict[str, bytes]:
        if not self._answers():
            raise StoreUnavailable("away")
        return await super().fields(key)


class World:
    """Requests are drawn; each is under way until it is ended."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = START
        reach = self.random.choice((0.0, 0.3, 0.9, 1.0))
        self.store = Coming(lambda: self.random.random() < reach)
        self.nodes = [self._node(number) for number in range(self.random.randint(1, 5))]
        self.under_way: list[tuple[KeyLimiter, Exchange]] = []

    def _node(self, number: int) -> tuple[KeyLimiter, UseSharing]:
        limiter = KeyLimiter(lambda: self.now, lambda: 0.0)
        limiter.nodes = lambda: len(self.nodes)
        return limiter, UseSharing(self.store, f"n{number}", limiter, lambda: self.now)

    def ask(self, key: ClientKey, number: int, output: int = 10) -> bool:
        """Whether a request was let in somewhere."""
        limiter, _ = self.random.choice(self.nodes)
        exchange = Exchange(request_id=f"r{number}", protocol="openai_chat", started=self.now)
        body = b'{"model":"m","messages":[],"max_tokens":%d}' % output
        wire = WireRequest(path="/v1/chat/completions", body=body)
        try:
            limiter.reserve(key, Inbound(CHAT, wire, tenant="ci"), exchange)
        except OverLimit:
            return False
        self.under_way.append((limiter, exchange))
        return True

    def end_one(self) -> None:
        if self.under_way:
            limiter, exchange = self.under_way.pop(self.random.randrange(len(self.under_way)))
            limiter.ended(exchange)

    def talk(self) -> None:
        _, sharing = self.random.choice(self.nodes)
        try:
            asyncio.run(sharing.exchange())
        except StoreUnavailable:
            sharing.lost()

    def bound(self, limit: int, largest: int = 1) -> int:
        count = len(self.nodes)
        return limit + (count - 1) * max(ceil(limit / count), largest)


def key(limits: KeyLimits) -> ClientKey:
    return ClientKey(name="ci", hash=b"", limits=limits)


@pytest.mark.parametrize("seed", range(60))
def test_requests_of_a_minute_stay_within_the_bound(seed: int) -> None:
    world = World(seed)
    limit = world.random.randint(1, 60)
    asked = key(KeyLimits(requests=limit))
    served = 0
    for number in range(4 * limit + 20):
        served += world.ask(asked, number)
        if world.random.random() < 0.2:
            world.talk()

    assert served <= world.bound(limit)
    assert served >= min(limit // len(world.nodes), 1)


@pytest.mark.parametrize("seed", range(60))
def test_what_is_under_way_stays_within_the_bound_while_requests_come_and_end(seed: int) -> None:
    world = World(seed)
    limit = world.random.randint(1, 20)
    asked = key(KeyLimits(concurrency=limit))
    for number in range(300):
        world.ask(asked, number)
        assert len(world.under_way) <= world.bound(limit)
        if world.random.random() < 0.4:
            world.end_one()
        if world.random.random() < 0.3:
            world.talk()
        world.now += world.random.random() / 4

    while world.under_way:
        world.end_one()
    assert all(limiter.uses["ci"].slots.mine == 0 for limiter, _ in world.nodes if limiter.uses)


@pytest.mark.parametrize("seed", range(60))
def test_reserved_tokens_stay_within_the_bound(seed: int) -> None:
    world = World(seed)
    limit = world.random.randint(100, 1000)
    asked = key(KeyLimits(tokens=limit))
    reserved, largest = 0, 0
    for number in range(200):
        output = world.random.randint(1, limit)
        needed = min(limit, output + ceil(len(b'{"model":"m","messages":[],"max_tokens":%d}' % output) / 4))
        if world.ask(asked, number, output):
            reserved, largest = reserved + needed, max(largest, needed)
        if world.random.random() < 0.2:
            world.talk()

    assert reserved <= world.bound(limit, largest)


def test_a_place_that_others_wait_for_is_told_at_once() -> None:
    world = World(1)
    hurries: list[int] = []
    limiter = KeyLimiter(lambda: world.now, lambda: 0.0)
    limiter.nodes, limiter.hurry = lambda: 2, lambda: hurries.append(1)
    world.nodes = [(limiter, UseSharing(world.store, "n", limiter, lambda: world.now))]
    asked = key(KeyLimits(concurrency=2))
    assert world.ask(asked, 1)
    limiter.uses["ci"].slots.heard = 1
    hurries.clear()

    world.end_one()
    assert hurries == [], "there was another place"

    assert world.ask(asked, 2)
    limiter.uses["ci"].slots.others = 1
    hurries.clear()
    world.end_one()
    assert hurries == [1]
