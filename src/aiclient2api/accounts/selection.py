"""Round robin as arithmetic: a ring of slots by weight, walked from a ticket. Pure, no lock, no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from aiclient2api.accounts.account import Account

T = TypeVar("T")
MAX_SLOTS = 128


def ring(accounts: Sequence[Account]) -> tuple[Account, ...]:
    """Slots in smooth weighted order: an account of weight 2 stands twice, never side by side if avoidable."""
    total = sum(account.weight for account in accounts)
    slots = min(total, max(MAX_SLOTS, len(accounts)))
    credit = [0.0] * len(accounts)
    order: list[Account] = []
    for _ in range(slots):
        for index, account in enumerate(accounts):
            credit[index] += account.weight
        best = max(range(len(accounts)), key=lambda index: (credit[index], -index))
        credit[best] -= total
        order.append(accounts[best])
    # a weight too small for the ring still stands in once for the others
    present = {id(account) for account in order}
    return (*order, *(account for account in accounts if id(account) not in present))


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
