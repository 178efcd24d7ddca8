"""The records that a node knows, on its own disk: for starts without a store, and for a store that was emptied.

Client keys are keyed hashes in it and no key, accounts are sealed each for itself; the file is sealed all the same, so
that nobody without the gateway's secret can read who has keys, or change what they may do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Raw, Struct

from aiclient2api.credentials.sealing import Broken, Sealer, UnknownKey
from aiclient2api.store.records import CopyUnreadable

FORMAT: Final = "aiclient2api client keys"


class _File(Struct, frozen=True):
    format: str
    kid: str
    """The name of the key that it is sealed with."""
    sealed: bytes


class KeyJournal:
    """One file, replaced as a whole. Several processes may write it: what they know is the same, or soon will be."""

    def __init__(self, path: Path, sealer: Sealer, about: str = FORMAT) -> None:
        """`about`: what the file says of itself."""
        self._path = path
        self._about = about
        self._sealer = sealer
        self.is_current = True
        """Whether what was read is sealed with the current key."""

    def read(self) -> dict[str, bytes]:
        """The records by name, empty without a file. Raises CopyUnreadable; the file is moved aside then."""
        try:
            file = msgspec.json.decode(self._path.read_bytes(), type=_File)
            text = self._sealer.open(file.sealed, file.kid, self._about)
            records = msgspec.json.decode(text, type=dict[str, Raw])
        except FileNotFoundError:
            return {}
        except UnknownKey as error:
            raise self._aside(f"is sealed with the unknown key {error}; secrets.previous lacks it") from None
        except (OSError, Broken, ValueError, msgspec.MsgspecError) as error:
            raise self._aside(f"cannot be read ({type(error).__name__})") from None
        self.is_current = file.kid == self._sealer.kid
        return {name: bytes(raw) for name, raw in records.items()}

    def _aside(self, problem: str) -> CopyUnreadable:
        aside = self._path.with_name(self._path.name + ".unreadable")
        try:
            self._path.replace(aside)
        except OSError:
            return CopyUnreadable(f"{self._path} {problem}")
        return CopyUnreadable(f"{self._path} {problem}; it is {aside.name} now")

    def write(self, records: Mapping[str, bytes]) -> None:
        """Replace the file; on the disk when it returns. Blocks. Raises OSError."""
        text = msgspec.json.encode({name: Raw(raw) for name, raw in records.items()})
        sealed = _File(self._about, self._sealer.kid, self._sealer.seal(text, self._about))
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(sealed))
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
