"""One node with a keeper: an endpoint that answers as told, a store that can be away, a disk that can be full."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from aiclient2api.accounts.account import Account, AccountSettings
from aiclient2api.credentials.grant import Answer, Fresh, Grant
from aiclient2api.credentials.journal import MemoryJournal
from aiclient2api.credentials.keeper import Keeper, Member
from aiclient2api.credentials.known import Place
from aiclient2api.credentials.record import Record
from aiclient2api.credentials.sealing import Sealer
from aiclient2api.providers.credentials import Secret
from aiclient2api.store.base import Guards, StoreUnavailable, Write
from aiclient2api.store.memory import MemoryStore
from tests.credentials.virtual import VirtualLoop
from tests.fakes.accounts import account

T = TypeVar("T")
SEED = Secret("seed")
LIFE = 1000.0
LIVES = (1.0, 2.0, 4.0, 8.0)
"""Seconds of tokens that hardly live."""


def grant(secret: str = "") -> Grant:
    client = Secret(secret) if secret else None
    return Grant(
        kind="refresh_token", token_url="https://idp.example/t", client_secret=client, refresh_token=SEED
    )


class Asked:
    """An endpoint that answers as it is told; without a word it gives tokens."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.sent: list[str] = []
        self.proxies: list[str | None] = []
        self.seconds = 0.1
        self.life = LIFE

    async def ask(
        self, grant: Grant, refresh: Secret | None, proxy: str | None = None, ca: str | None = None
    ) -> Answer:
        """See Endpoint."""
        self.sent.append(refresh.reveal() if refresh else "")
        self.proxies.append(proxy)
        await asyncio.sleep(self.seconds)
        number = len(self.sent)
        return (
            self.answers.pop(0)
            if self.answers
            else Fresh(Secret(f"at{number}"), Secret(f"rt{number}"), self.life)
        )


class Weather(MemoryStore):
    """A store that can be away."""

    is_away = False

    def _look(self) -> None:
        if self.is_away:
            raise StoreUnavailable

    async def increment(self, key: str, by: int = 1, ttl: float | None = None) -> int:
        """See Store."""
        self._look()
        return await super().increment(key, by, ttl)

    async def get(self, key: str) -> bytes | None:
        """See Store."""
        self._look()
        return await super().get(key)

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See Store."""
        self._look()
        return await super().get_many(keys)

    async def apply(self, writes: Sequence[Write], when: Guards | None = None) -> bool:
        """See Store."""
        self._look()
        return await super().apply(writes, when)


class Disk(MemoryJournal):
    """A journal that can be full."""

    is_full = False

    async def append(self, account: str, record: Record) -> None:
        """See Journal."""
        if self.is_full:
            raise OSError("no space left")
        await super().append(account, record)


class Rig:
    """One node."""

    def __init__(
        self,
        loop: VirtualLoop,
        *,
        alone: bool = True,
        made: Grant | None = None,
        beside: Rig | None = None,
    ) -> None:
        """`beside`: another node of the same store and the same endpoint."""
        self.events: list[str] = []
        self.bugs: list[BaseException] = []
        self.endpoint = beside.endpoint if beside else Asked()
        self.words: dict[str, float] = {}
        self.jump = 0.0
        """Of the store's wall clock, in seconds."""
        self.store = beside.store if beside else Weather(loop.time, wall=loop.time)
        self.disk = Disk()
        self.place = Place(
            store=self.store,
            journal=self.disk,
            sealer=Sealer(bytes(32)),
            node="m" if beside else "n",
            alone=alone,
            now=loop.time,
            offset=lambda: self.jump,
            random=lambda: 0.5,
            rank=lambda: 1,
            tell=lambda level, event, fields: self.events.append(event),
        )
        self.keeper = Keeper(
            self.place, self.endpoint, self.bugs.append, lambda name: self.words.get(name, 0.0)
        )
        self.account = self.watch(made or grant())

    def watch(self, made: Grant, proxy: str | None = None) -> Account:
        """As after a reload."""
        self.account = account("a", AccountSettings(proxy=proxy))
        self.keeper.watch([Member(self.account, made, lambda: None)])
        return self.account

    @property
    def token(self) -> str:
        """What the account signs with."""
        return self.account.credentials.secret.reveal()


def play(
    loop: VirtualLoop,
    story: Callable[[Rig], Awaitable[T]],
    *,
    alone: bool = True,
    made: Grant | None = None,
    rig: Rig | None = None,
) -> Rig:
    rig = rig or Rig(loop, alone=alone, made=made)

    async def run() -> None:
        await rig.keeper.start()
        await story(rig)
        await rig.keeper.close()

    loop.run_until_complete(run())
    assert rig.bugs == []
    return rig
