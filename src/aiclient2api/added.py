"""Part of the composition root: accounts in the store, for all nodes, beside those of the configuration."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from aiclient2api.config.added import AddedAccount, Section, decode, encode, opened
from aiclient2api.config.model import Config
from aiclient2api.credentials.sealing import Sealer
from aiclient2api.keys.journal import KeyJournal
from aiclient2api.store import keys
from aiclient2api.store.base import Add, PutFields, Store, StoreUnavailable
from aiclient2api.store.records import Kind, SharedRecords
from aiclient2api.telemetry.log import JsonLog

EVERY: Final = 0.25
"""Seconds between two hearings."""
FILE: Final = "accounts.json"
FORMAT: Final = "aiclient2api accounts"
TRIES: Final = 16
ADDED: Final = Kind("added_account", "account", keys.added_accounts(), keys.added_accounts_version(), decode)


class Refused(Exception):
    """The change cannot be made; `str()` is one sentence."""


class AddedAccounts:
    """One per process, whatever is reloaded."""

    def __init__(self, records: SharedRecords[AddedAccount], sealer: Sealer, log: JsonLog) -> None:
        self.sections: dict[str, Section] = {}
        """By name, as they would stand in the configuration."""
        self._records = records
        self._sealer = sealer
        self._log = log
        self._is_new = False
        self._is_closing = False
        self._task: asyncio.Task[None] | None = None
        self._changed: Callable[[], None] = lambda: None
        records.changed = self._use

    def _use(self, changed: Mapping[str, AddedAccount]) -> None:
        for name, record in changed.items():
            if record.removed:
                self.sections.pop(name, None)
                continue
            try:
                self.sections[name] = opened(record, self._sealer)
            except ValueError as error:  # it is left as it is, and what was known before goes on
                self._log.event("error", "added_account_unusable", account=name, problem=str(error))
        self._is_new = True

    async def start(self, changed: Callable[[], None]) -> None:
        """Know them before the first request, then go on in the background: `changed` is called after each change."""
        self._changed = changed
        await asyncio.to_thread(self._records.recall)
        await self._hear()
        self._task = asyncio.ensure_future(self._hearing())

    async def _hearing(self) -> None:
        while not self._is_closing:
            await asyncio.sleep(EVERY)
            await self._hear()

    async def _hear(self) -> None:
        try:
            with contextlib.suppress(StoreUnavailable):  # what is known goes on
                await self._records.hear()
            if self._is_new:
                self._is_new = False
                self._changed()
        except Exception as error:  # a loop that ends would be an outage that nobody sees
            self._log.bug(error)

    async def close(self) -> None:
        """Hear no more."""
        self._is_closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def added_accounts(
    config: Config, store: Store, sealer: Sealer, log: JsonLog, *, ephemeral: bool
) -> AddedAccounts:
    """What the process knows of them; `ephemeral` keeps nothing on disk."""
    copy = None if ephemeral else KeyJournal(config.store.data_dir / FILE, sealer, FORMAT)
    return AddedAccounts(SharedRecords(ADDED, store, time.monotonic, copy, log.event), sealer, log)


async def read_added(store: Store) -> dict[str, AddedAccount]:
    """What the store has now, but for what cannot be read. Raises StoreUnavailable."""
    found = await store.fields(keys.added_accounts())
    records = {name: decode(raw) for name, raw in sorted(found.items())}
    return {name: record for name, record in records.items() if record is not None and not record.removed}


async def change_added(
    store: Store, name: str, change: Callable[[AddedAccount | None], AddedAccount], by: str
) -> None:
    """Change one record for all nodes; done again when somebody else was faster. Raises Refused, StoreUnavailable."""
    for _ in range(TRIES):
        version = await store.get(keys.added_accounts_version())
        raw = (await store.fields(keys.added_accounts())).get(name)
        old = None if raw is None else decode(raw)
        if raw is not None and old is None:
            raise Refused(f"the record of {name} in the store cannot be read: nothing changed")
        rev = max(int(await store.time() * 1000), old.rev + 1 if old is not None else 0)
        known = None if old is None or old.removed else old
        record = msgspec.structs.replace(change(known), rev=rev, by=by)
        writes = [
            PutFields(keys.added_accounts(), {name: encode(record, raw)}),
            Add(keys.added_accounts_version(), 1),
        ]
        if await store.apply(writes, {keys.added_accounts_version(): version}):
            return
    raise Refused("the store is too busy: try again")
