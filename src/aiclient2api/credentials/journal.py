"""The node's own copy of every credential, on its disk before it is used: append-only, fsynced, the tokens sealed.

A line is a CRC-32 in hex, a space, and JSON: the account and its record. Of an account the record of the highest order
counts. A line that is cut or damaged is passed over and told once; the file it stood in is kept beside the new one.
All workers of a node write the same file, one at a time.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import zlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from aiclient2api.credentials.record import Record, decode, encode
from aiclient2api.errors import ConfigError

FILE: Final = "credentials.journal"
MAX_BYTES: Final = 1024 * 1024
"""A longer file is written anew with the newest records only."""

try:
    import fcntl
except ImportError:  # Windows: one process is all there is
    fcntl = None


class Journal(Protocol):
    """Where records are safe from this process's death and from the store's."""

    def newest(self, account: str) -> Record | None:
        """The record that counts, as far as this process has read."""
        ...

    async def append(self, account: str, record: Record) -> None:
        """On disk when it returns. Raises OSError."""
        ...

    async def read(self) -> None:
        """Take in what other processes of this node have written. Raises OSError."""
        ...


class MemoryJournal:
    """For demos: gone with the process."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}

    def newest(self, account: str) -> Record | None:
        """See Journal."""
        return self._records.get(account)

    async def append(self, account: str, record: Record) -> None:
        """See Journal."""
        self._records[account] = record

    async def read(self) -> None:
        """See Journal."""


class FileJournal:
    """In `folder`. `tell` gets a sentence about what is damaged. Raises ConfigError when it cannot be used at all.

    `kids` are the keys we have: a file with records of another one is left alone, because what is sealed with it would
    be lost for good.
    """

    def __init__(self, folder: Path, kids: frozenset[str], tell: Callable[[str], None]) -> None:
        self._path = folder / FILE
        self._tell = tell
        self._records: dict[str, Record] = {}
        self._inode: int = -1
        self._position = 0
        try:
            if self._path.exists():
                with self._locked():
                    self._take_in()
        except OSError as error:
            raise ConfigError([f"store.data_dir: {self._path}: {error.strerror}: cannot be used"]) from error
        foreign = sorted({record.kid for record in self._records.values()} - kids - {""})
        if foreign:
            raise ConfigError(
                [
                    f"secrets.key: {self._path} is sealed with another key ({', '.join(foreign)}): put the old secret "
                    "under secrets.previous, or move the file away to begin anew; nothing was changed"
                ]
            )

    def newest(self, account: str) -> Record | None:
        """See Journal."""
        return self._records.get(account)

    async def append(self, account: str, record: Record) -> None:
        """See Journal."""
        await asyncio.to_thread(self._append, account, record)

    async def read(self) -> None:
        """See Journal."""

        def run() -> None:
            with self._locked():
                self._take_in()

        await asyncio.to_thread(run)

    @contextmanager
    def _locked(self) -> Generator[None]:
        """One process of this node at a time."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _append(self, account: str, record: Record) -> None:
        with self._locked():
            self._take_in()
            known = self._records.get(account)
            if known is not None and known.order >= record.order:
                return
            line = _line(account, record)
            records = {**self._records, account: record}
            if self._position + len(line) > MAX_BYTES:
                self._rewrite(records)
            else:
                self._write(line)
            self._records = records  # not before it is there: who tries again would be told that it is

    def _write(self, line: bytes) -> None:
        is_new = not self._path.exists()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(28, "the disk is full")
            os.fsync(descriptor)
            self._inode = os.fstat(descriptor).st_ino
        except OSError:  # what is not on the disk must not be read as if it were
            os.ftruncate(descriptor, self._position)
            raise
        finally:
            os.close(descriptor)
        self._position += len(line)
        if is_new:
            _sync_folder(self._path.parent)

    def _rewrite(self, records: Mapping[str, Record]) -> None:
        """The newest record of each account, in a new file that takes the old one's place."""
        part = self._path.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        lines = b"".join(_line(account, record) for account, record in sorted(records.items()))
        with os.fdopen(descriptor, "wb") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
            self._inode, self._position = os.fstat(file.fileno()).st_ino, len(lines)
        part.replace(self._path)
        _sync_folder(self._path.parent)

    def _take_in(self) -> None:
        """Read what is new since the last time, all of it when the file was replaced."""
        try:
            with self._path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                if inode != self._inode:
                    self._inode, self._position = inode, 0
                file.seek(self._position)
                data = file.read()
        except FileNotFoundError:
            self._position = 0
            return
        damaged = 0
        for line in data.splitlines(keepends=True):
            found = _read(line)
            if found is None:
                damaged += 1
                continue
            account, record = found
            known = self._records.get(account)
            if known is None or record.order > known.order:
                self._records[account] = record
        self._position += len(data)
        if damaged:
            self._put_aside(damaged)

    def _put_aside(self, damaged: int) -> None:
        """What cannot be read is kept for people; what can goes into a new file."""
        number = 1
        while (kept := self._path.with_suffix(f".damaged-{number}")).exists():
            number += 1
        try:
            os.link(self._path, kept)
        except OSError:  # not every file system has links
            shutil.copy2(self._path, kept)
        self._rewrite(self._records)
        lines = "1 line" if damaged == 1 else f"{damaged} lines"
        self._tell(f"{self._path}: {lines} cut or damaged and passed over; the file is kept as {kept.name}")


def _line(account: str, record: Record) -> bytes:
    text = msgspec.json.encode({"account": account, "record": msgspec.Raw(encode(record))})
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _read(line: bytes) -> tuple[str, Record] | None:
    """None for what is not a whole line of ours."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        members: Mapping[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    record = decode(msgspec.json.encode(members.get("record")))
    account = members.get("account")
    return (account, record) if isinstance(account, str) and record is not None else None


def _sync_folder(folder: Path) -> None:
    """A new name is on disk with its folder."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
