"""Account states of all nodes, in the background: what changes here is told, what changes elsewhere is heard.

No request waits for any of it. While the store is gone every node goes on by itself; afterwards the later word counts.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.circuit import CircuitState
from aiclient2api.accounts.health import AccountState, Status
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.accounts.shared_state import (
    MAX_MODELS,
    NOTHING,
    AdminWord,
    Record,
    Told,
    decode,
    decode_word,
    encode,
    heard,
    is_believable,
    is_same,
    latest,
    merged,
    read,
    tellable,
)
from aiclient2api.store import keys
from aiclient2api.store.base import Add, PutFields, Store

STATE_KEPT: Final = 2 * 86_400.0
READ_ALL: Final = 5.0
"""Seconds after which all states are read whatever the version says."""
MAX_AT_ONCE: Final = 4
"""Records written at a time, and read: the event loop has other things to do in between."""
READ_AT_ONCE: Final = 100


class StateSync:
    """Tells and hears states. `offset` is the store's clock minus the pools'."""

    def __init__(self, store: Store, node: str, now: Callable[[], float], wall: Callable[[], float]) -> None:
        self.told: Callable[..., None] = lambda *_, **__: None
        """Gets level, event and fields of a log line."""
        self._store = store
        self._node = node
        self._now = now
        self.offset = wall() - now()
        self._accounts: dict[str, tuple[AccountPool, Account]] = {}
        self._changed: dict[tuple[str, str | None], float] = {}
        """Account and model to when it changed here and was not told yet."""
        self._told: dict[str, dict[str | None, Told]] = {}
        """By account and model: what counts as far as we know, told by us or heard."""
        self.words: dict[str, AdminWord] = {}
        self._unreadable: dict[tuple[str, str], bytes] = {}
        """By event and account: the value that was told last."""
        self._version: bytes | None = None
        self._read_at = float("-inf")
        self._is_hearing = False

    def watch(self, pools: Mapping[str, AccountPool]) -> None:
        """These are the accounts now."""
        self._accounts = {
            account.name: (pool, account) for pool in pools.values() for account in pool.accounts
        }
        self._read_at = float("-inf")
        for name in self.words:
            self._obey(name)

    def accounts(self) -> Iterator[tuple[AccountPool, Account]]:
        """All that are configured."""
        yield from self._accounts.values()

    # ---- HealthObserver

    def account_changed(self, account: str, model: str | None, state: AccountState) -> None:
        """See HealthObserver."""
        if self._is_hearing:
            return
        word = self.words.get(account)
        if word is not None and word.disabled:
            if model is None and state.status is not Status.DISABLED:
                self._obey(account)  # a probe that was under way has no say
            return
        self._changed[(account, model)] = self._now()

    def circuit_changed(self, name: str, state: CircuitState) -> None:
        """See HealthObserver. A host that one node cannot reach says nothing about the others."""

    # ---- telling

    async def tell(self) -> None:
        """Write what changed here. Raises StoreUnavailable; nothing is forgotten then."""
        changed, self._changed = self._changed, {}
        records: dict[str, Record] = {}
        for (name, model), at in changed.items():
            told = self._news(name, model, at)
            if told is not None:
                record = records.setdefault(name, Record(account=NOTHING, models={}, node=self._node))
                if model is None:
                    record.account = told
                else:
                    record.models[model] = told
        if not records:
            return
        try:
            names = list(records)
            for start in range(0, len(names), MAX_AT_ONCE):
                part = names[start : start + MAX_AT_ONCE]
                await asyncio.gather(*(self._tell_one(name, records[name]) for name in part))
            await self._store.apply([Add(keys.accounts_version(), 1)])
        except BaseException:
            self._changed = {**changed, **self._changed}
            raise

    def _news(self, name: str, model: str | None, at: float) -> Told | None:
        entry = self._accounts.get(name)
        if entry is None:
            return None
        account = entry[1]
        state = account.state if model is None else account.overlays.get(model, AccountState())
        told = tellable(state, round(at + self.offset, 3), self.offset)
        if told is None or is_same(told, self._told.get(name, {}).get(model, NOTHING)):
            return None
        return told

    async def _tell_one(self, name: str, record: Record) -> None:
        now = self._now() + self.offset
        key, lost = keys.account_state(name), dict[str, bytes]()

        def change(old: bytes | None) -> bytes:
            lost.clear()
            if old is not None and read(old) is None:
                lost[keys.aside(key, f"{zlib.crc32(old):08x}")] = old
            return encode(merged(decode(old), record, now))

        result = await self._store.update(key, change, STATE_KEPT)
        for aside, value in lost.items():
            await self._store.put(aside, value, STATE_KEPT)
            self.told("error", "store_value_foreign", key=key, moved_to=aside)
        self._hear(name, decode(result))

    # ---- hearing

    async def hear(self) -> None:
        """Read what others told, if there is anything new. Raises StoreUnavailable."""
        version = await self._store.get(keys.accounts_version())
        now = self._now()
        if version == self._version and now - self._read_at < READ_ALL:
            return
        if version is None and self._version is not None:
            await self._rebuild()
        names = list(self._accounts)
        words = await self._store.fields(keys.accounts_admin())
        for name, value in words.items():
            word = decode_word(value)
            if word is not None:
                self._listen(name, word)
            else:
                known = self.words.get(name)
                self._tell_unreadable(
                    "account_word_unreadable",
                    name,
                    value,
                    disabled=known is not None and known.disabled,
                    remedy=f"aiclient2api accounts disable {name}, or enable {name}, writes it anew",
                )
        for start in range(0, len(names), READ_AT_ONCE):
            await self._hear_some(names[start : start + READ_AT_ONCE])
        self._version, self._read_at = version, now

    async def _hear_some(self, names: list[str]) -> None:
        values = await self._store.get_many([keys.account_state(name) for name in names])
        for name, value in zip(names, values, strict=True):
            if value is None:  # nearly all: who was never out has no state
                if name in self._told:
                    self._remind(name)
            elif (record := read(value)) is None:
                self._tell_unreadable("account_state_unreadable", name, value)
            else:
                self._hear(name, record)

    def _tell_unreadable(self, event: str, name: str, value: bytes, **more: object) -> None:
        """Once for each value: what is known goes on, and what is there is left as it is."""
        if self._unreadable.get((event, name)) != value:
            self._unreadable[(event, name)] = value
            self.told("error", event, account=name, **more)

    def _hear(self, name: str, record: Record) -> None:
        word = self.words.get(name)
        self._hear_one(name, None, record.account, word)
        for model, told in record.models.items():
            self._hear_one(name, model, told, word)

    def _hear_one(self, name: str, model: str | None, told: Told, word: AdminWord | None) -> None:
        key = (name, model)
        known, now = self._told.get(name, {}).get(model, NOTHING), self._now() + self.offset
        if not is_believable(told, now) or (is_believable(known, now) and not told.counts_before(known)):
            return
        self._remember(name, model, told)
        entry = self._accounts.get(name)
        mine = self._changed.get(key)
        is_outdated = word is not None and (word.disabled or told.at <= word.retry)
        if entry is None or is_outdated or (mine is not None and mine + self.offset > told.at):
            return
        account = entry[1]
        state = heard(told, self.offset)
        ours = account.state if model is None else account.overlays.get(model)
        if ours is not None and (said := tellable(ours, told.at, self.offset)) and _says(said) == _says(told):
            return  # our own word, come back
        self._quietly(lambda: account.adopt(state, model, quietly=True))
        entry[0].wake()

    def _remember(self, name: str, model: str | None, told: Told) -> None:
        known = self._told.setdefault(name, {})
        known[model] = told
        if len(known) > 2 * MAX_MODELS:
            models = {each: word for each, word in known.items() if each is not None}
            self._told[name] = {None: known.get(None, NOTHING), **latest(models)}

    def _remind(self, name: str) -> None:
        """The store does not know what we know."""
        for model, told in self._told.pop(name, {}).items():
            if told.status is not Status.HEALTHY:
                self._changed.setdefault((name, model), told.at - self.offset)

    def _listen(self, name: str, word: AdminWord) -> None:
        before = self.words.get(name)
        if before is not None and before.at >= word.at and before.retry >= word.retry:
            return
        self.words[name] = word
        self._obey(name, before)

    def _obey(self, name: str, before: AdminWord | None = None) -> None:
        """Make an account what the admin wants it to be."""
        word, entry = self.words[name], self._accounts.get(name)
        if entry is None:
            return
        pool, account = entry
        if word.disabled:
            self._changed = {key: at for key, at in self._changed.items() if key[0] != name}
            self._quietly(lambda: pool.disable(account))
        elif _wants_a_try(word, before, account.state.since + self.offset):
            self._quietly(lambda: pool.retry(account))

    def _quietly(self, change: Callable[[], None]) -> None:
        self._is_hearing = True
        try:
            change()
        finally:
            self._is_hearing = False

    def postpone(self, account: Account, state: AccountState) -> None:
        """A state that is only ours: another node probes."""
        self._quietly(lambda: account.adopt(state, quietly=True))

    async def _rebuild(self) -> None:
        """The store was emptied: admins' words are written again, by one node."""
        words = {name: msgspec.json.encode(word) for name, word in self.words.items()}
        await self._store.apply(
            [PutFields(keys.accounts_admin(), words), Add(keys.accounts_version(), 1)],
            {keys.accounts_version(): None},
        )


def _wants_a_try(word: AdminWord, before: AdminWord | None, since: float) -> bool:
    """Whether an account that is out since then is to be probed at once."""
    if before is None:
        return since <= word.retry
    return before.disabled or before.retry < word.retry


def _says(told: Told) -> tuple[Status, str, int, int]:
    return told.status, told.reason, told.step, round(told.until)
