"""The listening socket and its process signals, on uvicorn. Draining: refuse new work, let streams finish.

SIGTERM or SIGINT stops accepting; running requests get `drain` seconds, then they are cancelled and their clients
told so in band. SIGHUP asks for a reload.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from msgspec import Struct

from aiclient2api.server.app import App
from aiclient2api.telemetry.log import JsonLog, LibraryLog

KEEP_ALIVE = 75
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class ListenSettings(Struct, frozen=True, kw_only=True):
    """Where to listen. `port` 0 takes a free one; `drain` in seconds."""

    host: str
    port: int
    drain: float
    cert: str | None = None
    key: str | None = None


class Listener(uvicorn.Server):
    """One listening server for one app."""

    def __init__(self, app: App, settings: ListenSettings, log: JsonLog) -> None:
        super().__init__(
            uvicorn.Config(
                app,  # pyright: ignore[reportArgumentType]  # our ASGI types are narrower
                host=settings.host,
                port=settings.port,
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=True,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=max(1, round(settings.drain)),
                ssl_certfile=settings.cert,
                ssl_keyfile=settings.key,
            )
        )
        self._app = app
        self._log = log
        self._quiet_library()
        self.on_ready: Callable[[], None] | None = None
        self.on_reload: Callable[[], None] | None = None

    def _quiet_library(self) -> None:
        """Its messages go to our log, but for two: a stream that we broke off, and an address that is taken."""
        logger = logging.getLogger("uvicorn.error")
        logger.handlers = [LibraryLog(self._log)]
        logger.propagate = False
        logger.addFilter(
            lambda record: (
                not isinstance(record.msg, OSError)
                and "without completing response" not in record.getMessage()
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn; then say that we are ready."""
        await super().startup(sockets)
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(
                signal.SIGHUP, self.on_reload or self._nothing_to_reload
            )
        if self.started and self.on_ready is not None:
            self.on_ready()

    def _nothing_to_reload(self) -> None:
        self._log.event("info", "reload_ignored", reason="there is no configuration to read again")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal drains, the second stops at once."""
        self.force_exit = self.should_exit
        self.drain()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """As uvicorn, but a signal that was heeded is not raised again: after a drain the exit status is 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def drain(self) -> None:
        """Report not ready from now on and stop when the running requests are over."""
        self._app.is_draining = True
        self.should_exit = True

    @property
    def port(self) -> int:
        """The port that was bound."""
        return int(self.servers[0].sockets[0].getsockname()[1])
