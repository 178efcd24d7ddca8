"""Which nodes are there, what they have under way, and what share of an account's limit is ours."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.store import keys
from aiclient2api.store.base import Delete, PutFields, Rank, Store, Unrank, Write

EVERY: Final = 2.0
KEPT: Final = 8.0
"""Seconds after which a node that was not heard of is gone, and what it had under way with it."""
GATHERING: Final = int(KEPT / EVERY)
"""Looks after which those that start together with us are there, or will not be."""


class Presence:
    """This node among the others. `live` stays what it was while the store is away."""

    def __init__(self, store: Store, node: str) -> None:
        self._store = store
        self._node = node
        self._accounts: tuple[Account, ...] = ()
        self._together = 1
        self._looks = 0
        self.live = 1
        self.rank = 0
        """Our place among them, by name."""

    def expect(self, together: int) -> None:
        """So many start at the same time, the workers of one machine: each would take a whole limit until it sees the
        others.
        """
        self._together = self.live = together

    def watch(self, pools: Mapping[str, AccountPool]) -> None:
        """These are the accounts now."""
        self._accounts = tuple(account for pool in pools.values() for account in pool.accounts)
        self._share()

    async def appear(self) -> None:
        """Say that we are there, and see who else is. Raises StoreUnavailable."""
        now = await self._store.time()
        busy = {
            account.name: str(account.inflight).encode() for account in self._accounts if account.inflight
        }
        inflight = keys.node_inflight(self._node)
        writes: list[Write] = [
            Rank(keys.nodes(), self._node, now, drop_below=now - KEPT),
            Delete(inflight),
            PutFields(inflight, busy, KEPT),
        ]
        await self._store.apply(writes)
        ranked = await self._store.ranked(keys.nodes(), now - KEPT)
        nodes = [name for name, seen in ranked if seen <= now + KEPT]  # later: by a clock that was wrong
        self._looks += 1
        self.live = max(1, len(nodes), self._together if self._looks <= GATHERING else 1)
        self.rank = sum(name < self._node for name in nodes)
        self._share()

    def _share(self) -> None:
        """An account's limit is for all nodes together."""
        for account in self._accounts:
            share = ceil(account.settings.concurrency / self.live)
            if share != account.concurrency:
                was_full = account.limit >= account.concurrency
                account.concurrency = share
                account.limit = float(share) if was_full else min(account.limit, float(share))

    async def leave(self) -> None:
        """Others need not wait until we are missed. Raises StoreUnavailable."""
        await self._store.apply([Unrank(keys.nodes(), (self._node,)), Delete(keys.node_inflight(self._node))])
