"""What a first start makes: the gateway's own secret and a client key, kept in the data directory, mode 0600.

The secret is kept as it is, because everything is derived from it; the client key only as a keyed hash.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from aiclient2api.errors import ConfigError
from aiclient2api.keys.ring import ClientKey, key_hash

SECRET_FILE = "gateway_secret"  # noqa: S105  # a file's name
MIN_SECRET = 32
"""Characters; ours has 64."""
KEY_FILE = "client_key_hash"


class Keys(Struct, frozen=True):
    """What is derived from the gateway's secret."""

    pepper: bytes
    envelope: bytes
    at_rest: bytes
    """Encrypts what is kept."""
    envelope_id: int
    """Names the envelope key (0-255), so that envelopes of a previous secret still open."""

    def __repr__(self) -> str:
        return "Keys(***)"


def derive(secret: str) -> Keys:
    """Independent keys for independent purposes."""
    material = secret.encode()
    return Keys(
        pepper=hashlib.blake2b(material, digest_size=32, person=b"a2-key-pepper").digest(),
        envelope=hashlib.blake2b(material, digest_size=32, person=b"a2-envelope").digest(),
        at_rest=hashlib.blake2b(material, digest_size=32, person=b"a2-at-rest").digest(),
        envelope_id=hashlib.blake2b(material, digest_size=1, person=b"a2-envelope-id").digest()[0],
    )


def new_secret() -> str:
    """256 random bits."""
    return secrets.token_hex(32)


def new_client_key() -> str:
    """A key of 256 random bits that says whose it is."""
    return f"sk-a2-{secrets.token_urlsafe(32)}"


def kept_secret(data_dir: Path) -> str:
    """The secret of this data directory, made at the first start. Raises ConfigError."""
    path = data_dir / SECRET_FILE
    try:
        if path.exists():
            kept = _read(path)
            if len(kept) < MIN_SECRET:
                raise ConfigError(
                    [f"store.data_dir: {path}: is not a secret; remove it to have a new one made"]
                )
            return kept
        secret = new_secret()
        _write(path, secret)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"store.data_dir: {path}: {type(error).__name__}: cannot be used"]) from error
    return secret


def kept_client_key(data_dir: Path, pepper: bytes) -> tuple[ClientKey, str | None]:
    """The generated client key of this data directory, and its text if it was made just now. Raises ConfigError."""
    path = data_dir / KEY_FILE
    try:
        if path.exists():
            digest = bytes.fromhex(_read(path))
            return ClientKey(name="generated", hash=digest), None
        text = new_client_key()
        digest = key_hash(pepper, text)
        _write(path, digest.hex())
    except (OSError, ValueError) as error:
        raise ConfigError([f"store.data_dir: {path}: {type(error).__name__}: cannot be used"]) from error
    return ClientKey(name="generated", hash=digest), text


def _read(path: Path) -> str:
    """What is kept, closed to everybody: backups and copies lose modes. A group may be how a volume is shared."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & stat.S_IRWXO:
        with suppress(OSError):  # somebody else's, or on a disk that takes no changes
            path.chmod(mode & ~stat.S_IRWXO)
    return path.read_text(encoding="ascii").strip()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
