"""The store for the time of one command: joined where a gateway runs it, started for the command where none does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

import click
import msgspec

from aiclient2api.config.model import Config
from aiclient2api.runtime import store_settings
from aiclient2api.store.base import Store, StoreUnavailable
from aiclient2api.store.memory import MemoryStore
from aiclient2api.store.opening import open_store

T = TypeVar("T")

PATIENCE: Final = 5.0
"""Seconds for one command of the store: an operator waits where a request would not."""


class NoStore(click.ClickException):
    """All state is in the memory of a gateway, where a command cannot reach it."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}: there is no state beside that of a running gateway")


async def with_store(config: Config, work: Callable[[Store], Awaitable[T]], *, migrates: bool = False) -> T:
    """Run `work` on the configured store; `migrates` also on one of an earlier schema version.

    Raises ConfigError, NoStore, click.ClickException.
    """
    if config.store.url == "memory":
        raise NoStore("store.url is memory")

    def tell(level: Literal["info", "warning", "error"], event: str, fields: dict[str, object]) -> None:
        if level == "error":
            said = ", ".join(f"{name}: {value}" for name, value in fields.items())
            click.echo(f"{event}: {said}", err=True)

    settings = store_settings(config)
    patient = msgspec.structs.replace(settings, timeout=max(settings.timeout, PATIENCE))
    opened = await open_store(patient, tell, joins=True, migrates=migrates)
    try:
        if isinstance(opened.store, MemoryStore):
            raise NoStore("no valkey-server or redis-server was found for the embedded store")
        return await work(opened.store)
    except StoreUnavailable as error:
        raise click.ClickException(str(error)) from error
    finally:
        await opened.close()
