"""One node of a schedule: every call may be late, lost before or behind its effect, or the last thing it ever does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from aiclient2api.accounts.account import Account
from aiclient2api.credentials.grant import Answer, Grant, Lost, Unsent, read_answer
from aiclient2api.credentials.keeper import Keeper, Member
from aiclient2api.credentials.known import Place
from aiclient2api.credentials.record import Record
from aiclient2api.credentials.sealing import Sealer
from aiclient2api.providers.credentials import Secret
from aiclient2api.store.base import Guards, Store, StoreUnavailable, Write
from aiclient2api.store.memory import MemoryStore
from tests.fakes.accounts import account

if TYPE_CHECKING:
    from tests.credentials.world import World

T = TypeVar("T")
ACCOUNT = "sub"
LIFE = 60.0
TROUBLE = 90.0
"""Seconds in which things go wrong."""
CALM = 50.0
"""Seconds behind them, in which everything has to come right."""
TIMEOUT = 10.0
AFTER_FLUSH = 30.0
SEALER = Sealer(bytes(32))


class Odds:
    """How often what goes wrong. `crash`, `outage`, `flush`, `pause` by schedule, the others by call."""

    def __init__(self, chance: random.Random, *, harsh: bool) -> None:
        self.latency = 0.05
        self.crash = chance.random() < 0.7
        self.outages = chance.choice((0, 1, 2))
        self.outage = (1.0, 50.0) if harsh else (0.5, 4.0)
        self.flush = harsh and chance.random() < 0.3
        self.pause = chance.choice((0.0, 0.02)) if harsh else 0.0
        self.lost_lease = chance.random() < 0.2
        self.slow = chance.choice((0.0, 0.0, 0.2))
        self.lost_request = chance.choice((0.0, 0.0, 0.1))
        self.lost_answer = chance.choice((0.0, 0.0, 0.1))
        self.refusal = chance.choice((0.0, 0.2))
        self.full_disk = chance.random() < 0.1


class Disk:
    """A node's journal: survives the node, may be full for a while."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.node: Node

    def newest(self, account: str) -> Record | None:
        """See Journal."""
        return self.records.get(account)

    async def append(self, account: str, record: Record) -> None:
        """See Journal."""
        await self.node.step()
        if self.node.world.is_disk_full:
            raise OSError("the disk is full")
        known = self.records.get(account)
        if known is None or record.order > known.order:
            self.records[account] = record
        await self.node.behind()

    async def read(self) -> None:
        """See Journal."""


class NodeStore:
    """The way of one node to the store."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def _call(self, run: Callable[[MemoryStore], Awaitable[T]], *, counts: bool = True) -> T:
        node = self._node
        await node.step(counts=counts)
        if node.is_cut_off:
            raise StoreUnavailable
        result = await run(node.world.store)
        if counts:
            await node.behind()
            if node.is_cut_off or node.world.chance.random() < node.world.lost_replies:
                raise StoreUnavailable
        return result

    async def increment(self, key: str, by: int = 1, ttl: float | None = None) -> int:
        """See Store."""
        return await self._call(lambda store: store.increment(key, by, ttl))

    async def claim(self, key: str, owner: bytes, ttl: float) -> bool:
        """See Store."""
        return await self._call(lambda store: store.claim(key, owner, ttl))

    async def get(self, key: str) -> bytes | None:
        """See Store."""
        return await self._call(lambda store: store.get(key), counts=False)

    async def get_many(self, names: Sequence[str]) -> list[bytes | None]:
        """See Store."""
        node = self._node  # the look in the background: when it comes is random already
        if node.is_dead or node.is_cut_off:
            raise StoreUnavailable
        return await node.world.store.get_many(names)

    async def apply(self, writes: Sequence[Write], when: Guards | None = None) -> bool:
        """See Store."""
        guards = None if self._node.world.swaps_blindly else when
        return await self._call(lambda store: store.apply(writes, guards))


class Node:
    """One gateway; `crash_in` counts down over its calls, half of which end before their effect."""

    def __init__(self, world: World, name: str, disk: Disk, crash_in: int | None) -> None:
        self.world = world
        self.name = name
        self.disk = disk
        disk.node = self
        self.is_dead = False
        self.asking = 0
        self.crash_in = crash_in
        self.account: Account = account(ACCOUNT)
        place = Place(
            store=cast(Store, NodeStore(self)),
            journal=disk,
            sealer=SEALER,
            node=name,
            alone=False,
            now=world.loop.time,
            offset=lambda: 0.0,
            random=world.chance.random,
            rank=lambda: 0,
            tell=lambda level, event, fields: None,
            sleep=self.sleep,
            poll=0.5,
        )
        self.keeper = Keeper(place, self, world.bugs.append, every=6.0)
        self.keeper.watch([Member(self.account, world.grant, self._changed)])
        self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        await self.sleep(self.world.chance.random() * 2)
        await self.keeper.start()

    def _changed(self) -> None:
        """Nothing is used that a crash and a flush of now would take with them."""
        generation = self.account.credentials.generation
        kept = self.disk.newest(ACCOUNT)
        stored = self.world.stored()
        if generation > max(record.generation for record in (kept, stored, Record()) if record is not None):
            self.world.unkept += 1

    @property
    def is_cut_off(self) -> bool:
        """Whether the store is out of its reach."""
        return any(
            begin <= self.world.now < end and who in (None, self.name[0])
            for who, begin, end in self.world.outages
        )

    async def sleep(self, seconds: float) -> None:
        """See Place."""
        await asyncio.sleep(seconds)
        await self._stop_if_dead()

    async def _stop_if_dead(self) -> None:
        if self.is_dead:
            await self.world.end

    def die(self) -> None:
        """Without a word."""
        self.is_dead = True
        self.world.crashes += 1
        records = (self.disk.newest(ACCOUNT), self.world.stored())
        sent = [record for record in records if record and record.intent and record.intent.node == self.name]
        self.world.unknown += bool(sent)
        self.world.doubtful.update(map(self.world.refresh_of, sent))
        self.world.restart(self)

    async def step(self, *, counts: bool = True) -> None:
        """On the way to a call."""
        world = self.world
        await self._stop_if_dead()
        late = world.chance.random() * world.odds.latency
        if counts and world.chance.random() < world.odds.pause and world.now < TROUBLE:
            late += world.chance.uniform(5.0, 40.0)
        await asyncio.sleep(late)
        if counts:
            self._count()
        await self._stop_if_dead()

    async def behind(self) -> None:
        """On the way back."""
        self._count()
        await self._stop_if_dead()

    def _count(self) -> None:
        if self.crash_in is None or self.world.is_gentle:
            return
        self.crash_in -= 1
        if self.crash_in <= 0 and not self.is_dead:
            self.die()

    async def ask(
        self, grant: Grant, refresh: Secret | None, proxy: str | None = None, ca: str | None = None
    ) -> Answer:
        """The identity provider, over a network."""
        world, odds, chance = self.world, self.world.odds, self.world.chance
        assert refresh is not None
        there = chance.uniform(2.0, 14.0) if world.is_troubled and chance.random() < odds.slow else 0.05
        if world.is_troubled and chance.random() < odds.lost_request:
            if chance.random() < 0.5:
                return Unsent("connect")
            there = TIMEOUT + 1
        elif there < TIMEOUT and world.is_troubled and chance.random() < odds.refusal:
            await asyncio.sleep(there)
            return UNAVAILABLE
        arrives = there if there < TIMEOUT else chance.uniform(0.05, 9.0)
        is_lost = there >= TIMEOUT or (world.is_troubled and chance.random() < odds.lost_answer)
        is_processed = there < TIMEOUT or chance.random() < 0.5
        self.asking += 1
        try:
            await asyncio.sleep(min(arrives, TIMEOUT))
            # the request is on its way whatever becomes of its sender
            answer = world.redeem(self, refresh.reveal()) if is_processed else None
            self._count()
            await self._stop_if_dead()
            if is_lost or answer is None:
                world.unknown += 1
                world.doubtful.add(refresh.reveal())
                await asyncio.sleep(TIMEOUT - min(arrives, TIMEOUT))
                await self._stop_if_dead()
                return Lost("timeout")
        finally:
            self.asking -= 1
        return answer


UNAVAILABLE = read_answer(Grant(kind="refresh_token", token_url="https://idp.example/token"), 503, b"{}")
