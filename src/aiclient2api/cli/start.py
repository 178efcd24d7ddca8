"""The running gateway: runtime, app and listener put together, reload on SIGHUP, and what the first lines say."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

import click

from aiclient2api.cli.banner import banner
from aiclient2api.config.demo import with_simulator
from aiclient2api.config.model import Config
from aiclient2api.errors import ConfigError
from aiclient2api.runtime import Runtime
from aiclient2api.server.app import App
from aiclient2api.server.listen import Listener, ListenSettings
from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.serve import running
from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.telemetry.log import LibraryLog

_AT_START: Final = ("host", "port", "workers", "drain", "tls")
"""What a reload cannot change: the listener keeps what it was started with."""


def run(config: Config, *, demo: bool, reload: Callable[[], Config] | None = None) -> int:
    """Serve until a signal says stop. Raises ConfigError."""
    if config.server.tls is None and not _is_loopback(config.server.host):
        click.echo("warning: clients send their keys in clear text; put TLS in front (README)", err=True)
    main = _serve(config, demo=demo, reload=reload)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


async def _serve(config: Config, *, demo: bool, reload: Callable[[], Config] | None) -> int:
    async with AsyncExitStack() as stack:
        if demo:
            config = with_simulator(
                config, await stack.enter_async_context(running(Simulator(SimulatorSettings())))
            )
        gateway = Gateway(Runtime(config, ephemeral=demo), reload)
        stack.push_async_callback(gateway.close)
        libraries = LibraryLog(gateway.runtime.log)
        logging.getLogger().addHandler(libraries)
        stack.callback(logging.getLogger().removeHandler, libraries)
        listener = gateway.listener
        listener.on_ready = lambda: click.echo(
            banner(config, listener.port, gateway.runtime.generated_key, demo=demo), nl=False
        )
        try:
            await listener.serve()
        except SystemExit as stopped:  # how uvicorn takes the OSError of the address
            reason = stopped.__context__
            told = f": {os.strerror(reason.errno)}" if isinstance(reason, OSError) and reason.errno else ""
            raise click.ClickException(
                f"cannot listen on {config.server.host}:{config.server.port}{told}"
            ) from None
    return 0


class Gateway:
    """A listener, and the runtime it serves at the moment."""

    def __init__(self, runtime: Runtime, reload: Callable[[], Config] | None = None) -> None:
        server = runtime.config.server
        self.runtime = runtime
        self.app = App(runtime.services)
        self.listener = Listener(
            self.app,
            ListenSettings(
                host=server.host,
                port=server.port,
                drain=server.drain,
                cert=str(server.tls.cert) if server.tls else None,
                key=str(server.tls.key) if server.tls else None,
            ),
            runtime.log,
        )
        self._load = reload
        self._retiring: set[asyncio.Task[None]] = set()
        if reload is not None:
            self.listener.on_reload = self.reload

    def reload(self) -> None:
        """Read the configuration again and swap; a bad one is reported and the old one stays."""
        assert self._load is not None
        old = self.runtime
        try:
            self.runtime = Runtime(self._load(), before=old)
        except ConfigError as error:
            old.log.event("error", "reload_refused", problems=error.problems)
            return
        self.app.swap(self.runtime.services)
        new, before = self.runtime.config, old.config.server
        kept = [f"server.{name}" for name in _AT_START if getattr(new.server, name) != getattr(before, name)]
        old.log.event("info", "reloaded", warnings=new.warnings, needs_restart=kept)
        task = asyncio.ensure_future(_retire(old))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def close(self) -> None:
        """Close upstream connections and write the log's rest."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self.runtime.close()


async def _retire(runtime: Runtime) -> None:
    """Close a replaced runtime when its last request is over."""
    try:
        await runtime.services.admission.idle()
    finally:
        await runtime.close()


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
