"""Round robin as arithmetic: a ring of slots by weight, entered at a ticket. Pure, no lock, no I/O."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, TypeVar

T = TypeVar("T")
MAX_SLOTS: Final = 128
GOLDEN: Final = 0.6180339887498949
"""Multiples of it spread evenly over a circle, so that the turns of many rare members do not fall together."""

_64_BITS: Final = (1 << 64) - 1
_ODD: Final = 0xBF58476D1CE4E5B9
_OTHER: Final = 0x94D049BB133111EB
"""The multipliers of SplitMix64: every bit of a difference reaches every bit of the score."""


def ring(members: Sequence[T], weights: Sequence[float]) -> tuple[T, ...]:
    """Slots in smooth weighted order: a member of weight 2 stands twice, never side by side if avoidable.

    At most MAX_SLOTS slots, or two per member where there are more members; each stands in at least once.
    """
    if not members:
        return ()
    if max(weights) == min(weights):
        return tuple(members)
    total, limit = sum(weights), max(MAX_SLOTS, 2 * len(members))
    is_whole = total <= limit and all(float(weight).is_integer() for weight in weights)
    scale = 1.0 if is_whole else limit / total
    counts = [max(1, round(weight * scale)) for weight in weights]
    turns = [
        ((turn + (0.5 + index * GOLDEN) % 1) / count, index)
        for index, count in enumerate(counts)
        for turn in range(count)
    ]
    return tuple(members[index] for _, index in sorted(turns))


def walk(slots: Sequence[T], ticket: int) -> Iterator[T]:
    """Each distinct entry of the ring once, beginning at the ticket's slot.

    From there each round goes on at another slot, so that the turns of an entry that is out are shared by all
    the others instead of falling to its neighbour.
    """
    size = len(slots)
    seen: set[int] = set()
    for offset in range(size):
        onward = 1 + (ticket // size + offset - 1) % (size - 1) if offset else 0
        slot = slots[(ticket + onward) % size]
        if id(slot) not in seen:
            seen.add(id(slot))
            yield slot


def rendezvous(names: Sequence[str], key: bytes) -> Iterator[int]:
    """Indexes of the names, the one that this key belongs to first. When a name goes, only its keys move."""
    mixed = _number(key)
    scored: list[tuple[int, int]] = []
    for index, name in enumerate(names):
        score = ((_of_name(name) ^ mixed) * _ODD) & _64_BITS
        score = ((score ^ score >> 29) * _OTHER) & _64_BITS
        scored.append((score ^ score >> 32, index))
    heapq.heapify(scored)  # nearly always the first is taken: that is less than to sort
    while scored:
        yield heapq.heappop(scored)[1]


def _number(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())


@lru_cache(65_536)
def _of_name(name: str) -> int:
    return _number(name.encode())
