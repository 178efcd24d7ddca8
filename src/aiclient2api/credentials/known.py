"""What this node knows of one account's credential, kept in step with the store and the journal.

Every write to the store is a compare-and-swap on the whole record, and of two records the one of the higher order
counts, whoever wrote it. What cannot be opened or read is left as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Literal

from msgspec import Struct

from aiclient2api.credentials.grant import Grant
from aiclient2api.credentials.journal import Journal
from aiclient2api.credentials.record import Record, Tokens, decode, encode, unseal
from aiclient2api.credentials.rules import LEASE, QUARANTINE, Wanted, begun, changed, skew, why_not
from aiclient2api.credentials.sealing import Broken, Sealer, UnknownKey
from aiclient2api.store import keys
from aiclient2api.store.base import Guards, Put, Store, StoreUnavailable

TELLS: Final = 8
"""Tries of a compare-and-swap in a row."""
NEVER: Final = float("-inf")

Tell = Callable[[Literal["info", "warning", "error"], str, Mapping[str, object]], None]
"""Level, event and fields of a log line."""


class Place(Struct, frozen=True, kw_only=True):
    """Where we are. `now` in monotonic seconds; `offset` is the store's clock minus that; `random` in [0, 1)."""

    store: Store
    journal: Journal
    sealer: Sealer
    node: str
    alone: bool
    """No other machine has this store."""
    sole: bool = False
    """No other process has it either."""
    now: Callable[[], float]
    offset: Callable[[], float]
    random: Callable[[], float]
    rank: Callable[[], int]
    """Our place among the nodes that were there last."""
    tell: Tell
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    poll: float = 0.05
    """Seconds between two looks while another node asks."""


class Known:
    """`used` is called when there is another token to use, or none any more."""

    def __init__(self, account: str, grant: Grant, place: Place, fences: set[int]) -> None:
        """`fences`: of the account in this process, whatever is reloaded."""
        self.account = account
        self.grant = grant
        self.key = keys.credential(account)
        self.record = Record()
        self.tokens = Tokens()
        self.deadline = NEVER
        """When the present token is used no more, in monotonic seconds."""
        self.problem = ""
        """What the operator has to mend."""
        self.word = 0.0
        """When an admin asked for another try, by the store's clock."""
        self.used: Callable[[], None] = lambda: None
        self.own_fences = fences
        """Under which we have asked, or are about to; an intent of ours with another one was never used."""
        self.raw: bytes | None = None
        """What the store had when we looked last."""
        self.agreed: Record | None = None
        """The record for which there is nothing to do while the store has `raw`."""
        self._place = place
        self._seed = grant.seed
        self._is_journal_broken = False

    def __repr__(self) -> str:
        return f"Known({self.account!r}, generation {self.record.generation})"

    @property
    def left(self) -> float:
        """Seconds that the present token is good for."""
        return self.deadline - self._place.now() if self.tokens.access else NEVER

    @property
    def wall(self) -> float:
        """Unix time by the store's clock."""
        return self._place.now() + self._place.offset()

    @property
    def is_asked_for(self) -> bool:
        """Whether another node may just be fetching the next token."""
        intent = self.record.intent
        return intent is not None and not self.record.dead and self.wall - intent.at < LEASE

    def obstacle(self) -> str:
        """Why the endpoint must not be asked now; empty when it may."""
        return self.problem or why_not(self.grant, self.record, Wanted(self.wall, self.left, self.word))

    def recall(self) -> None:
        """What the journal has, before the store is asked."""
        record = self._place.journal.newest(self.account)
        if record is not None and record.order > self.record.order:
            self.adopt(record)

    async def look(self, raw: bytes | None) -> None:
        """Compare what the store has with what we know; the newer one counts. Raises StoreUnavailable."""
        if raw is not None and raw == self.raw and self.agreed is self.record:
            return
        for _ in range(TELLS):
            theirs = decode(raw)
            if raw is not None and theirs is None:
                self._trouble(f"the stored credential of {self.account} cannot be read: it is left as it is")
                return
            if theirs is not None and not await self._hear(theirs, raw):
                return
            ours = self._wanted(theirs)
            if theirs is not None and ours.order <= theirs.order:
                self.agreed = self.record
                return
            if await self.put(ours, raw):
                self.adopt(ours)
                return
            raw = await self._place.store.get(self.key)

    async def _hear(self, theirs: Record, raw: bytes | None) -> bool:
        """The store's word; False when it is not for us to change."""
        is_news = raw != self.raw
        if theirs.order > self.record.order or (is_news and theirs.order == self.record.order):
            if not self.adopt(theirs):
                return False
            await self.written(theirs)
        self.raw = raw
        return True

    def _wanted(self, theirs: Record | None) -> Record:
        """What the store should have: after it was emptied, under another configuration, or after an end of ours."""
        place = self._place
        known = self.record if self.record.seeds else None
        ours = begun(known, self._seed, self.wall, alone=place.alone)
        if theirs is None and known is not None and not place.sole:
            ours = changed(ours, rests=max(ours.rests, self.wall + QUARANTINE))
        intent = ours.intent
        if (
            intent is not None
            and intent.node == place.node
            and intent.fence not in self.own_fences
            and intent.tries == 1  # else it took the place of one whose outcome is unknown
        ):
            ours = changed(ours, intent=None)
        return ours

    async def put(self, record: Record, raw: bytes | None, also: Guards | None = None) -> bool:
        """Write to the store if it still has `raw`; not more than that. Raises StoreUnavailable."""
        value = encode(record)
        if await self._place.store.apply([Put(self.key, value)], {self.key: raw, **(also or {})}):
            self.raw = value
            return True
        return False

    async def publish(self, record: Record) -> bool:
        """Into the store, unless something newer is there, which counts then; False when neither is known."""
        try:
            for _ in range(TELLS):
                raw = await self._place.store.get(self.key)
                theirs = decode(raw)
                if raw is not None and theirs is None:
                    return False
                if theirs is not None and theirs.order >= record.order:
                    return self.adopt(theirs)
                if await self.put(record, raw):
                    return self.adopt(record)
        except StoreUnavailable:
            pass
        return False

    async def written(self, record: Record) -> bool:
        """Whether the journal has it on disk now."""
        try:
            await self._place.journal.append(self.account, record)
        except OSError as error:
            if not self._is_journal_broken:
                self._place.tell(
                    "error", "credential_not_on_disk", {"account": self.account, "problem": str(error)}
                )
            self._is_journal_broken = True
            return False
        self._is_journal_broken = False
        return True

    def adopt(self, record: Record) -> bool:
        """Use this record from now on; False when it cannot be opened."""
        place = self._place
        try:
            tokens = unseal(record, place.sealer, self.account)
        except UnknownKey as error:
            self._trouble(
                f"the credential of {self.account} is sealed with another key ({error}): put the old secret under "
                "secrets.previous; nothing was changed"
            )
            return False
        except Broken:
            self._trouble(f"the credential of {self.account} is damaged: it is left as it is")
            return False
        is_new = (record.generation, record.sealed) != (self.record.generation, self.record.sealed)
        if record.dead and not self.record.dead:
            place.tell("error", "credential_dead", {"account": self.account, "reason": record.reason})
        self.record, self.tokens, self.problem = record, tokens, ""
        if is_new:
            self.deadline = record.expires - skew(record.life) - place.offset()
        self.used()
        return True

    def _trouble(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._place.tell("error", "credential_unusable", {"account": self.account, "problem": problem})
            self.used()
