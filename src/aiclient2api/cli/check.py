"""`aiclient2api check`: is the configuration good, and what does it make?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import click

from aiclient2api.cli.options import config_option, json_option, load_config
from aiclient2api.cli.output import print_json, print_table
from aiclient2api.config.load import route_table
from aiclient2api.config.model import AccountConfig, Config
from aiclient2api.errors import ConfigError


@click.command(short_help="Validate; show accounts, pools and routes.")
@config_option
@click.option("--live", is_flag=True, help="Ask each account for its models once.")
@json_option
def check(path: Path | None, live: bool, as_json: bool) -> int:
    """Validate the configuration and show its accounts, pools and routes."""
    try:
        config = load_config(path)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
        return 2
    failures = asyncio.run(_ask(config)) if live else None
    if as_json:
        print_json(_report(config, failures))
    else:
        _print(config, failures)
    return 1 if failures and any(failures.values()) else 0


async def _ask(config: Config) -> dict[str, str | None]:
    """What is wrong with each account, None where it answered."""
    from aiclient2api.runtime import check_account

    return {name: await check_account(config, name) for name in config.accounts}


def _report(config: Config, failures: Mapping[str, str | None] | None) -> dict[str, object]:
    accounts: list[dict[str, object]] = []
    for name, account in config.accounts.items():
        entry: dict[str, object] = {
            "name": name,
            "provider": account.provider,
            "pool": account.pool,
            "protocols": account.protocols,
            "models": account.models,
        }
        if failures is not None:
            entry["live"] = failures[name] or "ok"
        accounts.append(entry)
    return {
        "source": str(config.source) if config.source is not None else None,
        "accounts": accounts,
        "pools": {pool: [account.name for account in members] for pool, members in config.pools.items()},
        "routes": _routes(config),
        "warnings": config.warnings,
    }


def _routes(config: Config) -> list[dict[str, object]]:
    table = route_table(config)
    return [
        {
            "model": name,
            "targets": [str(target) for target in chain.targets],
            "context_fallback": [str(target) for target in chain.context_fallback],
        }
        for name, chain in table.chains.items()
    ]


def _print(config: Config, failures: Mapping[str, str | None] | None) -> None:
    click.echo(f"configuration  {config.source or 'environment'}\n")
    columns = ["name", "provider", "pool", "protocols", "models"]
    live = [] if failures is None else ["live"]
    print_table(
        "Accounts",
        [*columns, *live],
        [_row(account, failures) for account in config.accounts.values()],
    )
    pools = config.pools.items()
    print_table(
        "Pools",
        ["pool", "accounts"],
        [(pool, ", ".join(account.name for account in members)) for pool, members in pools],
    )
    table = route_table(config)
    routes = [
        (name, " > ".join(map(str, chain.targets)), " > ".join(map(str, chain.context_fallback)) or "-")
        for name, chain in table.chains.items()
    ]
    families = [
        (pattern, " or ".join(f"{pool}/*" for pool in pools), "-")
        for pattern, pools in table.families.items()
    ]
    print_table("Routes", ["model", "targets", "context fallback"], [*routes, *families])


def _row(account: AccountConfig, failures: Mapping[str, str | None] | None) -> list[str]:
    row = [
        account.name,
        account.provider,
        account.pool,
        ", ".join(account.protocols),
        ", ".join(account.models) or "all",
    ]
    return row if failures is None else [*row, failures[account.name] or "ok"]
