"""Noticing that the configuration file is another one, without a dependency: one `stat` per second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

EVERY = 1.0
"""Seconds between two looks. A file counts as changed when two looks in a row see the same new one."""

Signature = tuple[int, int, int]


def signature(path: Path) -> Signature | None:
    """What tells one version of a file from another; None when it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class FileWatch:
    """Calls `changed` for every new version of a file that is not known already."""

    def __init__(self, path: Path, changed: Callable[[], None]) -> None:
        self._path = path
        self._changed = changed
        self._known = signature(path)
        self._last = self._known

    def know(self) -> None:
        """The file has just been read."""
        self._known = self._last = signature(self._path)

    def look(self) -> None:
        """Compare once. A file that is gone or being written is left alone until it stands still."""
        found = signature(self._path)
        is_settled = found == self._last
        self._last = found
        if found is not None and is_settled and found != self._known:
            self._known = found
            self._changed()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            self.look()
