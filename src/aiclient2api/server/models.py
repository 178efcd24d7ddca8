"""Model lists: the configured names, then the upstreams' own lists, kept for a while.

A model is listed by its plain name where that leads to its pool, else as `pool/model`; both are answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.errors import GatewayError, MalformedMessage

KEEP_SECONDS = 300.0
KEEP_FAILED_SECONDS = 15.0
ASK_SECONDS = 10.0


class AsksUpstream(Protocol):
    """Fetches one account's own list."""

    async def list_models(self, account: Account) -> list[str]:
        """Model names. Raises GatewayError."""
        ...


class ModelLists:
    """Names for `GET …/models`."""

    def __init__(
        self,
        names: Sequence[str],
        pools: Mapping[str, AccountPool],
        upstream: AsksUpstream,
        now: Callable[[], float],
        leads_to: Callable[[str], str | None],
    ) -> None:
        """`leads_to` is the one pool that a plain name leads to, under the same name."""
        self._names = tuple(names)
        self._pools = pools
        self.upstream = upstream
        self._now = now
        self._leads_to = leads_to
        self._kept: dict[str, tuple[float, list[str]]] = {}
        self._plain = dict.fromkeys(pools, frozenset[str]())

    async def names(self, pool: str | None, allows: Callable[[str], bool] = lambda _: True) -> list[str]:
        """All names that a key allows, or those of one pool (without its prefix)."""
        forms = await self._forms(pool)
        listed = [next(filter(allows, each), None) for each in forms]
        return list(dict.fromkeys(name for name in listed if name is not None))

    async def has(self, name: str, pool: str | None) -> bool:
        """Whether a name is listed, however it is written."""
        return any(name in each for each in await self._forms(pool))

    async def _forms(self, pool: str | None) -> list[tuple[str, ...]]:
        """What each model may be called, the shortest first."""
        if pool is not None:
            return [(name,) for name in await self._of_pool(self._pools[pool])]
        pools = self._pools.values()
        lists = await asyncio.gather(*map(self._of_pool, pools))
        return [
            *((name,) for name in self._names),
            *(
                (name, f"{entry.name}/{name}")
                if name in self._plain[entry.name]
                else (f"{entry.name}/{name}",)
                for entry, names in zip(pools, lists, strict=True)
                for name in names
            ),
        ]

    async def _of_pool(self, pool: AccountPool) -> list[str]:
        kept = self._kept.get(pool.name)
        now = self._now()
        if kept is not None and kept[0] > now:
            return kept[1]
        for account in pool.accounts:
            if not account.can_serve(now):
                continue
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    names = await self.upstream.list_models(account)
            except (GatewayError, MalformedMessage, TimeoutError):
                continue
            served = [name for name in names if account.serves(name)]
            self._kept[pool.name] = (now + KEEP_SECONDS, served)
            self._plain[pool.name] = frozenset(name for name in served if self._leads_to(name) == pool.name)
            return served
        self._kept[pool.name] = (now + KEEP_FAILED_SECONDS, kept[1] if kept else [])
        return self._kept[pool.name][1]
