"""A configured store, ready to use: memory, the embedded server, or a Redis somewhere."""

from __future__ import annotations

import asyncio
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Protocol

from msgspec import Struct

from aiclient2api.errors import ConfigError
from aiclient2api.store.address import Address, parse
from aiclient2api.store.base import SchemaOutdated, Store, StoreUnavailable, StoreUnusable
from aiclient2api.store.memory import MemoryStore

if TYPE_CHECKING:  # what is not used is not loaded
    from aiclient2api.store.embedded import Embedded
    from aiclient2api.store.guests import Guests
    from aiclient2api.store.redis import RedisStore

Tell = Callable[[Literal["info", "warning", "error"], str, dict[str, object]], None]
"""Level, event and fields of a log line."""

NO_PROGRAM: Final = (
    "no valkey-server or redis-server was found for the embedded store: all state is kept in memory and "
    "FORGOTTEN when the program stops"
)


START_SECONDS: Final = 2.0
"""Bound of one command of the check at start: no request waits, and a slow machine must not miss its store."""


class StoreSettings(Struct, frozen=True, kw_only=True):
    """What the configuration says. `timeout` in seconds of one command, `connections` to one server."""

    url: str
    data_dir: Path
    connections: int = 16
    timeout: float = 0.1


class Server(Protocol):
    """A server that was started for the store."""

    async def close(self) -> None:
        """Stop it."""
        ...


class OpenStore:
    """A store with the server behind it, if that is ours."""

    def __init__(
        self,
        store: Store,
        server: Server | None = None,
        warnings: tuple[str, ...] = (),
        *,
        guests: Guests | None = None,
    ) -> None:
        """`guests`: those that use the server while we run it; it is stopped when they have left."""
        self._guests = guests
        self.store = store
        self.warnings = warnings
        """For whoever started the program."""
        self._server = server

    async def close(self) -> None:
        """Disconnect, and stop the server if it is ours."""
        try:
            await self.store.close()
            if self._server is not None:
                if self._guests is not None:
                    await self._guests.alone()
                await self._server.close()
        finally:
            if self._guests is not None:
                self._guests.leave()


async def open_store(
    settings: StoreSettings, tell: Tell, *, joins: bool = False, migrates: bool = False
) -> OpenStore:
    """The store. `joins`: a running owner of the embedded store is joined instead of being an error.
    `migrates`: keys of an earlier version are no reason not to open it.

    A Redis that does not answer is used all the same, once it does. Raises ConfigError for one that must not be
    used.
    """
    if settings.url == "memory":
        return OpenStore(MemoryStore(time.monotonic))
    if settings.url != "embedded":
        return await _connected(settings, tell, migrates=migrates)
    if sys.platform == "win32":
        return OpenStore(MemoryStore(time.monotonic), warnings=(NO_PROGRAM,))
    return await _embedded(settings, tell, joins=joins, migrates=migrates)


async def _embedded(settings: StoreSettings, tell: Tell, *, joins: bool, migrates: bool) -> OpenStore:
    from aiclient2api.store import embedded
    from aiclient2api.store.guests import Guests
    from aiclient2api.store.redis import RedisStore

    binary = embedded.program()
    if binary is None:
        return OpenStore(MemoryStore(time.monotonic), warnings=(NO_PROGRAM,))
    server = embedded.Embedded(settings.data_dir, binary, tell, is_command=joins)
    guests = Guests(server.folder) if joins else None
    try:
        if guests is not None:
            await guests.enter()
        is_ours = await _owned(server, joins=joins)
    except BaseException as error:
        if guests is not None:
            guests.leave()
        if isinstance(error, StoreUnusable):
            raise ConfigError([str(error)]) from None
        raise
    store = RedisStore(server.address, size=settings.connections, timeout=settings.timeout)
    opened = OpenStore(store, server if is_ours else None, guests=guests)
    try:
        await _check(server.address, settings.timeout, migrates=migrates)
    except BaseException:
        await opened.close()
        raise
    _report(store, tell)
    return opened


async def _owned(server: Embedded, *, joins: bool) -> bool:
    """Whether the server is ours now; if not, another's answers. A command's is waited for: it ends soon.

    Raises StoreUnusable.
    """
    from aiclient2api.store.embedded import InUse
    from aiclient2api.store.guests import LOOK_EVERY, PATIENCE

    until = time.monotonic() + PATIENCE
    while True:
        try:
            await server.start()
        except InUse as error:
            is_over = time.monotonic() > until
            if joins and (is_over or await asyncio.to_thread(server.answers)):
                return False
            if is_over or not (joins or error.is_command):
                raise
        else:
            return True
        await asyncio.sleep(LOOK_EVERY)


async def _connected(settings: StoreSettings, tell: Tell, *, migrates: bool) -> OpenStore:
    from aiclient2api.store.redis import RedisStore

    address = parse(settings.url)
    _check_authority(address)
    warning = await _check(address, settings.timeout, migrates=migrates)
    store = RedisStore(address, size=settings.connections, timeout=settings.timeout)
    _report(store, tell)
    return OpenStore(store, warnings=() if warning is None else (warning,))


def _check_authority(address: Address) -> None:
    """Raises ConfigError: what is no certificate will not become one by waiting."""
    if address.ca is None:
        return
    try:
        ssl.create_default_context(cafile=address.ca)
    except OSError as error:  # SSLError is one
        reason = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError([f"store.url: ca: {address.ca} cannot be used: {reason}"]) from None


async def _check(address: Address, timeout: float, *, migrates: bool) -> str | None:
    """What to tell when it does not answer. Raises ConfigError."""
    from aiclient2api.store.line import why
    from aiclient2api.store.redis import RedisStore

    patience = max(timeout, START_SECONDS)
    store = RedisStore(address, size=2, timeout=patience)
    try:
        await store.check()
    except StoreUnusable as error:
        if migrates and isinstance(error, SchemaOutdated):
            return None
        raise ConfigError([f"store.url: {error}"]) from None
    except StoreUnavailable as error:
        mistake = await store.mistake(error, patience)
        if mistake is not None:
            raise ConfigError([f"store.url: {mistake}"]) from None
        reason = "no answer" if error.__cause__ is None else why(error.__cause__)
        return f"store.url: {address.shown} does not answer; going on without it until it does ({reason})"
    finally:
        await store.close()
    return None


def _report(store: RedisStore, tell: Tell) -> None:
    store.on_outage.append(lambda reason: tell("error", "store_lost", {"reason": reason}))
    store.on_aside.append(lambda key, to: tell("error", "store_value_foreign", {"key": key, "moved_to": to}))
    store.on_return.append(lambda: tell("info", "store_back", {"store": store.address.shown}))
