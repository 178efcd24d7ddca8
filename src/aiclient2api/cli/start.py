"""The running gateway: runtime, app and listener put together, reload on SIGHUP, and what the first lines say."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Final

import click
import msgspec

from aiclient2api.cli.banner import banner
from aiclient2api.cli.watch import FileWatch
from aiclient2api.config.added import extended
from aiclient2api.config.demo import with_simulator
from aiclient2api.config.model import Config
from aiclient2api.errors import ConfigError
from aiclient2api.ledger.booking import booked
from aiclient2api.runtime import Process, Runtime, store_settings
from aiclient2api.server.app import App
from aiclient2api.server.garbage import look_away
from aiclient2api.server.http.listener import LeanListener
from aiclient2api.server.http.settings import RESERVED, ClientTimeouts, HttpSettings
from aiclient2api.server.listen import Listener, ListenSettings
from aiclient2api.server.pressure import machine_memory
from aiclient2api.store.opening import open_store
from aiclient2api.telemetry.log import JsonLog, LibraryLog
from aiclient2api.telemetry.metrics import Metrics

_AT_START: Final = ("host", "port", "workers", "http", "drain", "drain_notice", "watchdog", "tls", "timeouts")
"""What a reload cannot change: the listener keeps what it was started with."""


def run(config: Config, *, demo: bool, reload: Callable[[], Config] | None = None) -> int:
    """Serve in this process until a signal says stop. Raises ConfigError."""
    warn_of_clear_text(config)
    return run_loop(_serve(config, demo=demo, reload=reload))


def warn_of_clear_text(config: Config) -> None:
    """Keys that anybody on the way can read are worth a word."""
    if config.server.tls is None and not _is_loopback(config.server.host):
        click.echo("warning: clients send their keys in clear text; put TLS in front (README)", err=True)


def run_loop(main: Coroutine[None, None, int]) -> int:
    """Run on the fastest event loop there is."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)


async def _serve(config: Config, *, demo: bool, reload: Callable[[], Config] | None) -> int:
    async with AsyncExitStack() as stack:
        if demo:
            config = with_simulator(config, await stack.enter_async_context(simulating()))
        log = JsonLog(time.time, level=config.log.level)
        opened = await open_store(store_settings(config), log.tell)
        stack.push_async_callback(opened.close)
        for warning in opened.warnings:
            click.echo(f"warning: {warning}", err=True)
        runtime = Runtime(config, ephemeral=demo, process=Process(opened.store, log, Metrics()))
        gateway = Gateway(runtime, reload)
        await stack.enter_async_context(assembled(gateway))
        listener = gateway.listener
        listener.on_ready = lambda: click.echo(
            banner(config, listener.port, gateway.runtime.generated_key, demo=demo), nl=False
        )
        watching = asyncio.ensure_future(gateway.watch())
        stack.callback(watching.cancel)
        with only_with_workers(log):
            try:
                await listener.serve()
            except OSError as error:
                raise cannot_listen(config, error) from None
    return 0


@asynccontextmanager
async def simulating() -> AsyncGenerator[str]:
    """The demo's upstream while the block runs; its address."""
    from aiclient2api.simulator.app import Simulator
    from aiclient2api.simulator.serve import running
    from aiclient2api.simulator.settings import SimulatorSettings

    async with running(Simulator(SimulatorSettings())) as url:
        yield url


@asynccontextmanager
async def assembled(gateway: Gateway) -> AsyncGenerator[None]:
    """Everything that runs beside a gateway while the block runs: booking, what nodes share, the libraries' log."""
    runtime = gateway.runtime
    async with AsyncExitStack() as stack:
        attempts = runtime.metrics.attempts
        settled = booked(
            runtime.ledger,
            runtime.store,
            runtime.log.event,
            lambda row: attempts.add((row.pool, row.account, row.outcome)),
        )
        await stack.enter_async_context(settled)
        stack.push_async_callback(gateway.close)
        stack.push_async_callback(runtime.shared.close)
        await runtime.shared.start()
        stack.push_async_callback(runtime.key_sharing.close)
        await runtime.key_sharing.start()
        stack.push_async_callback(runtime.added.close)
        await runtime.added.start(gateway.account_added)
        stack.push_async_callback(runtime.tokens.close)
        await runtime.tokens.start()
        libraries = LibraryLog(runtime.log)
        logging.getLogger().addHandler(libraries)
        stack.callback(logging.getLogger().removeHandler, libraries)
        look_away()
        yield


def cannot_listen(config: Config, error: OSError) -> click.ClickException:
    """The sentence for an address that cannot be had."""
    told = f": {os.strerror(error.errno)}" if error.errno and error.errno > 0 else ""
    return click.ClickException(f"cannot listen on {config.server.host}:{config.server.port}{told}")


@contextmanager
def only_with_workers(log: JsonLog) -> Generator[None]:
    """The signal for a rolling restart ends nothing where there is nobody to take over."""
    if not hasattr(signal, "SIGUSR2") or threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    reason = "there is one process only; server.workers"
    loop.add_signal_handler(signal.SIGUSR2, lambda: log.event("info", "restart_ignored", reason=reason))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGUSR2)


class Gateway:
    """A listener, and the runtime it serves at the moment. It listens on bound sockets when it is given some.

    It is one of `workers` processes that share what a machine has.
    """

    def __init__(
        self,
        runtime: Runtime,
        reload: Callable[[], Config] | None = None,
        sockets: Sequence[socket.socket] = (),
        workers: int = 1,
    ) -> None:
        limits = runtime.config.limits
        self.runtime = runtime
        self.app = App(
            runtime.services,
            memory=limits.memory or machine_memory() // workers,
            bodies=max(limits.body, limits.bodies // workers),
        )
        self.listener = _listener(self.app, runtime, sockets)
        self._load = reload
        self._written = runtime.config
        """Without the accounts that the store adds."""
        self._retiring: set[asyncio.Task[None]] = set()
        self._watch = _file_watch(runtime.config, self.reload) if reload is not None else None
        if reload is not None:
            self.listener.on_reload = self.reload

    def reload(self) -> None:
        """Read the configuration again and swap; a bad one is reported and the old one stays."""
        assert self._load is not None
        if self._watch is not None:
            self._watch.know()
        old = self.runtime
        try:
            self.swap(self._load())
        except ConfigError as error:
            old.log.event("error", "reload_refused", problems=error.problems)
            return
        new = self.runtime.config
        old.log.event("info", "reloaded", warnings=new.warnings, needs_restart=needs_restart(old.config, new))

    def swap(self, config: Config) -> None:
        """Serve another configuration from now on; what is running ends on the old one. Raises ConfigError."""
        whole, problems = extended(config, self.runtime.added.sections)
        old, self.runtime = self.runtime, Runtime(whole, before=self.runtime)
        self.runtime.generated_key = self.runtime.generated_key or old.generated_key  # not shown yet, perhaps
        self._written = config
        if problems:
            old.log.event("error", "added_accounts_refused", problems=problems)
        self.app.swap(self.runtime.services)
        task = asyncio.ensure_future(_retire(old))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def account_added(self) -> None:
        """The accounts in the store are others than before."""
        try:
            self.swap(self._written)
        except ConfigError as error:
            self.runtime.log.event("error", "added_accounts_refused", problems=error.problems)
            return
        self.runtime.log.event("info", "accounts_changed", added=sorted(self.runtime.added.sections))

    async def watch(self) -> None:
        """Reload when the configuration file has changed, until cancelled."""
        if self._watch is not None:
            await self._watch.run()

    async def close(self) -> None:
        """Close upstream connections and write the log's rest."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self.runtime.close()


def needs_restart(old: Config, new: Config) -> list[str]:
    """What is written now and not served."""
    return [f"server.{name}" for name in _AT_START if getattr(new.server, name) != getattr(old.server, name)]


async def _retire(runtime: Runtime) -> None:
    """Close a replaced runtime when its last request is over."""
    try:
        await runtime.services.admission.idle()
    finally:
        await runtime.close()


def _file_watch(config: Config, changed: Callable[[], None]) -> FileWatch | None:
    return FileWatch(config.source, changed) if config.source is not None and config.server.watch else None


def _listener(app: App, runtime: Runtime, sockets: Sequence[socket.socket]) -> Listener:
    server = runtime.config.server
    settings = ListenSettings(
        host=server.host,
        port=server.port,
        drain=server.drain,
        cert=str(server.tls.cert) if server.tls else None,
        key=str(server.tls.key) if server.tls else None,
        http=HttpSettings(
            timeouts=ClientTimeouts(**msgspec.structs.asdict(server.timeouts)),
            connections=_connections(runtime),
            notice=server.drain_notice,
        ),
    )
    match server.http:
        case "lean":
            return LeanListener(app, settings, runtime.log, sockets)
        case "uvicorn":
            from aiclient2api.server.library import LibraryListener  # what is not used is not loaded

            return LibraryListener(app, settings, runtime.log, sockets)


def _connections(runtime: Runtime) -> int:
    """As configured, but clients may take no more than half of the file descriptors."""
    wanted = runtime.config.limits.connections
    try:
        import resource
    except ImportError:
        return wanted
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = max(1, soft // 2 - RESERVED) if soft != resource.RLIM_INFINITY else wanted
    if allowed < wanted:
        runtime.log.event("warning", "connections_limited", wanted=wanted, allowed=allowed, descriptors=soft)
    return min(wanted, allowed)


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
