"""`aiclient2api state`: make, migrate, save and load what the store holds; take over the predecessor's."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, cast

import click
import msgspec
import yaml

from aiclient2api import __version__
from aiclient2api.accounts.presence import KEPT
from aiclient2api.accounts.shared_state import AdminWord
from aiclient2api.cli.options import config_option, load_config
from aiclient2api.cli.output import print_table
from aiclient2api.cli.shared_store import with_store
from aiclient2api.store import dump, keys, migrations, predecessor
from aiclient2api.store.base import Add, Store, StoreUnavailable
from aiclient2api.store.dump import DumpUnreadable, Entry, Plan
from aiclient2api.store.predecessor import Taken
from aiclient2api.store.server_check import Meta, schema_problem, version_of

dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
force_option = click.option("--force", is_flag=True, help="Overwrite what is there.")


@click.group(short_help="Make, migrate, save and load the store's state.")
def state() -> None:
    """Make, migrate, save and load what the store holds. Every command may be run again."""


@state.command()
@config_option
@dry_run_option
@force_option
def init(path: Path | None, dry_run: bool, force: bool) -> int:
    """Mark an empty store as ours. With --force, remove what is in it first."""
    config = load_config(path)

    async def work(store: Store) -> str:
        ours = [found.key async for found in store.entries(keys.PREFIX)]
        lasting = [key for key in ours if dump.is_lasting(key) and key != keys.META]
        if lasting and not force:
            return f"there is state already ({len(lasting)} keys): nothing changed"
        if force and not dry_run:
            for key in ours:
                await store.delete(key)
        if not dry_run:
            await store.update(keys.META, lambda old: old or _meta())
        done = f"{'would remove' if dry_run else 'removed'} {len(lasting)} keys; " if lasting else ""
        return f"{done}schema version {keys.SCHEMA_VERSION}{' (dry run: nothing written)' if dry_run else ''}"

    click.echo(asyncio.run(with_store(config, work)))
    return 0


@state.command(short_help="Bring the keys to this program's schema version.")
@config_option
@dry_run_option
@click.option("--force", is_flag=True, help="Also while gateways use the store.")
def migrate(path: Path | None, dry_run: bool, force: bool) -> int:
    """Bring the keys to this program's schema version; refused while gateways use the store."""
    config = load_config(path)

    async def work(store: Store) -> str:
        found = await store.get(keys.META)
        version = keys.SCHEMA_VERSION if found is None else version_of(found)
        if found is not None and not 1 <= version <= keys.SCHEMA_VERSION:
            raise click.ClickException(schema_problem(found) or f"{keys.META} is not readable")
        if version == keys.SCHEMA_VERSION:
            if found is None and not dry_run:
                await store.update(keys.META, lambda old: old or _meta())
            return f"schema version {version}: nothing to migrate"
        if not (dry_run or force):
            await _refuse_running(store)
        moved = await migrations.migrate(store, version, keys.SCHEMA_VERSION, _meta(), dry_run=dry_run)
        would = "would be " if dry_run else ""
        return (
            f"schema version {version} to {keys.SCHEMA_VERSION}: "
            f"{len(moved.written)} keys {would}written, {len(moved.removed)} {would}removed"
        )

    click.echo(asyncio.run(with_store(config, work, migrates=True)))
    return 0


async def _refuse_running(store: Store) -> None:
    """Gateways of the earlier version would write its keys again."""
    now = await store.time()
    names = ", ".join(name for name, at in await store.ranked(keys.nodes(), now - KEPT) if at <= now + KEPT)
    if names:
        raise click.ClickException(f"gateways still use this store ({names}): stop them, or say --force")


def _meta() -> bytes:
    return msgspec.json.encode(
        Meta(schema=keys.SCHEMA_VERSION, created=round(time.time(), 3), by=f"aiclient2api {__version__}")
    )


@state.command()
@config_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@dry_run_option
@force_option
def export(path: Path | None, file: Path, dry_run: bool, force: bool) -> int:
    """Save the state as JSON. An existing file is only replaced with --force."""
    config = load_config(path)
    if file.exists() and not force:
        raise click.ClickException(f"{file} exists; --force replaces it")
    entries = asyncio.run(with_store(config, dump.export))
    if not dry_run:
        _replace(file, dump.encode(entries))
    click.echo(f"{len(entries)} keys{' (dry run: nothing written)' if dry_run else f' in {file}'}")
    return 0


def _replace(file: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, readable to its owner only."""
    part = file.with_name(file.name + ".part")
    try:
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        part.write_bytes(content)
        part.replace(file)
    except OSError as error:
        raise click.ClickException(f"{file}: cannot be written: {error.strerror}") from None


@state.command("import", short_help="Load a dump, or the predecessor's state.")
@config_option
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--accounts-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to put the accounts of a predecessor, as YAML.",
)
@dry_run_option
@force_option
def import_(
    path: Path | None, sources: tuple[str, ...], accounts_file: Path | None, dry_run: bool, force: bool
) -> int:
    """Load a dump of `state export`, or take over the predecessor's provider_pools.json, config.json or Redis.

    SOURCE is a file, or redis://HOST:PORT/DB of the predecessor (its keys begin with aiclient:).
    """
    config = load_config(path)
    if accounts_file is not None and accounts_file.exists() and not force:
        raise click.ClickException(f"{accounts_file} exists; --force replaces it")
    taken, entries = Taken(), list[Entry]()
    for source in sources:
        _read(source, taken, entries)
    entries.extend(_entries(taken))
    plan = asyncio.run(with_store(config, lambda store: _load(store, entries, force=force, dry_run=dry_run)))
    _report(taken, plan, dry_run=dry_run)
    if taken.accounts and accounts_file is not None:
        if not dry_run:
            _replace(accounts_file, accounts_yaml(taken).encode())
    elif taken.accounts:
        click.echo("\nadd this to the configuration:\n\n" + accounts_yaml(taken))
    return 0


async def _load(store: Store, entries: list[Entry], *, force: bool, dry_run: bool) -> Plan:
    plan = await dump.load(store, entries, force=force, dry_run=dry_run)
    if plan.written and not dry_run:
        await store.apply([Add(keys.accounts_version(), 1)])  # running nodes read again
        await store.apply([Add(keys.client_keys_version(), 1)])
    return plan


def _read(source: str, taken: Taken, entries: list[Entry]) -> None:
    if source.startswith(("redis://", "rediss://", "unix://")):
        pools, config = asyncio.run(_predecessors_redis(source))
        predecessor.read_pools(pools, taken)
        predecessor.read_config(config, taken)
        return
    try:
        text = Path(source).read_bytes()
        data: object = msgspec.json.decode(text)
    except OSError as error:
        raise click.ClickException(f"{source}: cannot be read: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise click.ClickException(f"{source}: is not JSON: {error}") from None
    members = cast(dict[str, Any], data) if isinstance(data, dict) else {}
    if "format" in members and "keys" in members:
        try:
            entries.extend(dump.decode(text).keys)
        except DumpUnreadable as error:
            raise click.ClickException(f"{source}: {error}") from None
    elif members and all(isinstance(value, list) for value in members.values()):
        predecessor.read_pools(members, taken)
    elif predecessor.is_config(members):
        predecessor.read_config(members, taken)
    else:
        raise click.ClickException(f"{source}: is neither a dump nor a file of the predecessor")


async def _predecessors_redis(url: str) -> tuple[dict[str, object], dict[str, Any]]:
    from aiclient2api.store.address import parse
    from aiclient2api.store.redis import RedisStore

    try:
        store = RedisStore(parse(url), timeout=5.0)
    except ValueError as error:
        raise click.ClickException(f"the predecessor's Redis: {error}") from None
    try:
        pools: dict[str, object] = {}
        async for found in store.entries("aiclient:pools:"):
            if isinstance(found.value, dict):
                pools[found.key.removeprefix("aiclient:pools:")] = [
                    _json(item) for item in found.value.values()
                ]
        # by `entries`, which looks at a value's type: nothing is moved aside in a database that is not ours
        config = {
            found.key: _json(found.value)
            async for found in store.entries("aiclient:config")
            if isinstance(found.value, bytes)
        }.get("aiclient:config")
        return pools, cast(dict[str, Any], config) if isinstance(config, dict) else {}
    except StoreUnavailable as error:
        raise click.ClickException(f"{store.address.shown}: {error}") from None
    finally:
        await store.close()


def _json(value: bytes) -> object:
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return None


def _entries(taken: Taken) -> list[Entry]:
    """What the store keeps of a predecessor: settings without secrets, admins' words, counts."""
    entries: list[Entry] = []
    words: dict[str, str] = {}
    for account in taken.accounts:
        name = account.name
        entries.append(
            Entry(key=keys.account_settings(name), value=msgspec.json.encode(account.section).decode())
        )
        counts = {
            "unknown ok": max(0, account.attempts - account.errors),
            "unknown imported_error": account.errors,
        }
        fields = {field: str(count) for field, count in counts.items() if count}
        if fields:
            entries.append(Entry(key=keys.account_counters(name), type="hash", value=fields))
        if account.is_disabled:
            words[name] = msgspec.json.encode(AdminWord(disabled=True, at=1.0, by="import")).decode()
    if words:
        entries.append(Entry(key=keys.accounts_admin(), type="hash", value=words))
    return entries


def accounts_yaml(taken: Taken) -> str:
    """The accounts as sections of the configuration; keys stay in environment variables."""
    variables = "".join(f"#   {account.secret}\n" for account in taken.accounts)
    sections: dict[str, object] = {"accounts": {account.name: account.section for account in taken.accounts}}
    if taken.server:
        sections["server"] = taken.server
    if taken.client_key:
        sections["keys"] = [{"name": "imported", "key": "env:AICLIENT2API_KEY"}]
        variables += "#   AICLIENT2API_KEY\n"
    return f"# set these variables to the keys that the old installation has:\n{variables}" + yaml.safe_dump(
        sections, sort_keys=False, allow_unicode=True
    )


def _report(taken: Taken, plan: Plan, *, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    click.echo(
        f"{len(plan.written)} keys {would}written, {len(plan.unchanged)} there already, {len(plan.kept)} kept"
    )
    for key in plan.kept:
        click.echo(f"kept (--force overwrites): {key}")
    if taken.accounts:
        rows = [
            (account.name, str(account.section["provider"]), str(account.section["pool"]))
            for account in taken.accounts
        ]
        print_table("Taken", ["account", "provider", "pool"], rows)
    if taken.left:
        print_table("Left out", ["what", "why"], [(left.what, left.why) for left in taken.left])
