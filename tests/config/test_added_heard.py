"""Accounts in the store are heard of, whatever a change of them does."""

from __future__ import annotations

import asyncio
import io
import time

from aiclient2api.added import ADDED, AddedAccounts, change_added
from aiclient2api.config.added import sealed
from aiclient2api.credentials.sealing import Sealer
from aiclient2api.store.memory import MemoryStore
from aiclient2api.store.records import SharedRecords
from aiclient2api.telemetry.log import JsonLog


async def test_accounts_are_heard_of_behind_a_change_that_could_not_be_used() -> None:
    store, sealer, written = MemoryStore(time.monotonic), Sealer(bytes(32)), io.BytesIO()
    log = JsonLog(time.time, written)
    added = AddedAccounts(SharedRecords(ADDED, store, time.monotonic, None, log.event), sealer, log)
    is_refused, is_used = asyncio.Event(), asyncio.Event()

    def changed() -> None:
        if set(added.sections) == {"a"}:
            is_refused.set()
            raise ValueError("a bug of ours")
        is_used.set()

    await added.start(changed)
    async with asyncio.timeout(60):
        await change_added(store, "a", lambda _: sealed("a", {"pool": "p"}, sealer), "me")
        await is_refused.wait()
        await change_added(store, "b", lambda _: sealed("b", {"pool": "p"}, sealer), "me")
        await is_used.wait()
    await added.close()
    log.flush()

    assert set(added.sections) == {"a", "b"}
    assert b"ValueError" in written.getvalue()
