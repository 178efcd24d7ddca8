"""A credential as the store and the journal keep it: what everybody may know in clear, the tokens sealed. Pure.

Times are Unix seconds of the store's clock. Members that are not known are kept.
"""

from __future__ import annotations

from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from aiclient2api.credentials.sealing import Broken, Sealer
from aiclient2api.providers.credentials import Secret

MAX_SEEDS: Final = 8


class Intent(Struct, frozen=True, kw_only=True):
    """Somebody is about to send the refresh token, or has sent it and never told what came of it."""

    fence: int
    node: str
    at: float
    """When it was sent first."""
    tries: int = 1


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One generation of an account's tokens. Generation 0 has none yet: the configured refresh token is the next."""

    generation: int = 0
    fence: int = 0
    """Grows with every holder of the lease."""
    at: float = 0.0
    node: str = ""
    expires: float = 0.0
    life: float = 0.0
    rotates: bool = False
    """The endpoint has given a new refresh token for an old one: the old one is used up."""
    kid: str = ""
    sealed: bytes = b""
    intent: Intent | None = None
    rests: float = 0.0
    """Nobody asks before."""
    refusals: int = 0
    """In a row."""
    reason: str = ""
    """Of the last refusal."""
    dead: float = 0.0
    """When the endpoint said that the refresh token is good no more."""
    seeds: tuple[str, ...] = ()
    """The configurations that it was made with, the last one in the end."""
    edits: int = 0
    """Changes within a generation; of two records of one fence the later one counts."""
    rest: dict[str, Any] = {}
    """Members of other versions."""

    @property
    def order(self) -> tuple[int, int, int]:
        """The higher one counts, whoever wrote it."""
        return self.generation, self.fence, self.edits


class Tokens(Struct, frozen=True):
    """What is sealed."""

    access: Secret | None = None
    refresh: Secret | None = None


_KNOWN: Final = frozenset(Record.__struct_fields__) - {"rest"}


def encode(record: Record) -> bytes:
    """As it is stored."""
    members = cast(dict[str, Any], msgspec.to_builtins(record))
    members.pop("rest", None)
    return msgspec.json.encode({**record.rest, **members})


def decode(value: bytes | None) -> Record | None:
    """A stored record; None for none, and for what cannot be read."""
    try:
        members = msgspec.json.decode(value, type=dict[str, Any]) if value else {}
        if not members:
            return None
        rest = {name: member for name, member in members.items() if name not in _KNOWN}
        known = {name: member for name, member in members.items() if name in _KNOWN}
        return msgspec.structs.replace(msgspec.convert(known, Record), rest=rest)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def seal(record: Record, tokens: Tokens, sealer: Sealer, account: str) -> Record:
    """The record with these tokens inside."""
    text = msgspec.json.encode(
        {
            "access": tokens.access.reveal() if tokens.access else None,
            "refresh": tokens.refresh.reveal() if tokens.refresh else None,
        }
    )
    sealed = sealer.seal(text, _about(account, record.generation))
    return msgspec.structs.replace(record, kid=sealer.kid, sealed=sealed)


def unseal(record: Record, sealer: Sealer, account: str) -> Tokens:
    """The tokens inside. Raises UnknownKey, Broken."""
    if not record.sealed:
        return Tokens()
    text = sealer.open(record.sealed, record.kid, _about(account, record.generation))
    try:
        members = msgspec.json.decode(text, type=dict[str, str | None])
    except msgspec.MsgspecError:
        raise Broken from None
    access, refresh = members.get("access"), members.get("refresh")
    return Tokens(Secret(access) if access else None, Secret(refresh) if refresh else None)


def _about(account: str, generation: int) -> str:
    return f"{account}\0{generation}"
