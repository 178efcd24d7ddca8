"""The side table in the store: what assistant turns held beside their words, for clients that leave it out."""

from __future__ import annotations

import asyncio
from typing import Final

from msgspec import Struct

from aiclient2api.errors import MalformedMessage
from aiclient2api.gateway.pins import Pins
from aiclient2api.protocols.conversion import Inbound
from aiclient2api.protocols.side_table import wanted
from aiclient2api.store import keys
from aiclient2api.store.base import Store, StoreUnavailable
from aiclient2api.store.write_behind import WriteBehind

KEEP_SECONDS: Final = 24 * 3600.0
MAX_KNOWN_BYTES: Final = 16 * 1024 * 1024
"""Records of this process that are at hand without asking the store."""
PATIENCE: Final = 0.1
"""Seconds that a request waits for the store, for turns that another node got."""


class Traces(Struct, frozen=True):
    """What answers leave behind for the requests that follow them."""

    pins: Pins
    carried: Carried


class Carried:
    """Tool-call id → record, bound to the tenant: our own at hand, the others' in the store."""

    def __init__(self, store: Store, writes: WriteBehind) -> None:
        self._store = store
        self._writes = writes
        self._known: dict[str, bytes] = {}
        self._size = 0

    def remember(self, tenant: str, call_id: str, record: bytes) -> None:
        """An answer was complete. Never waits: the store is written behind."""
        key = keys.carried(tenant, call_id)
        self._size += len(record) - len(self._known.pop(key, b""))
        self._known[key] = record
        while self._size > MAX_KNOWN_BYTES:
            self._size -= len(self._known.pop(next(iter(self._known))))
        self._writes.put(key, record, KEEP_SECONDS)

    async def fetch(self, inbound: Inbound) -> None:
        """Give a request the records of its bare turns, once; waits for the store only for those not at hand."""
        if inbound.records is not None:
            return
        inbound.records = {}
        try:
            ids = wanted(inbound.request())
        except MalformedMessage:
            return  # the conversion will say so
        missing: list[str] = []
        for call_id in ids:
            known = self._known.get(keys.carried(inbound.tenant, call_id))
            if known is None:
                missing.append(call_id)
            else:
                inbound.records[call_id] = known
        if missing:
            inbound.records |= await self._stored(inbound.tenant, missing)

    async def _stored(self, tenant: str, ids: list[str]) -> dict[str, bytes]:
        try:
            async with asyncio.timeout(PATIENCE):
                values = await self._store.get_many([keys.carried(tenant, call_id) for call_id in ids])
        except (StoreUnavailable, TimeoutError):
            return {}
        return {call_id: value for call_id, value in zip(ids, values, strict=True) if value is not None}
