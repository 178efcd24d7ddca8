"""The side table in the store: what assistant turns held beside their words, for clients that leave it out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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
"""Since the turn was last sent back."""
ABSENT_SECONDS: Final = 60.0
"""How long a turn that the store does not know is not asked for again."""
MAX_KNOWN_BYTES: Final = 16 * 1024 * 1024
"""Records of this process that are at hand without asking the store, keys included."""
PATIENCE: Final = 0.1
"""Seconds that a request waits for the store, for turns that another node got."""
_OVERHEAD: Final = 200
_MARKS: Final = (b'"tool_calls"', b'"function_call', b'"custom_tool_call', b'"tool_use"', b'"functionCall"')
"""One of these is in the body of every request with calls in its history."""


class Traces(Struct, frozen=True):
    """What answers leave behind for the requests that follow them."""

    pins: Pins
    carried: Carried


class _Known(Struct, frozen=True):
    """A signed record; without one: there is nothing to give back, as far as is known until `until`."""

    record: bytes | None
    until: float

    def size(self, key: str) -> int:
        return len(key) + len(self.record or b"") + _OVERHEAD


class Carried:
    """Tool-call id → record, bound to the tenant: our own at hand, the others' in the store."""

    def __init__(
        self, store: Store, writes: WriteBehind, now: Callable[[], float], *, is_on: bool = True
    ) -> None:
        """`now` is a monotonic clock in seconds. Switched off it keeps and finds nothing."""
        self._is_on = is_on
        self._store = store
        self._writes = writes
        self._now = now
        self._known: dict[str, _Known] = {}
        self._size = 0

    def remember(self, tenant: str, call_id: str, record: bytes | None) -> None:
        """An answer was complete; None when it holds nothing to give back. Never waits: the store is written behind."""
        if not self._is_on:
            return
        key = keys.carried(tenant, call_id)
        self._know(key, record, KEEP_SECONDS)
        if record is not None:
            self._writes.put(key, record, KEEP_SECONDS)

    def _know(self, key: str, record: bytes | None, seconds: float) -> None:
        self._forget(key)
        known = _Known(record, self._now() + seconds)
        self._known[key] = known
        self._size += known.size(key)
        while self._size > MAX_KNOWN_BYTES:
            self._forget(next(iter(self._known)))

    def _forget(self, key: str) -> None:
        known = self._known.pop(key, None)
        if known is not None:
            self._size -= known.size(key)

    def is_wanted(self, inbound: Inbound) -> bool:
        """Whether `fetch` has anything to look for."""
        if inbound.records is not None:
            return False
        if self._is_on and any(map(inbound.wire.body.__contains__, _MARKS)):
            return True
        inbound.records = {}
        return False

    async def fetch(self, inbound: Inbound) -> None:
        """Give a request the records of its bare turns, once; waits for the store only for those not at hand."""
        if not self.is_wanted(inbound):
            return
        inbound.records = {}
        try:
            ids = wanted(inbound.request())
        except MalformedMessage:
            return  # the conversion will say so
        missing = [call_id for call_id in ids if not self._is_known(keys.carried(inbound.tenant, call_id))]
        if missing:
            await self._learn(inbound.tenant, missing)
        for call_id in ids:
            known = self._known.get(keys.carried(inbound.tenant, call_id))
            if known is not None and known.record is not None:
                inbound.records[call_id] = known.record
                if known.until - self._now() < KEEP_SECONDS / 2:
                    self.remember(inbound.tenant, call_id, known.record)

    def _is_known(self, key: str) -> bool:
        known = self._known.get(key)
        return known is not None and known.until > self._now()

    async def _learn(self, tenant: str, ids: list[str]) -> None:
        """Ask the store. What it has is used from now on, so it is kept for as long as a turn of our own."""
        try:
            async with asyncio.timeout(PATIENCE):
                values = await self._store.get_many([keys.carried(tenant, call_id) for call_id in ids])
        except (StoreUnavailable, TimeoutError):
            return
        for call_id, value in zip(ids, values, strict=True):
            if value is None:
                self._know(keys.carried(tenant, call_id), None, ABSENT_SECONDS)
            else:
                self.remember(tenant, call_id, value)
