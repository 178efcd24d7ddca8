"""Part of the composition root: what renews the tokens of accounts whose credential expires."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Mapping

from aiclient2api.accounts.pool import AccountPool
from aiclient2api.accounts.shared import Shared
from aiclient2api.config.model import Config
from aiclient2api.credentials.endpoint import TokenEndpoint
from aiclient2api.credentials.grant import Grant
from aiclient2api.credentials.journal import FileJournal, MemoryJournal
from aiclient2api.credentials.keeper import Keeper, Member
from aiclient2api.credentials.known import Place
from aiclient2api.credentials.peek import peek
from aiclient2api.credentials.sealing import Sealer
from aiclient2api.providers.credentials import Credentials
from aiclient2api.server.first_start import Keys, derive, kept_secret
from aiclient2api.telemetry.log import JsonLog


def keeper(config: Config, keys: Keys, shared: Shared, log: JsonLog, *, ephemeral: bool) -> Keeper:
    """One for the process; `ephemeral` keeps nothing on disk. Raises ConfigError when the journal cannot be used."""
    sealer = Sealer(keys.at_rest, _previous(config))
    words = shared.states.words
    place = Place(
        store=shared.store,
        journal=MemoryJournal() if ephemeral else _journal(config, sealer, log),
        sealer=sealer,
        node=shared.node,
        alone=config.store.url in ("memory", "embedded"),
        sole=config.store.url == "memory",
        now=time.monotonic,
        offset=lambda: shared.states.offset,
        random=random.random,
        rank=lambda: shared.presence.rank,
        tell=log.tell,
    )
    return Keeper(
        place, _endpoint(), log.bug, lambda account: words[account].retry if account in words else 0.0
    )


def watch(tokens: Keeper, config: Config, keys: Keys, pools: Mapping[str, AccountPool]) -> None:
    """Give the accounts of this configuration their tokens from now on."""
    tokens.sealer.use(keys.at_rest, _previous(config))
    members: list[Member] = []
    for pool in pools.values():
        for account in pool.accounts:
            grant = config.accounts[account.name].grant
            if grant is not None:
                members.append(Member(account, grant, pool.token_changed))
    tokens.watch(members)


async def peeked(config: Config, account: str, grant: Grant) -> Credentials:
    """A token for a command, from what the gateways of this data directory have. Raises NoToken, ConfigError."""
    sealer = command_sealer(config)
    journal = FileJournal(config.store.data_dir, sealer.kids, lambda _: None)
    return await peek(account, grant, _endpoint(), (journal, sealer), time.time())


def command_sealer(config: Config) -> Sealer:
    """What gateways of this configuration seal with. Raises ConfigError."""
    given = config.secrets.key
    secret = given.reveal() if given is not None else kept_secret(config.store.data_dir)
    return Sealer(derive(secret).at_rest, _previous(config))


def _endpoint() -> TokenEndpoint:
    return TokenEndpoint(time.time, lambda: secrets.token_hex(16))


def _previous(config: Config) -> list[bytes]:
    return [derive(secret.reveal()).at_rest for secret in config.secrets.previous]


def _journal(config: Config, sealer: Sealer, log: JsonLog) -> FileJournal:
    return FileJournal(
        config.store.data_dir,
        sealer.kids,
        lambda problem: log.event("error", "credentials_journal_damaged", problem=problem),
    )
