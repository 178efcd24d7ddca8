"""Three nodes, their disks, a store and an identity provider in one random schedule on a virtual clock.

The code under test is the real keeper on the real memory store. What is imagined is the world around it: every call may
be late, lost before or behind its effect, or the last thing its node ever does.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any, cast

from aiclient2api.accounts.account import Cause
from aiclient2api.credentials.grant import Answer, Grant, read_answer
from aiclient2api.credentials.record import Record, decode, unseal
from aiclient2api.providers.credentials import Secret
from aiclient2api.store import keys
from aiclient2api.store.memory import MemoryStore
from aiclient2api.wire.json import encode as to_json
from tests.credentials.node import ACCOUNT, AFTER_FLUSH, CALM, LIFE, SEALER, TROUBLE, Disk, Node, Odds
from tests.credentials.virtual import VirtualLoop
from tests.fakes.identity import IdentityProvider

MOST = 600.0
"""Seconds after which a schedule ends even if an account still waits for its token: longer than any rest in it."""


class World:
    """One schedule, made of its seed."""

    swaps_blindly = False
    """The store forgets to compare, to see whether the schedules notice."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seed: int, *, harsh: bool) -> None:
        self.loop = loop
        self.began = loop.time()
        self.chance = random.Random(seed)
        self.odds = Odds(self.chance, harsh=harsh)
        self.idp = IdentityProvider(loop.time, life=LIFE, grace=0.0 if harsh else 60.0)
        self.grant = Grant(
            kind="refresh_token",
            token_url="https://idp.example/token",
            client_id="gateway",
            refresh_token=Secret(self.idp.enrol()),
            reuse=0.0 if harsh else 30.0,
        )
        self.store = MemoryStore(loop.time, wall=loop.time)
        self.end: asyncio.Future[None] = loop.create_future()
        self.bugs: list[BaseException] = []
        self.crashes = self.unknown = self.unkept = self.flushes = self.wasted = 0
        self.doubtful: set[str] = set()
        """Refresh tokens that were sent, or may have been, and nobody knows what came of it."""
        self.lost_replies = 0.0
        self.calm_until = 0.0
        self.outages: list[tuple[str | None, float, float]] = []
        self.is_disk_full = False
        self.nodes: list[Node] = []

    @property
    def now(self) -> float:
        """Seconds since this schedule began."""
        return self.loop.time() - self.began

    @property
    def is_troubled(self) -> bool:
        """Whether things may go wrong now."""
        return self.now < TROUBLE

    @property
    def is_gentle(self) -> bool:
        """Whether crashes have to wait: the trouble is over, or the store was just emptied."""
        return not self.is_troubled or self.now < self.calm_until

    def stored(self) -> Record | None:
        """What the store has."""
        return decode(cast(Any, self.store)._bytes(keys.credential(ACCOUNT)))

    def redeem(self, node: Node, refresh: str) -> Answer:
        """The identity provider's end."""
        before = len(self.idp.revoked)
        status, members = self.idp.redeem(refresh)
        if len(self.idp.revoked) > before:
            # whether the successor is still somewhere: if not, the account was lost before
            records = [each.disk.newest(ACCOUNT) for each in self.nodes] + [self.stored()]
            self.wasted += any(self._knows(record, self.idp.successor(refresh)) for record in records)
        return read_answer(self.grant, status, to_json(members))

    def _knows(self, record: Record | None, refresh: str) -> bool:
        return record is not None and self.refresh_of(record) == refresh

    def refresh_of(self, record: Record) -> str:
        """The refresh token that comes next."""
        kept = unseal(record, SEALER, ACCOUNT).refresh or self.grant.refresh_token
        assert kept is not None
        return kept.reveal()

    def restart(self, node: Node) -> None:
        """Its disk comes back after a while, under a new name."""
        later = self.chance.uniform(0.5, 60.0)
        if self.now + later > TROUBLE + 5:
            later = max(0.5, TROUBLE - self.now)
        self.loop.call_later(later, self._begin, node.name[0], node.disk, node)

    def _begin(self, letter: str, disk: Disk, before: Node | None) -> None:
        if self.end.done():
            return
        if before is not None:
            self.nodes.remove(before)
        again = self.chance.randrange(1, 40) if self.odds.crash and self.chance.random() < 0.4 else None
        crash = (
            self.chance.randrange(1, 30)
            if before is None and self.odds.crash and self.chance.random() < 0.6
            else again
        )
        self.nodes.append(Node(self, f"{letter}{self.chance.randrange(10**6)}", disk, crash))

    def plan(self) -> None:
        """When what happens to all of them."""
        chance, odds = self.chance, self.odds
        for _ in range(odds.outages):
            begin, length = chance.uniform(0, TROUBLE - 10), chance.uniform(*odds.outage)
            self.outages.append((chance.choice((None, "a", "b", "c")), begin, min(begin + length, TROUBLE)))
        self.lost_replies = chance.choice((0.0, 0.02))
        if odds.flush:
            self.loop.call_later(chance.uniform(10, TROUBLE - 40), self._flush, chance.random() < 0.5)
        if odds.lost_lease:
            for _ in range(5):
                self.loop.call_later(chance.uniform(0, TROUBLE), self._lose_lease)
        if odds.full_disk:
            begin = chance.uniform(0, TROUBLE - 20)
            self.loop.call_later(begin, self._set_full, True)
            self.loop.call_later(begin + chance.uniform(1, 40), self._set_full, False)
        self.loop.call_later(TROUBLE, self._calm)

    def _calm(self) -> None:
        self.lost_replies, self.outages, self.is_disk_full = 0.0, [], False

    def _set_full(self, is_full: bool) -> None:
        self.is_disk_full = is_full and self.is_troubled

    def _lose_lease(self) -> None:
        cast(Any, self.store)._entries.pop(keys.credential_lease(ACCOUNT), None)

    def _flush(self, waits: bool) -> None:
        """Emptied, as by an operator's mistake: one fault at a time, the others wait half a minute.

        `waits`: in the very moment in which a node asks.
        """
        stored = self.stored()
        if waits and (stored is None or stored.intent is None) and self.now < TROUBLE - AFTER_FLUSH:
            self.loop.call_later(0.02, self._flush, True)
            return
        quiet = all(not (end > self.now and begin < self.now + AFTER_FLUSH) for _, begin, end in self.outages)
        knows = [node for node in self.nodes if not node.is_dead and node.disk.newest(ACCOUNT) is not None]
        is_orphaned = (
            stored is not None
            and stored.intent is not None
            and not any(node.name == stored.intent.node and not node.is_dead for node in self.nodes)
        )
        if not quiet or len(knows) < 3 or is_orphaned or self.is_disk_full:
            return
        self.flushes += 1
        self.calm_until = self.now + AFTER_FLUSH
        cast(Any, self.store)._entries.clear()

    async def run(self) -> None:
        """All of it."""
        self.plan()
        for letter in "abc":
            self._begin(letter, Disk(), None)
        await asyncio.sleep(TROUBLE + CALM)
        await self._come_to_an_end()
        self.report()
        self.end.cancel()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _come_to_an_end(self) -> None:
        """Who was refused time after time rests for longer than the calm lasts: is there a token for all after it?"""
        while self.now < MOST and self._verdicts() not in ({None}, {Cause.DISABLED}):
            await asyncio.sleep(1.0)

    def _verdicts(self) -> set[Cause | None]:
        """What stands before the account on any of the nodes."""
        obstacles = [node.account.token_obstacle for node in self.nodes]
        return {obstacle.cause if obstacle else None for obstacle in obstacles}

    def report(self) -> None:
        """What came of it."""
        records = [record for node in self.nodes if (record := node.disk.newest(ACCOUNT))]
        self.generations = max((record.generation for record in records), default=0)
        self.accepted = len(self.idp.uses)
        self.twice = sum(count > 1 for count in self.idp.uses.values())
        stored = self.stored()
        self.in_flight = stored is not None and stored.intent is not None
        out = [node for node in self.nodes if node.account.token_obstacle is not None]
        self.without_token = [node.name for node in out]
        self.without_reason = [node.name for node in out if not self._is_explained(node)]

    def _is_explained(self, node: Node) -> bool:
        """Whether all nodes gave up a refresh token whose outcome nobody knew, or that is void with its family."""
        if self._verdicts() != {Cause.DISABLED}:
            return False
        (known,) = node.keeper
        return self.refresh_of(known.record) in self.doubtful or bool(self.idp.revoked)

    def faults(self) -> list[str]:
        """What must never be."""
        is_strict = self.grant.reuse == 0
        surplus = self.accepted - self.generations
        wrong = {
            "an error of ours": bool(self.bugs),
            "a token was used before it was kept": self.unkept > 0,
            "a family was revoked": bool(self.idp.revoked) if is_strict else self.wasted > self.crashes,
            "a refresh token was used twice": is_strict and self.twice > 0,
            "a generation was fetched twice": surplus > self.unknown + self.in_flight,
            "an account was lost without a reason": bool(self.without_reason),
        }
        return [name for name, is_so in wrong.items() if is_so]


def play(loop: VirtualLoop, seed: int, *, harsh: bool) -> World:
    """One schedule from beginning to end; `harsh` for a strict provider and long outages."""
    world = World(loop, seed, harsh=harsh)
    loop.run_until_complete(world.run())
    return world
