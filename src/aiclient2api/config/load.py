"""File, environment and flags to a Config, or to the list of everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aiclient2api.config import checks
from aiclient2api.config.accounts import AccountReader
from aiclient2api.config.model import AccountConfig, Config, Document, ProviderOptions
from aiclient2api.config.reading import Reader
from aiclient2api.config.secrets import SecretSource
from aiclient2api.config.sources import find_file, merge, overlay, read_file
from aiclient2api.errors import ConfigError
from aiclient2api.protocols.registry import converters
from aiclient2api.providers.base import ProviderSpec
from aiclient2api.providers.registry import ProviderRegistry
from aiclient2api.routing.table import Member, RouteTable
from aiclient2api.routing.targets import Entry, expand


def load(
    path: Path | None = None,
    *,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
    registry: ProviderRegistry | None = None,
) -> Config:
    """The configuration; later sources win: defaults, file, environment, `overrides` (the flags).

    Without an accounts section the accounts come from the well-known variables. Raises ConfigError with every
    problem.
    """
    registry = registry or ProviderRegistry.installed()
    data, source = written(path, environ=environ, overrides=overrides, registry=registry)
    return build(data, environ=environ, registry=registry, source=source)


def written(
    path: Path | None,
    *,
    environ: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
    registry: ProviderRegistry | None = None,
) -> tuple[dict[str, object], Path | None]:
    """What `load` builds a configuration of: plain data that another process can build as well, and the file's path.

    Raises ConfigError.
    """
    source = find_file(path, environ)
    data = {} if source is None else read_file(source)
    overlay(data, environ)
    merge(data, overrides or {})
    if not data.get("accounts"):
        data["accounts"] = well_known_accounts(registry or ProviderRegistry.installed(), environ)
    return data, source


def build(
    data: Mapping[str, object],
    *,
    environ: Mapping[str, str],
    registry: ProviderRegistry | None = None,
    source: Path | None = None,
) -> Config:
    """A Config of plain data. Raises ConfigError with every problem."""
    registry = registry or ProviderRegistry.installed()
    reader = Reader(SecretSource(environ, source.parent if source is not None else Path()))
    document = reader.section(Document, dict(data), "")
    accounts = _accounts(document, reader, registry)
    problems = [*reader.problems, *checks.problems(document, registry, has_keys=bool(data.get("keys")))]
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Config(
        accounts=accounts,
        server=document.server,
        store=document.store,
        keys=document.keys,
        providers={
            **document.providers,
            **{
                account.provider: document.providers.get(account.provider, ProviderOptions())
                for account in accounts.values()
            },
        },
        models=document.models,
        policy=document.policy,
        limits=document.limits,
        system_prompt=document.system_prompt,
        ledger=document.ledger,
        log=document.log,
        net=document.net,
        secrets=document.secrets,
        families={pattern: spec.name for spec in registry for pattern in spec.family},
        source=source,
        warnings=tuple(checks.warnings(document, data)),
    )


def route_table(config: Config) -> RouteTable:
    """The routes of a configuration."""
    entries = {name: Entry(entry.targets, entry.context_fallback) for name, entry in config.models.items()}
    chains, _ = expand(entries, config.pools)
    members = [Member(account.pool, account.provider, account.models) for account in config.accounts.values()]
    return RouteTable(chains, members, config.families)


def well_known_accounts(registry: ProviderRegistry, environ: Mapping[str, str]) -> dict[str, object]:
    """One account for each provider whose key is in the environment."""
    accounts: dict[str, object] = {}
    for spec in registry:
        variable = _first_set(spec, environ)
        if variable is not None:
            accounts[spec.name] = {"provider": spec.name, "api_key": f"env:{variable}"}
    return accounts


def _first_set(spec: ProviderSpec, environ: Mapping[str, str]) -> str | None:
    return next((variable for variable in spec.environment if environ.get(variable, "").strip()), None)


def _accounts(document: Document, reader: Reader, registry: ProviderRegistry) -> dict[str, AccountConfig]:
    protocols = {converter.name for converter in converters()}
    accounts = AccountReader(reader, registry, protocols, document.providers)
    read = {name: accounts.read(name, data) for name, data in document.accounts.items()}
    return {name: account for name, account in read.items() if account is not None}
