"""Which account holds a stored response: a request that continues it can only go there.

Only the Responses protocol keeps state at the provider (`previous_response_id`). Relayed conversations are remembered
in the same way (sessions.py), where it is a preference.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiclient2api.store import keys
from aiclient2api.store.base import Store, StoreUnavailable
from aiclient2api.store.write_behind import WriteBehind

KEEP_SECONDS: Final = 24 * 3600.0
MAX_KNOWN: Final = 10_000
"""Responses of this process whose account is known without asking the store."""
PATIENCE: Final = 0.1
"""Seconds that a request waits for the store, for a response that another node got."""


class Pins:
    """Response id → account name: our own at hand, the others' in the store."""

    def __init__(self, store: Store, writes: WriteBehind) -> None:
        self._store = store
        self._writes = writes
        self._known: dict[str, str] = {}

    def remember(self, tenant: str, response_id: str, account: str) -> None:
        """An account has answered a tenant under this id."""
        key = keys.pin(tenant, response_id)
        if self._known.get(key) == account:
            return
        self._known[key] = account
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._writes.put(key, account.encode(), KEEP_SECONDS)

    async def account_of(self, tenant: str, response_id: str) -> str | None:
        """The account that holds this response of a tenant, None when we do not know."""
        key = keys.pin(tenant, response_id)
        known = self._known.get(key)
        if known is not None:
            return known
        try:
            async with asyncio.timeout(PATIENCE):
                value = await self._store.get(key)
        except (StoreUnavailable, TimeoutError):
            return None
        return value.decode("utf-8", "replace") if value is not None else None
