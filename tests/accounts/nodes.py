"""Nodes that share a store."""

from __future__ import annotations

import msgspec

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.health import AccountState, Status
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.accounts.presence import Presence
from aiclient2api.accounts.probes import Probes
from aiclient2api.accounts.shared_state import AdminWord
from aiclient2api.accounts.surroundings import Surroundings
from aiclient2api.accounts.sync import StateSync
from aiclient2api.store import keys
from aiclient2api.store.base import Add, PutFields
from aiclient2api.store.memory import MemoryStore
from tests.fakes.accounts import Clock, account

EPOCH = 1_764_000_000.0


class Node:
    """One node's view of two accounts in one pool. Its own clock has an origin of its own."""

    def __init__(self, name: str, store: MemoryStore, clock: Clock, origin: float) -> None:
        self.clock, self.origin, self.store = clock, origin, store
        self.states = StateSync(store, name, self.now, clock)
        self.presence = Presence(store, name)
        self.probes = Probes(store, name, self.states, self.now, lambda: 0.5)
        self.restart()

    def now(self) -> float:
        return self.clock.now - self.origin

    def restart(self) -> None:
        surroundings = Surroundings(observer=self.states)
        self.accounts: list[Account] = [account("a"), account("b")]
        self.pool = AccountPool(
            "pool", self.accounts, now=self.now, random=lambda: 0.5, surroundings=surroundings
        )
        self.states.watch({"pool": self.pool})
        self.presence.watch({"pool": self.pool})

    @property
    def a(self) -> Account:
        return self.accounts[0]

    async def exchange(self) -> None:
        await self.states.tell()
        await self.states.hear()


def cooling(node: Node, seconds: float = 60.0) -> AccountState:
    return AccountState(
        status=Status.COOLING, until=node.now() + seconds, reason="quota", step=1, since=node.now()
    )


async def say(store: MemoryStore, name: str, word: AdminWord) -> None:
    await store.apply(
        [
            PutFields(keys.accounts_admin(), {name: msgspec.json.encode(word)}),
            Add(keys.accounts_version(), 1),
        ]
    )
