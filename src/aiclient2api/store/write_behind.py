"""What requests leave behind: collected without waiting, written soon after, each count exactly once.

A batch of counts is written together with a key of its own that has to be absent, and under an epoch that has to be
the one we know. So a batch whose answer was lost can be sent again; and when somebody has emptied the store, all that
this process ever counted is counted again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from aiclient2api.store import keys
from aiclient2api.store.base import AddFields, Put, Store, Write

EVERY: Final = 0.125
"""Seconds between two writes of values."""
COUNTS_EVERY: Final = 0.5
"""The same of counts: a process that is killed loses those of less than a second (the ledger has them all)."""
BATCH_KEPT: Final = 86_400.0
MAX_PUTS: Final = 10_000
"""Values that wait; beyond, the oldest are given up."""
MAX_PUT_BYTES: Final = 16 * 1024 * 1024
"""The same for their bytes."""
PART, PART_BYTES = 500, 256 * 1024
"""How many values are sent at a time, and about how many bytes: the time-out is for each part, and what waits after an
outage is more than a network takes by then."""
MAX_FIELDS: Final = 500
"""Counters of one account: model names come from requests, more of them are counted as `other`."""

Counts = dict[str, dict[str, int]]
"""Account to field to amount."""


def add(counts: Counts, more: Mapping[str, Mapping[str, int]]) -> None:
    """Add up in place."""
    for account, fields in more.items():
        into = counts.setdefault(account, {})
        for name, amount in fields.items():
            into[name] = into.get(name, 0) + amount


class WriteBehind:
    """Values and counts of one process on their way into the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._puts: dict[str, Put] = {}
        self._put_bytes = 0
        self._counts: Counts = {}
        self._batch: tuple[str, Counts] | None = None
        """Sent, perhaps written: the next flush sends it again."""
        self._written: Counts = {}
        """All that was written since the process began."""
        self._epoch: bytes | None = None

    def put(self, key: str, value: bytes, ttl: float) -> None:
        """Have a value written; a later one for the same key replaces it."""
        before = self._puts.pop(key, None)
        self._puts[key] = Put(key, value, ttl)
        self._put_bytes += len(value) - (len(before.value) if before is not None else 0)
        self._bound()

    def _bound(self) -> None:
        while len(self._puts) > MAX_PUTS or self._put_bytes > MAX_PUT_BYTES:
            self._put_bytes -= len(self._puts.pop(next(iter(self._puts))).value)

    def count(self, account: str, model: str, outcome: str) -> None:
        """One attempt."""
        fields = self._counts.get(account)
        if fields is None:
            fields = self._counts[account] = {}
        name = f"{model} {outcome}"
        if name not in fields:
            name = self._bounded(account, name, outcome)
        fields[name] = fields.get(name, 0) + 1

    def _bounded(self, account: str, name: str, outcome: str) -> str:
        written = self._written.get(account, {})
        if name in written or len(written) + len(self._counts[account]) < MAX_FIELDS:
            return name
        return f"other {outcome}"

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing left to write."""
        return not self._puts and not self._counts and self._batch is None

    async def flush(self) -> None:
        """Write what there is. Raises StoreUnavailable; nothing is lost then."""
        await self.flush_puts()
        await self.flush_counts()

    async def flush_counts(self) -> None:
        """Write what was counted by now; what is counted meanwhile waits for the next time. See flush."""
        await self._send_batch()
        if self._counts:
            counts, self._counts = self._counts, {}
            self._batch = (secrets.token_hex(8), counts)
            await self._send_batch()

    async def _send_batch(self) -> None:
        while self._batch is not None:  # again under another epoch when the store was emptied
            await self._send(*self._batch)

    async def flush_puts(self) -> None:
        """Write the values alone, in parts. See flush."""
        puts, self._puts, self._put_bytes = self._puts, {}, 0
        try:
            for part in _parts(puts.values()):
                await self._store.apply(part)
                for put in part:
                    del puts[put.key]
        finally:  # a stop may come at any moment
            if puts:
                self._puts = {**puts, **self._puts}
                self._put_bytes = sum(len(put.value) for put in self._puts.values())
                self._bound()

    async def _send(self, name: str, counts: Counts) -> None:
        if self._epoch is None:
            self._epoch = await self._current_epoch()
        marker = keys.accounts_batch(name)
        writes: list[Write] = [
            AddFields(keys.account_counters(account), fields) for account, fields in counts.items()
        ]
        writes.append(Put(marker, b"1", BATCH_KEPT))
        guards = {marker: None, keys.accounts_epoch(): self._epoch}
        if not await self._store.apply(writes, guards) and not await self._was_written(marker):
            return  # the store was emptied: the batch is sent again under the new epoch
        add(self._written, counts)
        self._batch = None

    async def _was_written(self, marker: str) -> bool:
        """Why a batch was refused: it is there already, or the store is another one."""
        found, epoch = await self._store.get_many([marker, keys.accounts_epoch()])
        if found is not None and epoch == self._epoch:
            return True
        self._epoch = epoch if epoch is not None else await self._current_epoch()
        lost = {account: dict(fields) for account, fields in self._written.items()}
        if self._batch is not None:
            add(lost, self._batch[1])
        self._written = {}
        self._batch = (secrets.token_hex(8), lost)
        return False

    async def _current_epoch(self) -> bytes:
        fresh = secrets.token_hex(8).encode()
        epoch = await self._store.update(keys.accounts_epoch(), lambda old: old or fresh)
        assert epoch is not None
        return epoch


def _parts(puts: Iterable[Put]) -> Iterator[list[Put]]:
    part: list[Put] = []
    size = 0
    for put in list(puts):
        if part and (len(part) >= PART or size + len(put.value) > PART_BYTES):
            yield part
            part, size = [], 0
        part.append(put)
        size += len(put.value)
    if part:
        yield part
