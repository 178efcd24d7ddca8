"""Whose segments are whose: one locked file per process, released by the kernel however the process ends."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

LOCK: Final = ".lock"


class Ownership:
    """One process's part of a folder: the files that begin with `name`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.name = path.stem
        self._path = path
        self._descriptor = descriptor

    def release(self, *, is_finished: bool) -> None:
        """Let go. `is_finished`: nothing is left for a recovery to do."""
        if is_finished:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def own(folder: Path) -> Ownership:
    """A part of one's own. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{uuid.uuid4().hex}{LOCK}"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return Ownership(path, descriptor)


def orphans(folder: Path) -> Iterator[Ownership]:
    """The parts of processes that died, each locked for the caller, who releases it."""
    for path in sorted(folder.glob(f"*{LOCK}")):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_current = path.exists() and path.stat().st_ino == os.fstat(descriptor).st_ino
        except OSError:
            is_current = False
        if is_current:
            yield Ownership(path, descriptor)
        else:
            os.close(descriptor)
