"""Composition root: a configuration becomes everything that serves it.

Nothing else reads the configuration, and nothing here decides anything about a request. A reload builds a new
runtime, swaps one reference in the app, and closes the old one when its last request is over.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import secrets
import socket
import time
from collections.abc import Callable

import msgspec

from aiclient2api import tokens
from aiclient2api.accounts.account import DEFAULT_CONCURRENCY, Account, AccountSettings
from aiclient2api.accounts.policy import (
    ConcurrencyPolicy,
    HealthPolicy,
    Policy,
    RetryPolicy,
    ThrottlePolicy,
)
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.accounts.shared import Shared
from aiclient2api.accounts.surroundings import Surroundings
from aiclient2api.added import added_accounts
from aiclient2api.config import model as config_model
from aiclient2api.config.load import route_table
from aiclient2api.config.model import AccountConfig, Config
from aiclient2api.credentials.peek import NoToken
from aiclient2api.errors import GatewayError, MalformedMessage
from aiclient2api.gateway.attempt import Attempts
from aiclient2api.gateway.attempt_counts import AttemptCounts
from aiclient2api.gateway.carried import Carried, Traces
from aiclient2api.gateway.dispatch import Dispatcher
from aiclient2api.gateway.idempotency import SameRequests
from aiclient2api.gateway.limits import Admission
from aiclient2api.gateway.listing import Listing
from aiclient2api.gateway.pins import Pins
from aiclient2api.keys.gauges import gauges as key_gauges
from aiclient2api.keys.journal import KeyJournal
from aiclient2api.keys.limiter import KeyLimiter
from aiclient2api.keys.ring import ClientKey, ClientKeys, key_hash, limits_of
from aiclient2api.keys.shared import KeySharing
from aiclient2api.keys.sharing import UseSharing
from aiclient2api.keys.stored import SharedClientKeys
from aiclient2api.ledger.bookkeeper import Bookkeeper
from aiclient2api.ledger.gauges import gauges
from aiclient2api.ledger.ledger import Ledger
from aiclient2api.net.lean import LeanTransport
from aiclient2api.net.transport import Timeouts, Transport
from aiclient2api.protocols.carrier import Carrier
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.registry import converters
from aiclient2api.server.first_start import (
    Keys,
    derive,
    kept_client_key,
    kept_secret,
    new_client_key,
    new_secret,
)
from aiclient2api.server.models import ModelLists
from aiclient2api.server.services import Services
from aiclient2api.server.streaming import Heartbeat
from aiclient2api.store.base import Store
from aiclient2api.store.memory import MemoryStore
from aiclient2api.store.opening import StoreSettings
from aiclient2api.telemetry.log import JsonLog, RequestLog
from aiclient2api.telemetry.metrics import Metrics


class Process(msgspec.Struct, frozen=True):
    """What outlives every configuration of a process."""

    store: Store
    log: JsonLog
    metrics: Metrics
    workers: int = 1
    """How many processes like this one the machine starts together."""


class Runtime:
    """Everything built from one configuration. `generated_key` is a client key that was made just now."""

    def __init__(
        self,
        config: Config,
        *,
        ephemeral: bool = False,
        before: Runtime | None = None,
        process: Process | None = None,
    ) -> None:
        """`ephemeral`: keep nothing on disk (demo). `before`: the runtime this one replaces.

        `process` is the caller's, who closes its store; without one there is a memory of our own.

        Raises ConfigError when the data directory cannot be used.
        """
        self.config = config
        self.process: Process = before.process if before else process or _alone(config)
        self.log: JsonLog = self.process.log
        self.metrics: Metrics = self.process.metrics
        self.store: Store = self.process.store
        self.secrets, self.client_keys, self.generated_key = _keys(config, ephemeral, before)
        self.ledger = before.ledger if before else _ledger(config, ephemeral=ephemeral)
        self._transport = _transport(config)
        self.shared = before.shared if before else self._shared()
        self.shared.states.told = self.log.event
        self.limiter = before.limiter if before else KeyLimiter(self.shared.clock, random.random)
        self.limiter.nodes = lambda: self.shared.presence.live
        self.surroundings = Surroundings(policy(config), self.shared.states)
        self.pools = _pools(config, self.surroundings, self.shared, before)
        if before is not None:
            self.surroundings.take_over(before.surroundings)
        self.tokens = (
            before.tokens
            if before
            else tokens.keeper(config, self.secrets, self.shared, self.log, ephemeral=ephemeral)
        )
        tokens.watch(self.tokens, config, self.secrets, self.pools)
        self.added = (
            before.added
            if before
            else added_accounts(config, self.store, self.tokens.sealer, self.log, ephemeral=ephemeral)
        )
        self.key_sharing = before.key_sharing if before else self._key_sharing(ephemeral=ephemeral)
        self.key_sharing.has_limits = any(key.limits is not None for key in self.client_keys)
        self.services = self._services(before)
        self.metrics.pools = self.pools
        self.metrics.sources = [lambda: gauges(self.ledger), lambda: key_gauges(self.limiter)]
        self.shared.watch(self.pools)

    def _shared(self) -> Shared:
        shared = Shared(self.store, _node_name(), random.random, self.log.bug)
        shared.presence.expect(self.process.workers)
        return shared

    def _key_sharing(self, *, ephemeral: bool) -> KeySharing:
        path = self.config.store.data_dir / "client_keys.json"
        journal = None if ephemeral else KeyJournal(path, self.tokens.sealer)
        return KeySharing(
            SharedClientKeys(self.store, time.monotonic, journal, self.log.event),
            self.limiter,
            UseSharing(self.store, self.shared.node, self.limiter, time.monotonic),
            self.log.bug,
        )

    def _services(self, before: Runtime | None) -> Services:
        config = self.config
        factory = ConverterFactory(
            converters(),
            _carrier(self.secrets, config),
            config.system_prompt.prompt(),
        )
        timeouts = {name: _timeouts(account) for name, account in config.accounts.items()}
        routes = route_table(config)
        bookkeeper = Bookkeeper(self.ledger, time.time)
        observers = (
            self.limiter,
            bookkeeper,  # before whoever adds up: it drops what cannot be
            self.metrics,
            RequestLog(self.log),
            AttemptCounts(self.shared.writes.count),
        )
        dispatcher = Dispatcher(
            routes,
            self.pools,
            factory,
            Attempts(self._transport, timeouts, config.limits.answer),
            Traces(
                Pins(self.store, self.shared.writes),
                Carried(self.store, self.shared.writes, time.monotonic, is_on=config.policy.side_table),
            ),
            self.surroundings.policy,
        )
        dispatcher.attempting = (bookkeeper.attempting,)
        listing = Listing(self._transport, factory, timeouts)
        return Services(
            dispatcher=dispatcher,
            converters=factory,
            pools=self.pools,
            keys=ClientKeys(_peppers(self.secrets, config), self.client_keys, self.key_sharing.stored),
            limiter=self.limiter,
            admission=Admission(
                config.limits.streams_per_worker, before.services.admission if before else None
            ),
            models=ModelLists(routes.names(), self.pools, listing, time.monotonic, routes.leads_to),
            observers=observers,
            starting=(self.metrics.started,),
            log=self.log,
            now=time.monotonic,
            new_id=_request_id,
            metrics=self.metrics.text,
            body_limit=config.limits.body,
            cors=config.server.cors,
            strict=config.policy.strict,
            trouble=lambda: self.ledger.problem,
            must_refuse=_is_degraded(self.ledger) if config.ledger.on_full == "deny" else _never,
            heartbeat=Heartbeat(
                first=float(config.server.heartbeat.first), every=float(config.server.heartbeat.every)
            ),
            same=before.services.same if before else SameRequests(),
        )

    async def close(self) -> None:
        """Close every upstream connection and write what is left of the log."""
        await self._transport.close()
        await asyncio.to_thread(self.log.flush)


def _alone(config: Config) -> Process:
    return Process(MemoryStore(time.monotonic), JsonLog(time.time, level=config.log.level), Metrics())


def _ledger(config: Config, *, ephemeral: bool) -> Ledger:
    return Ledger(None if ephemeral else config.store.data_dir / "ledger", time.monotonic)


def _transport(config: Config) -> Transport:
    connections = {name: provider.connections for name, provider in config.providers.items()}
    match config.net.transport:
        case "lean":
            return LeanTransport(connections)
        case "aiohttp":
            from aiclient2api.net.pooled import PooledTransport  # what is not used is not loaded

            return PooledTransport(connections)


def _node_name() -> str:
    """Says to people which machine it is; new for each process."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:40]
    return f"{host}-{os.getpid()}-{secrets.token_hex(3)}"


def store_settings(config: Config) -> StoreSettings:
    """What opens the configured store."""
    store = config.store
    return StoreSettings(
        url=str(store.url),
        data_dir=store.data_dir,
        connections=store.connections,
        timeout=float(store.timeout),
    )


def _carrier(current: Keys, config: Config) -> Carrier:
    """Seals with the current secret, opens what the previous ones sealed."""
    previous = [derive(secret.reveal()) for secret in config.secrets.previous]
    return Carrier({keys.envelope_id: keys.envelope for keys in (*previous, current)}, current.envelope_id)


def _never() -> bool:
    return False


def _is_degraded(ledger: Ledger) -> Callable[[], bool]:
    return lambda: ledger.is_degraded


def _request_id() -> str:
    return f"req_{os.urandom(12).hex()}"


def _keys(
    config: Config, ephemeral: bool, before: Runtime | None
) -> tuple[Keys, list[ClientKey], str | None]:
    if config.secrets.key is not None:
        keys = derive(config.secrets.key.reveal())
    elif before is not None:
        keys = before.secrets
    else:
        keys = derive(new_secret() if ephemeral else kept_secret(config.store.data_dir))
    if config.keys:
        return keys, [_client_key(entry, keys.pepper) for entry in config.keys], None
    if before is not None and not before.config.keys:
        return keys, before.client_keys, None
    if ephemeral:
        text = new_client_key()
        return keys, [ClientKey(name="generated", hash=key_hash(keys.pepper, text))], text
    generated, text = kept_client_key(config.store.data_dir, keys.pepper)
    return keys, [generated], text


def first_key(config: Config) -> str | None:
    """Make what a first start makes, before several processes do; the client key if it is new. Raises ConfigError."""
    return _keys(config, False, None)[2]


def _client_key(entry: config_model.ClientKey, pepper: bytes) -> ClientKey:
    return ClientKey(
        name=entry.name,
        hash=key_hash(pepper, entry.key.reveal()),
        models=entry.models,
        strict=entry.strict,
        expires=entry.expires.timestamp() if entry.expires else None,
        limits=limits_of(entry.rpm, entry.tpm, entry.concurrency),
    )


def _peppers(current: Keys, config: Config) -> list[bytes]:
    """Keys that were hashed under an earlier secret are still known."""
    return [current.pepper, *(derive(secret.reveal()).pepper for secret in config.secrets.previous)]


def policy(config: Config) -> Policy:
    """The constants of health, retries and selection."""
    given = config.policy
    return Policy(
        health=HealthPolicy(**msgspec.structs.asdict(given.health)),
        retries=RetryPolicy(attempts=given.attempts, **msgspec.structs.asdict(given.retries)),
        throttle=ThrottlePolicy(**msgspec.structs.asdict(given.throttle)),
        concurrency=ConcurrencyPolicy(**msgspec.structs.asdict(given.concurrency)),
        affinity=given.affinity,
        affinity_load=given.affinity_load,
    )


def _pools(
    config: Config, surroundings: Surroundings, shared: Shared, before: Runtime | None
) -> dict[str, AccountPool]:
    kept = {a.name: a for pool in (before.pools if before else {}).values() for a in pool.accounts}
    pools: dict[str, AccountPool] = {}
    for name, members in config.pools.items():
        accounts = [_account(member) for member in members]
        for account in accounts:
            old = kept.get(account.name)
            if before is None or old is None:
                continue
            account.follow(old)
            if _asks_as(before.config.accounts[account.name], config.accounts[account.name]):
                account.take_over(old)
        pools[name] = AccountPool(
            name,
            accounts,
            now=time.monotonic,
            random=random.random,
            surroundings=surroundings,
            tickets=shared.tickets(name),
        )
    return pools


def _asks_as(old: AccountConfig, new: AccountConfig) -> bool:
    """Whether an account asks what it asked before. How much and how patiently is nothing that may have mended it."""
    same = msgspec.structs.replace(
        new, pool=old.pool, weight=old.weight, concurrency=old.concurrency, timeouts=old.timeouts
    )
    return same == old


def _account(entry: AccountConfig) -> Account:
    return Account(
        entry.name,
        entry.provider,
        entry.spec.build(entry.settings),
        AccountSettings(
            models=entry.models,
            protocols=entry.protocols,
            weight=entry.weight,
            concurrency=entry.concurrency or DEFAULT_CONCURRENCY,
            headers=tuple((name, value.reveal()) for name, value in entry.headers.items()),
            proxy=entry.proxy.reveal() if entry.proxy else None,
            ca=str(entry.ca) if entry.ca else None,
        ),
    )


def _timeouts(entry: AccountConfig) -> Timeouts:
    return Timeouts(**{name: float(value) for name, value in msgspec.structs.asdict(entry.timeouts).items()})


async def check_account(config: Config, name: str) -> str | None:
    """Ask one account for its models; what is wrong, or None."""
    runtime = Runtime(config, ephemeral=True)
    try:
        account = next(a for pool in runtime.pools.values() for a in pool.accounts if a.name == name)
        grant = config.accounts[name].grant
        if grant is not None:
            account.credentials = await tokens.peeked(config, name, grant)
        await runtime.services.models.upstream.list_models(account)
    except (GatewayError, MalformedMessage, NoToken) as error:
        return str(error) or type(error).__name__
    finally:
        await runtime.close()
    return None
