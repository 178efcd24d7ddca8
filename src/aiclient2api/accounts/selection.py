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
    return tuple(order)


def walk(slots: Sequence[T], ticket: int) -> Iterator[T]:
    """Each distinct entry of the ring once, beginning at the ticket's slot."""
    seen: set[int] = set()
    for offset in range(len(slots)):
        slot = slots[(ticket + offset) % len(slots)]
        if id(slot) not in seen:
            seen.add(id(slot))
            yield slot
