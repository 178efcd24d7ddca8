"""The same app behind uvicorn: the selectable other way. What only our own server gives is in docs/operations.md."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import uvicorn

from aiclient2api.server.app import App
from aiclient2api.server.listen import ListenSettings, bind, stop_signals
from aiclient2api.telemetry.log import JsonLog, LibraryLog


class LibraryListener(uvicorn.Server):
    """See `listen.Listener`."""

    def __init__(
        self, app: App, settings: ListenSettings, log: JsonLog, sockets: Sequence[socket.socket] = ()
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,  # pyright: ignore[reportArgumentType]  # our ASGI types are narrower
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=True,
                proxy_headers=False,
                timeout_keep_alive=max(1, round(settings.http.timeouts.keep_alive)),
                timeout_graceful_shutdown=max(1, round(settings.drain)),
                ssl_certfile=settings.cert,
                ssl_keyfile=settings.key,
            )
        )
        self._app = app
        self._settings = settings
        self._log = log
        self._bound = list(sockets)
        self._quiet_library()
        self.on_ready: Callable[[], None] | None = None
        self.on_reload: Callable[[], None] | None = None

    def _quiet_library(self) -> None:
        """Its messages go to our log, but for one: a stream that we broke off."""
        logger = logging.getLogger("uvicorn.error")
        logger.handlers = [LibraryLog(self._log)]
        logger.propagate = False
        logger.addFilter(lambda record: "without completing response" not in record.getMessage())

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """See `listen.Listener`."""
        if not self._bound:
            self._bound = sockets or bind(self._settings.host, self._settings.port)
        self._app.pressure.start(asyncio.get_running_loop())
        try:
            with stop_signals(self.drain, self._reload):
                await super().serve(self._bound)
        finally:
            self._app.pressure.stop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn; then say that we are ready."""
        await super().startup(sockets)
        if self.started and self.on_ready is not None:
            self.on_ready()

    def _reload(self) -> None:
        if self.on_reload is None:
            self._log.event("info", "reload_ignored", reason="there is no configuration to read again")
        else:
            self.on_reload()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Ours do that: a signal that was heeded is not raised again, and the exit status after a drain is 0."""
        yield

    def drain(self, *, at_once: bool = False) -> None:
        """See `listen.Listener`; this server gives no notice and leaves at once on a second call."""
        self.force_exit = self.should_exit
        self._app.is_draining = True
        self.should_exit = True

    def retire(self) -> None:
        """See `listen.Listener`; idle connections are closed at once."""
        self.should_exit = True

    @property
    def port(self) -> int:
        """The port that was bound."""
        return int(self._bound[0].getsockname()[1])
