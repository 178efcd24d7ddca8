"""One probe of an account among all nodes: who may send it is decided before it is due, not by a request.

A node that may not probe sees the account as out for a moment longer; by then it knows what the other found out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.health import Status
from aiclient2api.accounts.sync import StateSync
from aiclient2api.store import keys
from aiclient2api.store.base import Store, StoreUnavailable

CLAIMED: Final = 30.0
"""Seconds for which one node alone may probe."""
AHEAD: Final = 0.35
"""Seconds before an account is due at which it is decided who probes it."""
LATER: Final = 1.0
"""Seconds for which the others leave it alone, and look again."""
PATIENCE: Final = 3.0
"""Seconds after which a node that has no request to probe with lets another one try."""
NEVER: Final = float("inf")


class Probes:
    """The claims of this node. `now` is the pools' clock."""

    def __init__(
        self,
        store: Store,
        node: str,
        states: StateSync,
        now: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._store = store
        self._node = node.encode()
        self._states = states
        self._now = now
        self._random = random
        self._held: dict[str, float] = {}
        """Account to when it was claimed."""

    async def decide(self, live: int) -> None:
        """Claim what will be due, release what is over. Raises StoreUnavailable; then everybody probes."""
        if live == 1 and not self._held:
            return
        now = self._now()
        for _, account in self._states.accounts():
            if account.name in self._held:
                await self._follow(account, now)
            elif live > 1 and _is_due(account, now + AHEAD):
                if await self._claimed(keys.probe(account.name)):
                    self._held[account.name] = now
                else:
                    self._postpone(account, now + LATER)

    async def _claimed(self, key: str) -> bool:
        """Whether it is ours: now, or since an earlier try whose answer got lost."""
        return await self._store.claim(key, self._node, CLAIMED) or await self._store.get(key) == self._node

    async def _follow(self, account: Account, now: float) -> None:
        """A claim lasts as long as the probe, and not much longer without one."""
        claimed = self._held[account.name]
        if account.state.status is Status.HALF_OPEN:
            if now - claimed > CLAIMED / 2:
                await self._store.update(keys.probe(account.name), lambda old: old or self._node, CLAIMED)
                self._held[account.name] = now
            return
        is_out = account.state.needs_probe and account.state.until <= now + AHEAD
        if is_out and now - claimed < PATIENCE * (1 + self._random()):
            return
        if is_out:
            self._postpone(account, now + LATER)
        del self._held[account.name]
        await self._states.tell()  # the others learn the verdict before they may claim
        await self._store.update(keys.probe(account.name), self._without_us)

    def _without_us(self, old: bytes | None) -> bytes | None:
        return None if old == self._node else old

    def _postpone(self, account: Account, until: float) -> None:
        self._states.postpone(account, msgspec.structs.replace(account.state, until=until))

    async def release(self) -> None:
        """Give back all claims."""
        held, self._held = self._held, {}
        for name in held:
            try:
                await self._store.update(keys.probe(name), self._without_us)
            except StoreUnavailable:
                return


def _is_due(account: Account, when: float) -> bool:
    state = account.state
    return state.needs_probe and state.status is not Status.HALF_OPEN and state.until <= when
