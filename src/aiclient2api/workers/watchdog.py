"""Notices a worker whose event loop stands still: its process lives, and whoever is connected to it waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Protocol

EVERY: Final = 1.0
"""Seconds between two questions at most."""
START_SECONDS: Final = 60.0
"""Until a worker is ready."""
QUESTIONS: Final = 5
"""Unanswered in a row before a worker is given up, at least."""


class Watched(Protocol):
    """A worker."""

    @property
    def is_ready(self) -> bool:
        """Whether it has said that it serves."""
        ...

    @property
    def lived(self) -> float:
        """Seconds since it was started."""
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
    """Ask those who serve, for ever; `hung` hears of one that is silent for `patience` seconds, or never gets ready.

    Questions are counted, not seconds: while the whole machine stands still or the supervisor gets no time, nobody
    is asked, and nobody is late.
    """
    every = min(EVERY, patience / QUESTIONS)
    given_up: set[Watched] = set()
    while True:
        await asyncio.sleep(every)
        workers = set(serving())
        given_up &= workers
        for each in workers - given_up:
            is_late = not each.is_ready and each.lived > START_SECONDS
            if is_late or each.unanswered * every >= patience:
                given_up.add(each)
                hung(each)
            elif each.is_ready:
                each.ping()
