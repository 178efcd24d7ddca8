"""The configuration as types. Every name here is a key of the file, except where a comment says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from aiclient2api.config.oauth import OAuth
from aiclient2api.config.units import Duration, Size, StoreUrl
from aiclient2api.credentials.grant import Grant
from aiclient2api.protocols.base import SystemPrompt
from aiclient2api.providers.base import ProviderSpec
from aiclient2api.providers.credentials import Secret

Positive = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._-]*\Z")]
Affinity = Literal["off", "conversation", "prompt_cache"]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every section has in common: it is a value, and it refuses keys that it does not know."""


class Tls(Section, frozen=True, kw_only=True):
    """Certificate chain and private key, as PEM files."""

    cert: Path
    key: Path


class ClientTimeouts(Section, frozen=True, kw_only=True):
    """How long a client may take."""

    header: Duration = Duration(10)
    body_idle: Duration = Duration(10)
    body: Duration = Duration(120)
    write: Duration = Duration(30)
    keep_alive: Duration = Duration(75)


class Heartbeat(Section, frozen=True, kw_only=True):
    """Signs of life in a silent stream."""

    first: Duration = Duration(20)
    every: Duration = Duration(15)


class Server(Section, frozen=True, kw_only=True):
    """Where the gateway listens."""

    host: str = "127.0.0.1"
    port: Port = 3000
    workers: Positive = 1
    http: Literal["lean", "uvicorn"] = "lean"
    drain: Duration = Duration(120)
    drain_notice: Duration = Duration(2)
    watchdog: Duration = Duration(20)
    watch: bool = True
    timeouts: ClientTimeouts = ClientTimeouts()
    tls: Tls | None = None
    cors: tuple[str, ...] = ()
    heartbeat: Heartbeat = Heartbeat()


class Store(Section, frozen=True, kw_only=True):
    """Where shared state lives."""

    url: StoreUrl = StoreUrl("embedded")
    data_dir: Path = Path("~/.local/share/aiclient2api").expanduser()
    connections: Positive = 16
    timeout: Duration = Duration(0.1)


class ClientKey(Section, frozen=True, kw_only=True):
    """A key that clients come with. `models` limits it to names and patterns; empty is everything."""

    name: Name
    key: Secret
    models: tuple[str, ...] = ()
    rpm: Positive | None = None
    tpm: Positive | None = None
    concurrency: Positive | None = None
    expires: Annotated[datetime, Meta(tz=True)] | None = None
    strict: bool = False


class Timeouts(Section, frozen=True, kw_only=True):
    """How long an upstream may take; the defaults are for API upstreams in good health."""

    pool: Duration = Duration(2)
    dns: Duration = Duration(2)
    connect: Duration = Duration(3)
    tls: Duration = Duration(5)
    write: Duration = Duration(30)
    headers: Duration = Duration(30)
    first_content: Duration = Duration(60)
    idle: Duration = Duration(120)
    total: Duration = Duration(600)
    total_stream: Duration = Duration(3600)
    semantic_idle: Duration = Duration(300)
    eof: Duration = Duration(1)
    reasoning_headers: Duration = Duration(120)
    reasoning_first_content: Duration = Duration(300)


class TimeoutChanges(Section, frozen=True, kw_only=True):
    """The time-outs that a provider or an account has of its own."""

    pool: Duration | UnsetType = UNSET
    dns: Duration | UnsetType = UNSET
    connect: Duration | UnsetType = UNSET
    tls: Duration | UnsetType = UNSET
    write: Duration | UnsetType = UNSET
    headers: Duration | UnsetType = UNSET
    first_content: Duration | UnsetType = UNSET
    idle: Duration | UnsetType = UNSET
    total: Duration | UnsetType = UNSET
    total_stream: Duration | UnsetType = UNSET
    semantic_idle: Duration | UnsetType = UNSET
    eof: Duration | UnsetType = UNSET
    reasoning_headers: Duration | UnsetType = UNSET
    reasoning_first_content: Duration | UnsetType = UNSET


class Net(Section, frozen=True, kw_only=True):
    """How upstreams are reached."""

    transport: Literal["lean", "aiohttp"] = "lean"


class ProviderOptions(Section, frozen=True, kw_only=True):
    """What all accounts of a provider share."""

    connections: Positive = 1000
    timeouts: TimeoutChanges = TimeoutChanges()


class AccountOptions(Section, frozen=True, kw_only=True):
    """What every account may say, whatever its provider; the provider's own keys stand beside these."""

    provider: str
    pool: Name | None = None
    protocol: str | None = None
    models: tuple[str, ...] = ()
    weight: Positive = 1
    concurrency: Positive | None = None
    proxy: Secret | None = None
    ca: Path | None = None
    headers: dict[str, Secret] = {}
    timeouts: TimeoutChanges = TimeoutChanges()
    oauth: OAuth | None = None


class AccountConfig(Struct, frozen=True, kw_only=True):
    """One account, ready to use: not a section of the file but made of one."""

    name: str
    pool: str
    spec: ProviderSpec
    settings: Struct
    """What `spec.build` takes."""
    protocols: tuple[str, ...]
    """What it is asked in, the preferred one first: the pinned one only, or all its provider speaks."""
    models: tuple[str, ...] = ()
    weight: int = 1
    concurrency: int | None = None
    proxy: Secret | None = None
    ca: Path | None = None
    headers: Mapping[str, Secret] = {}
    """Extra headers for the upstream, lower-case names."""
    timeouts: Timeouts = Timeouts()
    grant: Grant | None = None
    """How it gets its tokens, where its credential expires."""

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self.spec.name


class ModelEntry(Section, frozen=True, kw_only=True):
    """A chain of targets behind a model name or pattern."""

    targets: tuple[str, ...]
    context_fallback: str | None = None


Share = Annotated[float, Meta(ge=0, le=1)]
Amount = Annotated[float, Meta(ge=0)]


class Health(Section, frozen=True, kw_only=True):
    """When accounts are taken out, and for how long; see accounts/policy.py."""

    strikes: Positive = 3
    window: Duration = Duration(60)
    samples: Positive = 10
    eject_share: Share = 0.5
    degrade_share: Share = 0.2
    degraded_weight: Annotated[float, Meta(gt=0, le=1)] = 0.25
    slow_first_token: Duration = Duration(2)
    slow_factor: Annotated[float, Meta(ge=1)] = 3.0
    eject: Duration = Duration(5)
    eject_max: Duration = Duration(300)
    cool: Duration = Duration(5)
    cool_failures: Positive = 3
    cool_max: Duration = Duration(60)
    retry_after_min: Duration = Duration(1)
    retry_after_max: Duration = Duration(900)
    quota_probe: Duration = Duration(720)
    disabled_probe: Duration = Duration(600)
    disabled_max: Duration = Duration(86_400)
    probe_patience: Duration = Duration(600)
    probe_body: Size = Size(32 * 1024)
    ramp: Duration = Duration(30)
    ramp_start: Annotated[float, Meta(gt=0, le=1)] = 0.1
    forgive: Duration = Duration(60)
    host_failures: Positive = 2
    host: Duration = Duration(1)
    host_max: Duration = Duration(5)
    overload_failures: Positive = 10
    overload: Duration = Duration(5)
    overload_max: Duration = Duration(30)


class Retries(Section, frozen=True, kw_only=True):
    """What may be tried again."""

    first_hop: Positive = 3
    unsafe: Annotated[int, Meta(ge=0, le=5)] = 1
    budget_share: Share = 0.2
    budget_cap: Amount = 100.0
    budget_floor: Amount = 10.0
    cost_unsafe: Amount = 1.0
    cost_safe: Amount = 0.2
    backoff: Duration = Duration(0.05)
    backoff_max: Duration = Duration(1)
    deadline: Duration = Duration(600)
    least: Duration = Duration(2)
    margin: Duration = Duration(1)


class Throttle(Section, frozen=True, kw_only=True):
    """How far a failing provider is asked."""

    factor: Annotated[float, Meta(ge=1)] = 2.0
    window: Duration = Duration(120)
    samples: Positive = 20
    trickle: Duration = Duration(1)


class Concurrency(Section, frozen=True, kw_only=True):
    """How an account's limit moves, and who waits for a place."""

    decrease: Annotated[float, Meta(gt=0, lt=1)] = 0.7
    busy: Share = 0.8
    pause: Duration = Duration(1)
    waiters: Annotated[int, Meta(ge=0)] = 64
    wait: Duration = Duration(2)


class Policy(Section, frozen=True, kw_only=True):
    """How requests are placed."""

    attempts: Annotated[int, Meta(ge=1, le=10)] = 5
    strict: bool = False
    affinity: Affinity = "conversation"
    side_table: bool = True
    affinity_load: Annotated[float, Meta(ge=1)] = 1.25
    health: Health = Health()
    retries: Retries = Retries()
    throttle: Throttle = Throttle()
    concurrency: Concurrency = Concurrency()


class Limits(Section, frozen=True, kw_only=True):
    """Bounds; a request over one is refused."""

    body: Size = Size(32 * 1024**2)
    answer: Size = Size(64 * 1024**2)
    streams_per_worker: Positive = 1000
    connections: Positive = 2048
    bodies: Size = Size(512 * 1024**2)
    memory: Size | None = None


class SystemPromptOptions(Section, frozen=True, kw_only=True):
    """The operator's own system text."""

    mode: Literal["off", "append", "replace"] = "off"
    text: str = ""

    def prompt(self) -> SystemPrompt | None:
        """What conversions take; None when there is nothing to add."""
        if self.mode == "off" or not self.text:
            return None
        return SystemPrompt(mode=self.mode, text=self.text)


class Ledger(Section, frozen=True, kw_only=True):
    """How use is booked."""

    on_full: Literal["allow", "deny"] = "allow"


class Log(Section, frozen=True, kw_only=True):
    """What is logged."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    prompts: bool = False


class Secrets(Section, frozen=True, kw_only=True):
    """The gateway's own secret; everything it signs, hashes or encrypts with is derived from it."""

    key: Secret | None = None
    previous: tuple[Secret, ...] = ()


class Document(Section, frozen=True, kw_only=True):
    """The file as it is written; accounts stay as they are until their provider is known."""

    server: Server = Server()
    store: Store = Store()
    keys: tuple[ClientKey, ...] = ()
    accounts: dict[str, object] = {}
    net: Net = Net()
    providers: dict[str, ProviderOptions] = {}
    models: dict[str, ModelEntry] = {}
    policy: Policy = Policy()
    limits: Limits = Limits()
    system_prompt: SystemPromptOptions = SystemPromptOptions()
    ledger: Ledger = Ledger()
    log: Log = Log()
    secrets: Secrets = Secrets()


class Config(Struct, frozen=True, kw_only=True):
    """A configuration that passed every check. `providers` has an entry for each provider in use."""

    accounts: Mapping[str, AccountConfig]
    server: Server = Server()
    store: Store = Store()
    keys: tuple[ClientKey, ...] = ()
    net: Net = Net()
    providers: Mapping[str, ProviderOptions] = {}
    models: Mapping[str, ModelEntry] = {}
    policy: Policy = Policy()
    limits: Limits = Limits()
    system_prompt: SystemPromptOptions = SystemPromptOptions()
    ledger: Ledger = Ledger()
    log: Log = Log()
    secrets: Secrets = Secrets()
    families: Mapping[str, str] = {}
    """Model name pattern to provider name, from the installed providers."""
    source: Path | None = None
    """The file it was read from."""
    warnings: tuple[str, ...] = ()

    @property
    def pools(self) -> dict[str, list[AccountConfig]]:
        """The accounts of each pool, in the order of the file."""
        pools: dict[str, list[AccountConfig]] = {}
        for account in self.accounts.values():
            pools.setdefault(account.pool, []).append(account)
        return pools
