"""Model lists: the configured names, then `pool/model` from the upstreams' own lists, kept for a while."""

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
    ) -> None:
        self._names = tuple(names)
        self._pools = pools
        self.upstream = upstream
        self._now = now
        self._kept: dict[str, tuple[float, list[str]]] = {}

    async def names(self, pool: str | None) -> list[str]:
        """All names, or those of one pool (without its prefix)."""
        if pool is not None:
            return await self._of_pool(self._pools[pool])
        lists = await asyncio.gather(*(self._of_pool(entry) for entry in self._pools.values()))
        listed = [
            f"{entry.name}/{name}"
            for entry, names in zip(self._pools.values(), lists, strict=True)
            for name in names
        ]
        return list(dict.fromkeys((*self._names, *listed)))

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
            return served
        self._kept[pool.name] = (now + KEEP_FAILED_SECONDS, kept[1] if kept else [])
        return self._kept[pool.name][1]
