"""The gateway as several processes: the supervisor with the sockets, the store's server and the signals."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import click
from msgspec import Struct

import aiclient2api
from aiclient2api.cli.banner import banner
from aiclient2api.cli.fleet import Fleet, tally_memory
from aiclient2api.cli.start import cannot_listen, needs_restart, simulating, warn_of_clear_text
from aiclient2api.cli.watch import FileWatch
from aiclient2api.config.demo import demo_data
from aiclient2api.config.load import build
from aiclient2api.config.model import Config
from aiclient2api.errors import ConfigError
from aiclient2api.runtime import first_key, store_settings
from aiclient2api.server.first_start import new_client_key, new_secret
from aiclient2api.server.listen import bind
from aiclient2api.store.opening import NO_PROGRAM, open_store
from aiclient2api.telemetry.log import JsonLog
from aiclient2api.telemetry.tally import SharedTally
from aiclient2api.workers.child import Child, spawn
from aiclient2api.workers.messages import Reload, Start, Written
from aiclient2api.workers.supervisor import Supervisor


class Origin(Struct, frozen=True, kw_only=True):
    """Where a configuration comes from. `read` gives its data and its file, and raises ConfigError."""

    read: Callable[[], tuple[dict[str, Any], Path | None]]
    is_demo: bool = False

    def load(self) -> tuple[Written, Config]:
        """What is written, and what is built of it. Raises ConfigError."""
        data, source = self.read()
        config = build(data, environ=os.environ, source=source)
        return Written(data=data, source=None if source is None else str(source)), config


def supervise(origin: Origin) -> int:
    """Serve with several processes until a signal says stop. Raises ConfigError."""
    return asyncio.run(_supervise(origin))


def supervise_demo(overrides: dict[str, Any]) -> int:
    """The same with the simulator as the upstream, and nothing kept. Raises ConfigError."""

    async def main(folder: str) -> int:
        kept = {"store": {"url": "embedded", "data_dir": folder}, "secrets": {"key": new_secret()}}
        given = {**kept, **overrides, "store": overrides["store"] or kept["store"]}
        async with simulating() as url:
            data = demo_data(url, environ=os.environ, overrides=given)
            data["keys"] = [{"name": "generated", "key": new_client_key()}]
            return await _supervise(Origin(read=lambda: (data, None), is_demo=True))

    with tempfile.TemporaryDirectory(prefix="aiclient2api-") as folder:
        return asyncio.run(main(folder))


async def _supervise(origin: Origin) -> int:
    written, config = origin.load()
    warn_of_clear_text(config)
    async with AsyncExitStack() as stack:
        log = JsonLog(time.time, level=config.log.level, marks={})
        stack.callback(log.flush)
        opened = await open_store(store_settings(config), log.tell)
        stack.push_async_callback(opened.close)
        if NO_PROGRAM in opened.warnings:
            raise ConfigError(
                ["server.workers: several need a store that they share, and there is no valkey-server"]
            )
        for warning in opened.warnings:
            click.echo(f"warning: {warning}", err=True)
        new_key = None if origin.is_demo else first_key(config)
        return await Gateways(origin, written, config, log).run(new_key)


class Gateways:
    """The workers of one configuration, and what signals do to them."""

    def __init__(self, origin: Origin, written: Written, config: Config, log: JsonLog) -> None:
        server = config.server
        self._origin = origin
        self._written = written
        self._first = config
        self._log = log
        self._supervisor = Supervisor(
            server.workers, self._launch, log.event, float(server.drain), float(server.watchdog)
        )
        self._fleet = Fleet(self._supervisor, server.workers, log.bug)
        self._watch: FileWatch | None = None
        if config.source is not None and server.watch:
            self._watch = FileWatch(config.source, self._reload)

    async def run(self, new_key: str | None) -> int:
        """Until a signal says stop. `new_key` is a client key that was made just now."""
        config, supervisor = self._first, self._supervisor
        try:
            self._sockets = bind(config.server.host, config.server.port)
        except OSError as error:
            raise cannot_listen(config, error) from None
        port: int = self._sockets[0].getsockname()[1]
        demo = self._origin.is_demo
        key = config.keys[0].key.reveal() if demo else new_key
        supervisor.on_ready = lambda: click.echo(banner(config, port, key, demo=demo), nl=False)
        try:
            async with self._signals(), self._watching():
                return await supervisor.run()
        finally:
            self._fleet.close()
            self._close_sockets()

    async def _launch(self, number: int) -> Child:
        memory = tally_memory()
        try:
            start = Start(
                worker=number,
                workers=self._first.server.workers,
                sockets=tuple(each.fileno() for each in self._sockets),
                tally=memory,
                written=self._written,
                is_demo=self._origin.is_demo,
            )
            tally = SharedTally(memory)
            child = await spawn(_command(), start)
        finally:
            os.close(memory)
        self._fleet.born(child, tally)
        return child

    # ---- signals

    @asynccontextmanager
    async def _signals(self) -> AsyncGenerator[None]:
        loop = asyncio.get_running_loop()
        actions: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: self._stop,
            signal.SIGINT: lambda: self._stop(at_once=True),
            signal.SIGHUP: self._reload,
            signal.SIGUSR2: self._supervisor.roll,
        }
        for number, action in actions.items():
            loop.add_signal_handler(number, action)
        try:
            yield
        finally:
            for number in actions:
                loop.remove_signal_handler(number)

    @asynccontextmanager
    async def _watching(self) -> AsyncGenerator[None]:
        if self._watch is None:
            yield
            return
        task = asyncio.ensure_future(self._watch.run())
        try:
            yield
        finally:
            task.cancel()

    def _stop(self, *, at_once: bool = False) -> None:
        self._supervisor.stop(at_once=at_once)
        self._close_sockets()  # the workers' are open until they have given notice; ours would keep clients waiting

    def _close_sockets(self) -> None:
        for each in self._sockets:
            each.close()

    def _reload(self) -> None:
        """Read the configuration again; a good one goes to all workers, a bad one to none."""
        if self._watch is not None:
            self._watch.know()
        try:
            written, config = self._origin.load()
        except ConfigError as error:
            self._log.event("error", "reload_refused", problems=error.problems)
            return
        self._written = written
        missing = needs_restart(self._first, config)

        def done() -> None:
            self._log.event("info", "reloaded", warnings=config.warnings, needs_restart=missing)

        self._supervisor.reload(Reload(written=written), done)


_ROOT: Final = Path(aiclient2api.__file__).parents[1]


def _command() -> Sequence[str]:
    """Starts a worker. The working directory is no place for modules, unless it is where ours are."""
    safe = [] if Path.cwd() == _ROOT else ["-P"]
    return [sys.executable, *safe, "-m", "aiclient2api.cli.worker"]
