"""Nodes tell each other what they used of the limits: each its own sums, so that telling twice changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from aiclient2api.keys.limiter import NOTHING_HEARD, Heard, KeyLimiter, Use
from aiclient2api.keys.meter import MINUTE
from aiclient2api.store import keys
from aiclient2api.store.base import PutFields, Store

KEPT: Final = 150.0
"""Seconds for which the store keeps a window."""
SLOTS_KEPT: Final = 8.0
"""Seconds without a word after which a node is gone, and what it had under way with it."""
SLOTS_TOLD: Final = 2.0


class Sums(Struct, frozen=True, array_like=True):
    """What one node used of one key in a window and the one before, and has under way."""

    requests: int
    tokens: int
    slots: int
    requests_before: int = 0
    tokens_before: int = 0


NOTHING: Final = Sums(0, 0, 0)


class Told(Struct, frozen=True):
    """All that a node has to say. `at` is Unix time in seconds by the store's clock."""

    at: float
    keys: dict[str, Sums]


class UseSharing:
    """One node's part. `now` in seconds, any origin."""

    def __init__(self, store: Store, node: str, limiter: KeyLimiter, now: Callable[[], float]) -> None:
        self._store = store
        self._node = node
        self._limiter = limiter
        self._now = now
        self._window = 0
        self._told: tuple[int, int, float] = (-1, 0, 0.0)
        """Changes, window and time of the last word."""
        self._before: dict[str, Told] = {}
        """What the others had said when the window before was over."""
        self._heard: dict[str, Heard] = {}
        self._heard_at = now()
        limiter.heard = lambda name: self._heard.get(name, NOTHING_HEARD)

    async def exchange(self) -> None:
        """Tell what has changed here and hear what the others used. Raises StoreUnavailable."""
        limiter = self._limiter
        now = limiter.clock()
        window = int(now // MINUTE)
        mine = {name: _sums(use, window) for name, use in limiter.uses.items()}
        await self._tell(mine, window, now)
        if window != self._window:
            self._before = self._others(await self._store.fields(keys.key_use(window - 1)))
            self._window = window
        others = self._others(await self._store.fields(keys.key_use(window)))
        self._heard = _added(others, self._before, now)
        self._heard_at = self._now()
        for name, sums in mine.items():
            use = limiter.uses[name]
            if use.requests.window == window:
                use.hear(self._heard.get(name, NOTHING_HEARD))
                use.requests.heard, use.tokens.heard = sums.requests, sums.tokens
            use.slots.heard = sums.slots

    async def _tell(self, mine: Mapping[str, Sums], window: int, now: float) -> None:
        changes, told_in, told_at = self._told
        is_busy = any(sums.slots for sums in mine.values())
        is_stale = is_busy and (told_in != window or now - told_at >= SLOTS_TOLD)
        if changes == self._limiter.changes and not is_stale:
            return
        changes = self._limiter.changes
        word = Told(at=now, keys={name: sums for name, sums in mine.items() if sums != NOTHING})
        field = {self._node: msgspec.json.encode(word)}
        await self._store.apply([PutFields(keys.key_use(window), field, KEPT)])
        self._told = (changes, window, now)

    def _others(self, found: Mapping[str, bytes]) -> dict[str, Told]:
        told: dict[str, Told] = {}
        for node, value in found.items():
            if node == self._node:
                continue
            try:
                told[node] = msgspec.json.decode(value, type=Told)
            except msgspec.MsgspecError:
                continue  # a later version's; it keeps to its share all the same
        return told

    def lost(self) -> None:
        """The store does not answer: what others had under way is over some time."""
        if self._now() - self._heard_at < SLOTS_KEPT:
            return
        self._heard = {}
        for use in self._limiter.uses.values():
            use.slots.others = use.slots.heard = 0


def _sums(use: Use, window: int) -> Sums:
    use.roll(window)
    return Sums(
        use.requests.mine,
        use.tokens.mine,
        use.slots.mine,
        use.requests.mine_before,
        use.tokens.mine_before,
    )


def _added(others: Mapping[str, Told], before: Mapping[str, Told], now: float) -> dict[str, Heard]:
    """What is known of each key, from what nodes said in this window, else from their last word in the one before."""
    sums: dict[str, list[int]] = {}
    for node in {**before, **others}:
        told = others.get(node)
        said = told or before[node]
        is_alive = now - said.at <= SLOTS_KEPT
        for name, each in said.keys.items():
            into = sums.setdefault(name, [0, 0, 0, 0, 0])
            into[2] += each.slots if is_alive else 0
            if told is not None:
                into[0] += each.requests
                into[1] += each.tokens
                into[3] += each.requests_before
                into[4] += each.tokens_before
            else:
                into[3] += each.requests
                into[4] += each.tokens
    return {name: Heard(*each) for name, each in sums.items()}
