"""Which account holds a stored response: a request that continues it can only go there.

Only the Responses protocol keeps state at the provider (`previous_response_id`).
"""

from __future__ import annotations

from aiclient2api.store import keys
from aiclient2api.store.base import Store

KEEP_SECONDS = 24 * 3600.0


class Pins:
    """Response id → account name, in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def remember(self, tenant: str, response_id: str, account: str) -> None:
        """An account has answered a tenant under this id."""
        await self._store.put(keys.pin(tenant, response_id), account.encode(), KEEP_SECONDS)

    async def account_of(self, tenant: str, response_id: str) -> str | None:
        """The account that holds this response of a tenant, None when we do not know."""
        value = await self._store.get(keys.pin(tenant, response_id))
        return value.decode() if value is not None else None
