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
    """A part of one's own. Raises OSError.

    Until it is locked it looks like that of a process that died: whoever looks just then takes it away.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        path = folder / f"{uuid.uuid4().hex}{LOCK}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        if _locked(path, descriptor):
            return Ownership(path, descriptor)


def orphans(folder: Path) -> Iterator[Ownership]:
    """The parts of processes that died, each locked for the caller, who releases it."""
    for path in sorted(folder.glob(f"*{LOCK}")):
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        if _locked(path, descriptor):
            yield Ownership(path, descriptor)


def _locked(path: Path, descriptor: int) -> bool:
    """Whether it is ours now, and still the file of this name; closed if not. Raises OSError."""
    is_ours = False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_ours = path.stat().st_ino == os.fstat(descriptor).st_ino
    except (BlockingIOError, FileNotFoundError):
        pass
    finally:
        if not is_ours:
            os.close(descriptor)
    return is_ours
