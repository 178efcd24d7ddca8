"""Commands on one embedded store: whoever came first runs the server, and stops it when the last one is done.

A gateway is no guest: it stops its server when it stops. All waiting is for a lock that the kernel gives back
however its holder ends.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from pathlib import Path
from typing import Final

from aiclient2api.store.base import StoreUnusable

FILE: Final = "commands.lock"
LOOK_EVERY: Final = 0.02
PATIENCE: Final = 15.0
"""Seconds; longer than a stop of the server takes."""


class Guests:
    """This command among the others of a data directory."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._file: int | None = None

    async def enter(self) -> None:
        """Be one of them; waits while the server is being stopped. Raises StoreUnusable, OSError."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not await self._locked(fcntl.LOCK_SH):
            self.leave()
            raise StoreUnusable(f"store.data_dir: another command does not let go of {self._path}")

    async def alone(self) -> None:
        """Wait for the others to leave, and keep new ones out; goes on without it when they take too long."""
        await self._locked(fcntl.LOCK_EX)

    async def _locked(self, kind: int) -> bool:
        until = time.monotonic() + PATIENCE
        while self._file is not None:
            try:
                fcntl.flock(self._file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    return False
                await asyncio.sleep(LOOK_EVERY)
            else:
                return True
        return False

    def leave(self) -> None:
        """Be none of them any more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
