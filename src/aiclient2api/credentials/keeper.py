"""The tokens of all accounts of this process: heard from the store, renewed before they expire, given to the accounts.

One loop in the background; no request waits for any of it. An account without a token stands behind an obstacle, so
that requests go to others, or wait as they wait for any busy account.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from msgspec import Struct

from aiclient2api.accounts.account import Account, AccountSettings, Cause, Obstacle
from aiclient2api.credentials.grant import Answer, Grant
from aiclient2api.credentials.known import Known, Place
from aiclient2api.credentials.renewal import Renewal
from aiclient2api.credentials.rules import look_every
from aiclient2api.credentials.sealing import Sealer
from aiclient2api.providers.credentials import Credentials, Secret
from aiclient2api.store.base import StoreUnavailable

EVERY: Final = 0.5
COMING: Final = Obstacle(Cause.BUSY, "waiting for its token", 1.0, "token")
FOR_EVER: Final = float("inf")
LASTING: Final = ("reauth_required", "outcome_unknown")
"""What only the operator ends."""
STOP_PATIENCE: Final = 15.0
"""Seconds that a stop waits for an answer that is under way."""


class Member(Struct, frozen=True):
    """An account whose credential expires. `changed` is called when it may be used again, or no more."""

    account: Account
    grant: Grant
    changed: Callable[[], None]


class Endpoint(Protocol):
    """Where tokens come from."""

    async def ask(
        self, grant: Grant, refresh: Secret | None, proxy: str | None = None, ca: str | None = None
    ) -> Answer:
        """One request, never repeated; it never raises."""
        ...


class Keeper:
    """One per process, whatever is reloaded. `bug` is told of an error of ours; the loop goes on."""

    def __init__(
        self,
        place: Place,
        endpoint: Endpoint,
        bug: Callable[[BaseException], None],
        word: Callable[[str], float] = lambda _: 0.0,
        every: float = EVERY,
    ) -> None:
        """`word`: when an admin asked for another try of an account. `every`: seconds between two looks."""
        self._place = place
        self._endpoint = endpoint
        self._bug = bug
        self._word = word
        self._every = every
        self._renewals: dict[str, tuple[Grant, Renewal]] = {}
        self._settings: dict[str, AccountSettings] = {}
        """Of the accounts as they were configured last: how their endpoints are reached."""
        self._fences: dict[str, set[int]] = {}
        self._task: asyncio.Task[None] | None = None
        self._is_closing = False

    @property
    def sealer(self) -> Sealer:
        """What tokens are sealed with at rest."""
        return self._place.sealer

    def __iter__(self) -> Iterator[Known]:
        """What is known of each credential."""
        return (renewal.known for _, renewal in self._renewals.values())

    def watch(self, members: Sequence[Member]) -> None:
        """These are the accounts now. What is under way for others comes to its end all the same."""
        renewals: dict[str, tuple[Grant, Renewal]] = {}
        for member in members:
            name = member.account.name
            self._settings[name] = member.account.settings
            before = self._renewals.get(name)
            renewal = before[1] if before and before[0] == member.grant else self._new(member)
            renewals[name] = (member.grant, renewal)
            renewal.known.used = lambda renewal=renewal, member=member: _give(renewal, member)
            member.account.renew = renewal.refused
            renewal.known.used()
        self._renewals = renewals

    def _new(self, member: Member) -> Renewal:
        name = member.account.name

        async def ask(grant: Grant, refresh: Secret | None) -> Answer:
            settings = self._settings[name]
            return await self._endpoint.ask(grant, refresh, settings.proxy, settings.ca)

        known = Known(name, member.grant, self._place, self._fences.setdefault(name, set()))
        renewal = Renewal(known, ask, self._place)
        renewal.known.recall()
        return renewal

    async def start(self) -> None:
        """Hear what the store has before the first request, then go on in the background."""
        await self.hear()
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        while not self._is_closing:
            lives = (renewal.known.record.life for _, renewal in self._renewals.values())
            await self._place.sleep(look_every(self._every, lives))
            await self.hear()

    async def hear(self) -> None:
        """Look once at everything, and begin what is due."""
        renewals = [renewal for _, renewal in self._renewals.values()]
        if not renewals:
            return
        try:
            values = await self._place.store.get_many([renewal.known.key for renewal in renewals])
            for renewal, value in zip(renewals, values, strict=True):
                await renewal.known.look(value)
        except StoreUnavailable:
            pass  # the tokens we have go on
        except Exception as error:  # a loop that ends would be an outage that nobody sees
            self._bug(error)
        for renewal in renewals:
            renewal.known.word = self._word(renewal.known.account)
            renewal.tick()
            renewal.known.used()

    async def close(self) -> None:
        """Let what is under way come to its end."""
        self._is_closing = True  # a library in between may keep the cancellation for itself
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        closing = [renewal.close() for _, renewal in self._renewals.values()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_PATIENCE):
                await asyncio.gather(*closing)


def _give(renewal: Renewal, member: Member) -> None:
    """The account gets the token, or an obstacle."""
    account, known = member.account, renewal.known
    access = known.tokens.access
    if access is not None and known.left > 0:
        generation = known.record.generation
        if account.credentials.generation != generation or account.token_obstacle is not None:
            account.credentials = Credentials(access, generation)
            account.hold(None)
            member.changed()
        return
    obstacle = _obstacle(renewal)
    if account.token_obstacle != obstacle:
        account.hold(obstacle)
        member.changed()


def _obstacle(renewal: Renewal) -> Obstacle:
    reason = renewal.known.obstacle()
    if renewal.is_under_way or not reason or renewal.known.is_asked_for:
        return COMING
    if renewal.known.problem:
        return Obstacle(Cause.DISABLED, "its credential cannot be used: see the log", FOR_EVER, "credential")
    if reason in LASTING:
        text = "disabled (reauth_required): give it a new refresh token, or try again with `accounts retry`"
        return Obstacle(Cause.DISABLED, text, FOR_EVER, "reauth_required")
    return Obstacle(Cause.FAILED, f"no token: its endpoint says {reason}", 5.0, reason)
