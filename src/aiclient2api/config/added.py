"""Accounts that are kept in the store instead of the file: one record each, its section sealed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from msgspec import Struct

from aiclient2api.config.accounts import AccountReader
from aiclient2api.config.model import Config, ProviderOptions
from aiclient2api.config.reading import Reader
from aiclient2api.config.secrets import SecretSource
from aiclient2api.credentials.sealing import Broken, Sealer, UnknownKey
from aiclient2api.protocols.registry import converters
from aiclient2api.providers.registry import ProviderRegistry

Section = dict[str, Any]
"""What would stand under `accounts.NAME`, secrets as they are."""
_ABOUT: Final = "aiclient2api account "


class AddedAccount(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One account. Of two records of a name that with the greater `rev` counts."""

    name: str
    rev: int
    """Milliseconds since the Unix epoch of the store's clock, and always more than before."""
    kid: str = ""
    sealed: bytes = b""
    removed: bool = False
    by: str = ""
    """Who said so last."""


_KNOWN: Final = frozenset(AddedAccount.__struct_fields__)


def decode(value: bytes) -> AddedAccount | None:
    """A stored record; None when it cannot be read."""
    try:
        return msgspec.json.decode(value, type=AddedAccount)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def encode(record: AddedAccount, old: bytes | None = None) -> bytes:
    """As it is stored; members that a later version wrote into `old` are kept."""
    try:
        kept: object = msgspec.json.decode(old or b"{}")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        kept = {}
    members = cast(dict[str, object], kept) if isinstance(kept, dict) else dict[str, object]()
    unknown = {name: value for name, value in members.items() if name not in _KNOWN}
    return msgspec.json.encode({**unknown, **msgspec.to_builtins(record)})


def sealed(name: str, section: Section, sealer: Sealer) -> AddedAccount:
    """A record of this section, without a revision."""
    text = msgspec.json.encode(section)
    return AddedAccount(name=name, rev=0, kid=sealer.kid, sealed=sealer.seal(text, _ABOUT + name))


def opened(record: AddedAccount, sealer: Sealer) -> Section:
    """The section. Raises ValueError with the reason."""
    try:
        text = sealer.open(record.sealed, record.kid, _ABOUT + record.name)
        return msgspec.json.decode(text, type=Section)
    except UnknownKey as error:
        reason = f"sealed with the unknown key {error}; secrets.previous lacks it"
        raise ValueError(reason) from None
    except (Broken, msgspec.MsgspecError):
        raise ValueError("the record is damaged") from None


def extended(config: Config, sections: Mapping[str, Section]) -> tuple[Config, list[str]]:
    """The configuration with these accounts beside its own, and what is wrong with those that are left out.

    An account of the configuration hides an added one of its name.
    """
    reader = Reader(SecretSource({}, Path()))
    spoken = {converter.name for converter in converters()}
    accounts = AccountReader(reader, ProviderRegistry.installed(), spoken, config.providers)
    read = {
        name: accounts.read(name, dict(section))
        for name, section in sections.items()
        if name not in config.accounts
    }
    good = {name: account for name, account in read.items() if account is not None}
    if not good:
        return config, reader.problems
    options = {account.provider: ProviderOptions() for account in good.values()}
    everything = msgspec.structs.replace(
        config,
        accounts={**config.accounts, **good},
        providers={**options, **config.providers},
    )
    return everything, reader.problems
