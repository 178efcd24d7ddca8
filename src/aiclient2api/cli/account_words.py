"""What all nodes know of the accounts, from the store, and an admin's word on them."""

from __future__ import annotations

import asyncio
import getpass
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import click
import msgspec

from aiclient2api.accounts.shared_state import AdminWord, Record, decode, decode_word
from aiclient2api.cli.added import with_added
from aiclient2api.cli.options import config_option, load_config
from aiclient2api.cli.output import print_json, print_table
from aiclient2api.cli.shared_store import with_store
from aiclient2api.config.model import Config
from aiclient2api.store import keys
from aiclient2api.store.base import Add, PutFields, Store

STEP: Final = 0.001
WORD_TRIES = 8


COLUMNS = ("name", "pool", "provider", "source", "admin", "health", "reason", "attempts")


def list_shared(config: Config, *, as_json: bool) -> None:
    """Show every account with its health and the admin's word."""
    rows = asyncio.run(with_store(config, lambda store: _rows(store, config)))
    if as_json:
        print_json(rows)
    else:
        print_table("Accounts", COLUMNS, [[str(row[column]) for column in COLUMNS] for row in rows])


async def _rows(store: Store, written: Config) -> list[dict[str, object]]:
    config = await with_added(written, store)
    names = list(config.accounts)
    states = await store.get_many([keys.account_state(name) for name in names])
    words = await store.fields(keys.accounts_admin())
    now = await store.time()
    rows: list[dict[str, object]] = []
    for name, value in zip(names, states, strict=True):
        entry, record = config.accounts[name], decode(value)
        word = decode_word(words.get(name, b"{}")) or AdminWord()
        counts = await store.fields(keys.account_counters(name))
        rows.append(
            {
                "name": name,
                "pool": entry.pool,
                "provider": entry.provider,
                "source": "configuration" if name in written.accounts else "store",
                "admin": "disabled" if word.disabled else "enabled",
                **_health(record, word, now),
                "attempts": sum(int(count) for count in counts.values() if count.isdigit()),
            }
        )
    return rows


def _health(record: Record, word: AdminWord, now: float) -> dict[str, object]:
    told = record.account
    is_out = told.at > word.retry and told.until > now and told.status.value not in ("healthy", "ramp")
    models = {model: state.status.value for model, state in record.models.items() if state.until > now}
    wait = f" for {told.until - now:.0f}s" if is_out else ""
    return {
        "health": f"{told.status.value}{wait}" if is_out else "healthy",
        "reason": told.reason if is_out else "",
        "models_out": models,
    }


def _speaks(name: str, help_: str, change: Callable[[AdminWord, float], AdminWord]) -> click.Command:
    """One subcommand that changes the admin's word on accounts."""

    @click.command(name, help=help_)
    @config_option
    @click.argument("names", nargs=-1, required=True, metavar="NAME...")
    def command(path: Path | None, names: tuple[str, ...]) -> int:
        config = load_config(path)

        async def work(store: Store) -> None:
            known = (await with_added(config, store)).accounts
            unknown = [given for given in names if given not in known]
            if unknown:
                raise click.ClickException(f"there is no account {unknown[0]!r} (known: {', '.join(known)})")
            if name == "retry":
                await _refuse_disabled(store, names)
            await _say(store, names, change)

        asyncio.run(with_store(config, work))
        for given in names:
            click.echo(f"{given}: {name}d" if name.endswith("e") else f"{given}: will be tried again")
        return 0

    return command


async def _refuse_disabled(store: Store, names: tuple[str, ...]) -> None:
    """Another try is not what an account waits for that somebody has taken out."""
    words = await store.fields(keys.accounts_admin())
    for name in names:
        word = decode_word(words.get(name, b"{}"))
        if word is not None and word.disabled:
            raise click.ClickException(f"{name} is disabled: `accounts enable {name}` lets it serve again")


async def _say(store: Store, names: tuple[str, ...], change: Callable[[AdminWord, float], AdminWord]) -> None:
    """All words and the new version in one write; done again when somebody else spoke meanwhile."""
    for _ in range(WORD_TRIES):
        version = await store.get(keys.accounts_version())
        words = await store.fields(keys.accounts_admin())
        now = await store.time()
        fresh = {
            name: _encoded(words.get(name), _next(words.get(name, b"{}"), change, now)) for name in names
        }
        writes = [PutFields(keys.accounts_admin(), fresh), Add(keys.accounts_version(), 1)]
        if await store.apply(writes, {keys.accounts_version(): version}):
            return
    raise click.ClickException("the store is too busy: try again")


def _next(old: bytes, change: Callable[[AdminWord, float], AdminWord], now: float) -> AdminWord:
    """The word behind one that is there; later than that also when the store's clock was set back."""
    word = decode_word(old) or AdminWord()
    return change(word, max(now, word.at + STEP, word.retry + STEP))


def _encoded(old: bytes | None, word: AdminWord) -> bytes:
    """Members of later versions are kept."""
    try:
        kept: object = msgspec.json.decode(old or b"{}")
    except msgspec.DecodeError:
        kept = {}
    members = cast(dict[str, object], kept) if isinstance(kept, dict) else {}
    return msgspec.json.encode({**members, "disabled": word.disabled, **msgspec.to_builtins(word)})


def _who() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


WORDS: Final = (
    _speaks(
        "disable",
        "Take accounts out on all nodes, until they are enabled.",
        lambda word, now: AdminWord(disabled=True, at=now, by=_who(), retry=word.retry),
    ),
    _speaks(
        "enable",
        "Let disabled accounts serve again: the next request tries them.",
        lambda word, now: AdminWord(disabled=False, at=now, by=_who(), retry=now),
    ),
    _speaks(
        "retry",
        "Try accounts with the next request, whatever they are out for.",
        lambda word, now: AdminWord(disabled=word.disabled, at=now, by=_who(), retry=now),
    ),
)
