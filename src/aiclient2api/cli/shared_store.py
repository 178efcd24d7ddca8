"""The store for the time of one command: joined where a gateway runs it, started for the command where none does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Literal, TypeVar

import click
import msgspec

from aiclient2api.config.model import Config
from aiclient2api.runtime import store_settings
from aiclient2api.store.base import Store, StoreUnavailable
from aiclient2api.store.opening import open_store

T = TypeVar("T")

PATIENCE: Final = 5.0
"""Seconds for one command of the store: an operator waits where a request would not."""


async def with_store(config: Config, work: Callable[[Store], Awaitable[T]], *, migrates: bool = False) -> T:
    """Run `work` on the configured store; `migrates` also on one of an earlier schema version.

    Raises ConfigError, click.ClickException.
    """
    if config.store.url == "memory":
        raise click.ClickException("store.url is memory: there is no state beside that of a running gateway")

    def tell(level: Literal["info", "warning", "error"], event: str, fields: dict[str, object]) -> None:
        if level == "error":
            click.echo(f"{event}: {fields}", err=True)

    settings = store_settings(config)
    patient = msgspec.structs.replace(settings, timeout=max(settings.timeout, PATIENCE))
    opened = await open_store(patient, tell, joins=True, migrates=migrates)
    try:
        return await work(opened.store)
    except StoreUnavailable as error:
        raise click.ClickException(str(error)) from error
    finally:
        await opened.close()
