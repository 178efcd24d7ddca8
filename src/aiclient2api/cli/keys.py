"""`aiclient2api keys`: client keys in the store, for all nodes within a second, while gateways run or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import click
import msgspec

from aiclient2api.cli.key_words import (
    Moment,
    Span,
    check_new_name,
    new_text,
    row,
    shown_moment,
    who,
)
from aiclient2api.cli.options import config_option, json_option, load_config
from aiclient2api.cli.output import print_json, print_table
from aiclient2api.cli.shared_store import with_store
from aiclient2api.config.model import Config
from aiclient2api.keys.changing import Change, Refused, absent, change_key, existing, rotated
from aiclient2api.keys.record import KeyRecord, decode
from aiclient2api.store import keys as names
from aiclient2api.store.base import Store

LEAST = click.IntRange(min=1)
COLUMNS = ("name", "state", "label", "keys", "models", "rpm", "tpm", "concurrency", "expires", "source")


@click.group(short_help="Make, list, rotate, disable, expire client keys on all nodes.")
def keys() -> None:
    """Client keys in the store, besides those of the configuration; changes reach all nodes within a second."""


def _settings(command: Callable[..., int]) -> Callable[..., int]:
    """The options that say what a key may do."""
    options = (
        click.option("--label", help="What it is for, for people."),
        click.option(
            "--models", multiple=True, metavar="PATTERN", help="Models it may use; may be repeated."
        ),
        click.option("--rpm", type=LEAST, help="Requests a minute."),
        click.option("--tpm", type=LEAST, help="Tokens a minute."),
        click.option("--concurrency", type=LEAST, help="Requests at a time."),
        click.option("--expires", type=Moment(), help="A date (2027-01-31T00:00:00Z) or a span (30d)."),
        click.option("--strict/--no-strict", default=None, help="Whether all its requests are strict."),
    )
    for option in reversed(options):  # the first one applied stands last in the help
        command = option(command)
    return command


def _given(options: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The options that were given, as members of a record."""
    given = {name: value for name, value in options.items() if value is not None and value != ()}
    if "expires" in given:
        given["expires"] = given["expires"](now)
        if given["expires"] <= now:
            raise Refused("--expires lies in the past: `keys expire NAME` ends a key at once")
    return given


@keys.command()
@config_option
@click.argument("name")
@_settings
@json_option
def create(path: Path | None, name: str, as_json: bool, **options: Any) -> int:
    """Make a key and print it: it is shown this once and never again."""
    config = load_config(path)
    check_new_name(config, name)
    text, fresh = new_text(config)

    def change(old: KeyRecord | None, now: float) -> KeyRecord:
        absent(old, name)
        return KeyRecord(name=name, rev=0, hashes=(fresh,), created=now, **_given(options, now))

    _changed(config, name, change)
    _show_once(name, text, "created", as_json=as_json)
    return 0


@keys.command()
@config_option
@click.argument("name")
@click.option("--overlap", type=Span(), default="24h", show_default=True, help="How long the old text works.")
@json_option
def rotate(path: Path | None, name: str, overlap: float, as_json: bool) -> int:
    """Give a key a new text and print it; the old one works for a while."""
    config = load_config(path)
    text, fresh = new_text(config)
    _changed(config, name, lambda old, now: rotated(existing(old, name), fresh, now, overlap))
    _show_once(name, text, "rotated", as_json=as_json)
    return 0


def _show_once(name: str, text: str, done: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "key": text})
        return
    click.echo(text)
    click.echo(f"{name}: {done}; this is the only time its key is shown", err=True)


@keys.command()
@config_option
@click.argument("name")
@_settings
@click.option(
    "--unset",
    multiple=True,
    type=click.Choice(["models", "rpm", "tpm", "concurrency", "expires"]),
    help="Take a limit away; may be repeated.",
)
def change(path: Path | None, name: str, unset: tuple[str, ...], **options: Any) -> int:
    """Change what a key may do."""
    if not unset and not _given({**options, "expires": None}, 0.0) and options["expires"] is None:
        raise click.UsageError("nothing to change: give an option")

    def work(old: KeyRecord | None, now: float) -> KeyRecord:
        empty = {member: () if member == "models" else None for member in unset}
        return msgspec.structs.replace(existing(old, name), **{**empty, **_given(options, now)})

    _changed(load_config(path), name, work)
    click.echo(f"{name}: changed")
    return 0


@keys.command(short_help="Let a key end, now or at some time.")
@config_option
@click.argument("name")
@click.option("--at", type=Moment(), default="0s", help="A date or a span from now [default: now].")
def expire(path: Path | None, name: str, at: Callable[[float], float]) -> int:
    """Let a key end, now or at some time; `change --unset expires` takes it back."""
    record = _changed(
        load_config(path),
        name,
        lambda old, now: msgspec.structs.replace(existing(old, name), expires=at(now)),
    )
    click.echo(f"{name}: expires {shown_moment(record.expires)}")
    return 0


def _word(word: str, help_: str, done: str, change: Callable[[KeyRecord], KeyRecord]) -> None:
    """One subcommand that changes keys by a word."""

    @keys.command(word, help=help_)
    @config_option
    @click.argument("names", nargs=-1, required=True, metavar="NAME...")
    def command(path: Path | None, names: tuple[str, ...]) -> int:
        config = load_config(path)
        for name in names:
            _changed(config, name, lambda old, _, name=name: change(existing(old, name)))
            click.echo(f"{name}: {done}")
        return 0

    del command


_word(
    "disable",
    "Refuse keys on all nodes, until they are enabled.",
    "disabled",
    lambda record: msgspec.structs.replace(record, disabled=True),
)
_word(
    "enable",
    "Let disabled keys work again.",
    "enabled",
    lambda record: msgspec.structs.replace(record, disabled=False),
)
_word(
    "remove",
    "Forget keys for good; their names may be used again.",
    "removed",
    lambda record: KeyRecord(name=record.name, rev=record.rev, removed=True),
)


@keys.command("list")
@config_option
@json_option
def list_keys(path: Path | None, as_json: bool) -> int:
    """Show the keys of the configuration and of the store, without the keys themselves."""
    config = load_config(path)
    rows = [*_configured(config), *asyncio.run(with_store(config, _stored))]
    if as_json:
        print_json(rows)
    else:
        print_table("Client keys", COLUMNS, [[_cell(each[column]) for column in COLUMNS] for each in rows])
    return 0


async def _stored(store: Store) -> list[Mapping[str, object]]:
    found = await store.fields(names.client_keys())
    now = await store.time()
    records = {name: decode(raw) for name, raw in sorted(found.items())}
    unreadable = [name for name, record in records.items() if record is None]
    for name in unreadable:
        click.echo(f"warning: the record of {name} in the store cannot be read", err=True)
    return [row(record, now) for record in records.values() if record is not None and not record.removed]


def _configured(config: Config) -> list[Mapping[str, object]]:
    return [
        {
            "name": key.name,
            "state": "active",
            "label": "",
            "keys": [],
            "models": key.models,
            "rpm": key.rpm,
            "tpm": key.tpm,
            "concurrency": key.concurrency,
            "strict": key.strict,
            "expires": None if key.expires is None else shown_moment(key.expires.timestamp()),
            "created": None,
            "source": "configuration",
        }
        for key in config.keys
    ]


def _cell(value: object) -> str:
    if value is None or value in ((), [], ""):
        return "-"
    if isinstance(value, list):
        texts = cast(list[dict[str, str]], value)
        return ", ".join(
            f"…{text['ends_in']}" + (f" until {text['until']}" if "until" in text else "") for text in texts
        )
    return ", ".join(cast(tuple[str, ...], value)) if isinstance(value, tuple) else str(value)


def _changed(config: Config, name: str, change: Change) -> KeyRecord:
    try:
        return asyncio.run(with_store(config, lambda store: change_key(store, name, change, who())))
    except Refused as error:
        raise click.ClickException(str(error)) from None
