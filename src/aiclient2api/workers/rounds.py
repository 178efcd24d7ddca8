"""Asking everybody, for as many as want to know: one round at a time, and its answer is for all who asked before it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Who = TypeVar("Who")


class Rounds(Generic[Who]):
    """`work` makes one round; `told` gets its result and those who asked, `failed` an error of ours.

    A result is never older than its question.
    """

    def __init__(
        self,
        work: Callable[[], Awaitable[bytes]],
        told: Callable[[bytes, list[Who]], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._work = work
        self._told = told
        self._failed = failed
        self._waiting: list[Who] = []
        self._running: asyncio.Task[None] | None = None

    def ask(self, who: Who) -> None:
        """Have this one told after the next round."""
        self._waiting.append(who)
        if self._running is None:
            self._running = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        try:
            while self._waiting:
                asking, self._waiting = self._waiting, []
                try:
                    self._told(await self._work(), asking)
                except Exception as error:  # they speak for themselves alone when no answer comes
                    self._failed(error)
        finally:
            self._running = None

    def close(self) -> None:
        """Nobody is told any more."""
        if self._running is not None:
            self._running.cancel()
