"""How a new token is fetched, once for all nodes.

    lease ─▶ look again ─▶ intent (store, journal) ─▶ ask, once ─▶ journal ─▶ store ─▶ use

The intent says that the refresh token is being used: a node that finds one whose holder is gone knows that the outcome
is unknown, and follows `rules.why_not`. The fence tells holders of the lease apart, so that one who was away for too
long changes nothing. The store may fail at every step: before the request that ends the try, behind it the journal
has the new token, and the store gets it later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from aiclient2api.credentials.grant import REAUTH, Answer, Fresh, Grant, Lost, Refused, Unsent
from aiclient2api.credentials.known import NEVER, Known, Place
from aiclient2api.credentials.record import Intent, Record, Tokens, seal
from aiclient2api.credentials.rules import (
    AGAIN,
    LAST_CHANCE,
    LATEST_SEND,
    LEASE,
    changed,
    due_in,
    is_single_use,
    lost_pause,
    pause,
    skew,
)
from aiclient2api.providers.credentials import Secret
from aiclient2api.store import keys
from aiclient2api.store.base import Delete, StoreUnavailable

PATIENCE: Final = 10.0
"""Seconds that a node waits for what another one is fetching."""
STORM: Final = 3
STORM_WINDOW: Final = 300.0
"""At most STORM renewals in so many seconds because an upstream refused the token."""
SETTLES: Final = 3
RANK_PAUSE: Final = 2.0
KEEP_AGAIN: Final = 1.0


class Ask(Protocol):
    """The token endpoint."""

    async def __call__(self, grant: Grant, refresh: Secret | None) -> Answer:
        """One request, never repeated."""
        ...


class Renewal:
    """Of one account in this process."""

    def __init__(self, known: Known, ask: Ask, place: Place) -> None:
        self.known = known
        self._ask = ask
        self._place = place
        self._forced: deque[float] = deque(maxlen=STORM)
        self._not_before = NEVER
        self._due = NEVER
        self._due_for: tuple[int, bytes] = (-1, b"")
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"Renewal({self.known!r})"

    @property
    def is_under_way(self) -> bool:
        """Whether a new token is being fetched."""
        return self._task is not None and not self._task.done()

    def tick(self) -> None:
        """Begin when it is time (`rules.due_in`), or when there is no token."""
        known, now = self.known, self._place.now()
        generation = (known.record.generation, known.record.sealed)
        if generation != self._due_for and known.deadline != NEVER:
            self._due_for = generation
            life = known.record.life
            self._due = now + due_in(life, known.left + skew(life), self._place.random())
        is_due = known.left <= 0 or now >= self._due
        if is_due and not self.is_under_way and now >= self._not_before and not known.obstacle():
            self.start()

    def start(self) -> asyncio.Task[None]:
        """Fetch the next generation, once however many ask. Nobody's cancellation ends it."""
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._renew())
        return self._task

    def refused(self, generation: int) -> bool:
        """The upstream refused a token of this generation: it is void. Whether that is all, and not the account's end.

        False when one generation after the other is refused.
        """
        known, now = self.known, self._place.now()
        if generation != known.record.generation:
            return known.left > 0 or self.is_under_way
        if known.deadline == NEVER:
            return True
        if len(self._forced) == STORM and now - self._forced[0] < STORM_WINDOW:
            return False
        self._forced.append(now)
        known.deadline = NEVER
        if not known.obstacle():
            self.start()
        known.used()
        return True

    async def close(self) -> None:
        """Wait for what is under way: an answer that nobody takes would be a lost refresh token."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _renew(self) -> None:
        known, seen = self.known, self.known.record.generation
        self._not_before = self._place.now() + AGAIN
        try:
            await self._through_store(seen)
        except StoreUnavailable:
            await self._without_store(seen)
        finally:
            if known.record.generation > seen:
                # a short life must not end while we hold back; one that gives ever shorter ones is still not stormed
                self._not_before = min(self._not_before, self._place.now() + known.record.life / 3)
            known.used()

    async def _through_store(self, seen: int) -> None:
        place, known = self._place, self.known
        lease, began = keys.credential_lease(known.account), place.now()
        fence = await place.store.increment(keys.credential_fence(known.account))
        owner = f"{place.node} {fence}".encode()
        if not await place.store.claim(lease, owner, LEASE):
            await self._wait_for_others(seen)
            return
        try:
            await known.look(await place.store.get(known.key))
            if known.record.generation > seen or known.obstacle():
                return
            mine = await self._intend(fence, {lease: owner})
            if mine is not None and place.now() - began > LATEST_SEND:
                # paused for so long: another one may begin soon
                self._never_sent(mine.fence)
            elif mine is not None:
                await self._send(mine)
        finally:
            await self._release(lease, owner)

    async def _intend(self, fence: int, lease: Mapping[str, bytes]) -> Record | None:
        """Tell that the refresh token is about to be used; None when somebody else was faster."""
        known = self.known
        mine = self._intent(max(fence, known.record.fence + 1))
        fence = mine.fence
        known.own_fences -= {own for own in known.own_fences if own < known.record.fence}
        known.own_fences.add(fence)
        is_told = False
        try:
            is_told = await known.put(mine, known.raw, lease)
        finally:
            if not is_told:  # it may be there all the same
                self._never_sent(fence)
        if not is_told:
            return None
        known.adopt(mine)
        await known.written(mine)
        return mine

    def _never_sent(self, fence: int) -> None:
        """`look` takes the intent back wherever it is."""
        self.known.own_fences.discard(fence)
        self.known.agreed = None

    def _intent(self, fence: int) -> Record:
        known, node = self.known.record, self._place.node
        before, wall = known.intent, self.known.wall
        intent = Intent(
            fence=fence,
            node=node,
            at=before.at if before and self.known.word <= before.at else wall,
            tries=before.tries + 1 if before else 1,
        )
        return msgspec.structs.replace(known, fence=fence, intent=intent, edits=0, node=node)

    async def _release(self, lease: str, owner: bytes) -> None:
        with contextlib.suppress(StoreUnavailable):  # it ends by itself
            await self._place.store.apply([Delete(lease)], {lease: owner})

    async def _wait_for_others(self, seen: int) -> None:
        place, known = self._place, self.known
        until = place.now() + PATIENCE
        while place.now() < until and known.record.generation <= seen:
            await place.sleep(place.poll * (0.5 + place.random()))
            lease = await place.store.get(keys.credential_lease(known.account))
            await known.look(await place.store.get(known.key))
            if lease is None:
                return

    async def _without_store(self, seen: int) -> None:
        """Only in need, and only where no other machine can do the same with the same refresh token."""
        place, known = self._place, self.known
        if known.record.generation > seen or known.left > LAST_CHANCE:
            return
        if is_single_use(known.grant, known.record) and not place.alone:
            return
        await place.sleep(RANK_PAUSE * place.rank())
        try:
            await place.journal.read()
        except OSError:
            return
        known.recall()
        if known.record.generation > seen or not known.record.seeds or known.obstacle():
            return
        mine = self._intent(known.record.fence + 1)
        if await known.written(mine) and place.journal.newest(known.account) == mine:
            known.own_fences.add(mine.fence)
            known.adopt(mine)
            await self._send(mine)

    async def _send(self, mine: Record) -> None:
        """The one request. From here on nothing is given up before its end is known."""
        place, known = self._place, self.known
        answer = await self._ask(known.grant, known.tokens.refresh or known.grant.refresh_token)
        match answer:
            case Fresh():
                await self._keep(self._next(mine, answer))
            case Refused(code, asked):
                await self._settle(self._after_refusal(mine, code, asked))
            case Unsent(code):
                await self._settle(self._after_refusal(mine, code, 0.0))
            case Lost(code):
                place.tell("warning", "credential_answer_lost", {"account": known.account, "reason": code})
                if not is_single_use(known.grant, mine):
                    await self._settle(self._after_refusal(mine, code, 0.0))
                elif mine.intent and (rest := lost_pause(known.grant, mine.intent, known.wall)):
                    await self._settle(changed(mine, reason=code, rests=known.wall + rest))

    def _next(self, mine: Record, answer: Fresh) -> Record:
        known, now = self.known, self.known.wall
        used = known.tokens.refresh or known.grant.refresh_token
        record = Record(
            generation=mine.generation + 1,
            fence=mine.fence,
            at=now,
            node=self._place.node,
            expires=now + answer.life,
            life=answer.life,
            rotates=mine.rotates or (answer.refresh is not None and answer.refresh != used),
            seeds=mine.seeds,
            rest=mine.rest,
        )
        refresh = (answer.refresh or used) if known.grant.kind == "refresh_token" else None
        return seal(record, Tokens(answer.access, refresh), self._place.sealer, known.account)

    def _after_refusal(self, mine: Record, code: str, asked: float) -> Record:
        known, refusals = self.known, mine.refusals + 1
        now, rest = known.wall, pause(code, refusals, asked, self._place.random())
        fields = {"account": known.account, "reason": code, "in_a_row": refusals, "next_try": round(rest)}
        self._place.tell("warning", "credential_refused", fields)
        is_dead = code == REAUTH and known.grant.kind == "refresh_token"
        # a refusal says nothing of an earlier answer that was lost
        is_first = mine.intent is None or mine.intent.tries == 1
        return changed(
            mine,
            intent=None if is_first or is_dead else mine.intent,
            reason=code,
            refusals=refusals,
            at=now,
            rests=now + rest,
            dead=now if is_dead else 0.0,
        )

    async def _keep(self, record: Record) -> None:
        """Persist, then use. The old refresh token is gone, so this does not end before one copy is safe."""
        known, wait = self.known, 0.05
        while not await known.written(record):
            if await known.publish(record):
                break
            await self._place.sleep(wait)
            wait = min(KEEP_AGAIN, 2 * wait)
        else:
            if record.order > known.record.order:
                known.adopt(record)
            await known.publish(record)
        fields = {"account": known.account, "generation": record.generation, "life": round(record.life)}
        self._place.tell("info", "credential_renewed", fields)

    async def _settle(self, record: Record) -> None:
        """No new token, but everybody is to know how the try ended."""
        known = self.known
        for _ in range(SETTLES):
            if record.order > known.record.order:
                known.adopt(record)
            await known.written(record)
            await known.publish(record)
            now = known.record
            if now is record or (now.generation, now.fence) != (record.generation, record.fence):
                return
            # the store was emptied, and filled again with the intent
            record = msgspec.structs.replace(record, edits=now.edits + 1)
