"""The client keys that a node knows, on its own disk: for starts without a store, and for a store that was emptied.

There are keyed hashes in it and no key, so the file is worth nothing without the gateway's secret.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

FORMAT = "aiclient2api client keys"


class _Document(Struct, frozen=True):
    format: str
    keys: dict[str, Raw]


class JournalUnreadable(Exception):
    """The file is not what we wrote; `str()` says what became of it."""


class KeyJournal:
    """One file, replaced as a whole. Several processes may write it: what they know is the same, or soon will be."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, bytes]:
        """The records by name, empty without a file. Raises JournalUnreadable; the file is moved aside then."""
        try:
            document = msgspec.json.decode(self._path.read_bytes(), type=_Document)
            if document.format != FORMAT:
                raise ValueError("is something else")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            aside = self._path.with_name(self._path.name + ".unreadable")
            try:
                self._path.replace(aside)
            except OSError:
                raise JournalUnreadable(f"{self._path} cannot be read: {type(error).__name__}") from None
            raise JournalUnreadable(f"{self._path} cannot be read and is {aside.name} now") from None
        return {name: bytes(raw) for name, raw in document.keys.items()}

    def write(self, records: Mapping[str, bytes]) -> None:
        """Replace the file; on the disk when it returns. Blocks. Raises OSError."""
        text = msgspec.json.encode(_Document(FORMAT, {name: Raw(raw) for name, raw in records.items()}))
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        if os.name == "nt":  # there a folder cannot be opened
            return
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
