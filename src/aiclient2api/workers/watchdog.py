"""Notices a worker whose event loop stands still: its process lives, and whoever is connected to it waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Protocol

EVERY: Final = 1.0
"""Seconds between two questions at most."""
QUESTIONS: Final = 5
"""Unanswered in a row before a worker is given up, at least."""


class Watched(Protocol):
    """A worker."""

    @property
    def is_ready(self) -> bool:
        """Whether it has said that it serves."""
        ...

    @property
    def unanswered(self) -> int:
        """Questions since its last sign of life."""
        ...

    def ping(self) -> None:
        """Ask for a sign of life."""
        ...


async def watch(
    serving: Callable[[], Collection[Watched]], hung: Callable[[Watched], None], patience: float
) -> None:
    """Ask those who serve, for ever; `hung` is told of one that answered nothing for `patience` seconds.

    Questions are counted, not seconds: while the whole machine stands still or the supervisor gets no time, nobody
    is asked, and nobody is late.
    """
    every = min(EVERY, patience / QUESTIONS)
    given_up: set[Watched] = set()
    while True:
        await asyncio.sleep(every)
        workers = [each for each in serving() if each.is_ready]
        given_up &= set(workers)
        for each in workers:
            if each in given_up:
                continue
            if each.unanswered * every >= patience:
                given_up.add(each)
                hung(each)
            else:
                each.ping()
