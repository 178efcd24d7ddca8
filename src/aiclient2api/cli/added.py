"""`aiclient2api accounts add` and `remove`: accounts in the store, for all nodes, while gateways run or not."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import click

from aiclient2api.added import Refused, change_added, read_added
from aiclient2api.cli.key_words import who
from aiclient2api.cli.options import config_option, load_config
from aiclient2api.cli.shared_store import with_store
from aiclient2api.config.added import AddedAccount, Section, extended, opened, sealed
from aiclient2api.config.model import Config
from aiclient2api.config.secrets import SecretSource
from aiclient2api.config.sources import read_file
from aiclient2api.errors import ConfigError
from aiclient2api.providers.api_key import NO_KEY
from aiclient2api.store.base import Store
from aiclient2api.tokens import command_sealer

Change = Callable[[AddedAccount | None], AddedAccount]


@click.command("add")
@config_option
@click.argument("name")
@click.option("--provider", help="As under `accounts` in the configuration, like all that follows.")
@click.option("--api-key", help="env:NAME, file:/path, or - to read it from the standard input.")
@click.option("--base-url")
@click.option("--pool")
@click.option("--protocol")
@click.option("--models", multiple=True, metavar="PATTERN", help="May be repeated.")
@click.option("--concurrency", type=click.IntRange(min=1))
@click.option(
    "--from", "file", type=click.Path(path_type=Path, dir_okay=False), help="A file with the section."
)
@click.option("--replace", is_flag=True, help="Change an account that was added before.")
def add(
    path: Path | None, name: str, file: Path | None, api_key: str | None, replace: bool, **given: Any
) -> int:
    """Add an account for all nodes. Its secrets are sealed with the gateway's key before they are stored."""
    config = load_config(path)
    if name in config.accounts:
        raise click.BadParameter(f"{name!r} is an account of the configuration")
    section: Section = {} if file is None else dict(read_file(file))
    if api_key is not None:
        section["api_key"] = _key(api_key)
    section.update({key: _plain(value) for key, value in given.items() if value not in (None, ())})
    section = cast(Section, resolved(section, SecretSource(os.environ, file.parent if file else Path()), ""))
    whole, problems = extended(config, {name: section})
    if problems:
        raise ConfigError(problems)

    def change(old: AddedAccount | None) -> AddedAccount:
        if old is not None and not replace:
            raise Refused(f"there is an account {name!r} in the store already; --replace changes it")
        return sealed(name, section, command_sealer(config))

    _changed(config, [(name, change)])
    click.echo(f"{name}: {'replaced' if replace else 'added'} in pool {whole.accounts[name].pool}")
    return 0


@click.command("remove", short_help="Forget added accounts on all nodes.")
@config_option
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def remove(path: Path | None, names: tuple[str, ...]) -> int:
    """Forget added accounts on all nodes; what runs on them comes to its end."""
    config = load_config(path)

    def removing(name: str) -> Change:
        def change(old: AddedAccount | None) -> AddedAccount:
            if old is None:
                raise Refused(_not_there(config, name))
            return AddedAccount(name=name, rev=0, removed=True)

        return change

    _changed(config, [(name, removing(name)) for name in names], all_known=True)
    for name in names:
        click.echo(f"{name}: removed")
    return 0


def _not_there(config: Config, name: str) -> str:
    if name in config.accounts:
        return f"{name!r} is an account of the configuration: take it out there"
    return f"{name!r} is no account in the store"


def _changed(config: Config, changes: list[tuple[str, Change]], *, all_known: bool = False) -> None:
    """All changes; none where `all_known` and the store lacks one of the accounts."""

    async def work(store: Store) -> None:
        known = await read_added(store) if all_known else {}
        for name, _ in changes if all_known else ():
            if name not in known:
                raise Refused(_not_there(config, name))
        for name, change in changes:
            await change_added(store, name, change, who())

    try:
        asyncio.run(with_store(config, work))
    except Refused as error:
        raise click.ClickException(str(error)) from None


def _key(given: str) -> str:
    if given == "-":
        return sys.stdin.readline().strip()
    if not given.startswith(("env:", "file:")) and given != NO_KEY:
        raise click.BadParameter(
            "others can read a command line: give env:NAME, file:/path, or - and the key on the standard input"
        )
    return given


def _plain(value: object) -> object:
    return list(cast(tuple[object, ...], value)) if isinstance(value, tuple) else value


def resolved(value: object, source: SecretSource, path: str) -> object:
    """With the secrets that `env:` and `file:` stand for here: other nodes have another environment."""
    if isinstance(value, Mapping):
        inner = cast(Mapping[str, object], value)
        return {key: resolved(each, source, f"{path}.{key}" if path else key) for key, each in inner.items()}
    if isinstance(value, list):
        return [resolved(each, source, path) for each in cast(list[object], value)]
    if isinstance(value, str) and value.startswith(("env:", "file:")):
        try:
            return source.resolve(value).reveal()
        except ValueError as error:
            raise ConfigError([f"{path}: {error}"]) from None
    return value


async def with_added(config: Config, store: Store) -> Config:
    """The configuration as the nodes have it; what they cannot use is told on stderr. Raises StoreUnavailable."""
    records = await read_added(store)
    if not records:
        return config
    sealer, sections = command_sealer(config), dict[str, Section]()
    for name, record in records.items():
        try:
            sections[name] = opened(record, sealer)
        except ValueError as error:
            click.echo(f"warning: {name}: {error}", err=True)
    whole, problems = extended(config, sections)
    for problem in problems:
        click.echo(f"warning: {problem}", err=True)
    return whole
