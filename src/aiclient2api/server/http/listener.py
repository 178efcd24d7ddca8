"""Our own HTTP server: sockets, signals, and the end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence

from aiclient2api.errors import Busy, ShuttingDown
from aiclient2api.server.app import App
from aiclient2api.server.http.acceptor import Acceptor
from aiclient2api.server.http.connection import Connection
from aiclient2api.server.http.edge import Edge
from aiclient2api.server.http.settings import RESERVED
from aiclient2api.server.listen import ListenSettings, bind, stop_signals
from aiclient2api.telemetry.log import JsonLog

LAST_SECONDS = 5.0
"""How long before the end of the drain those still running are told; less for a short drain."""
NEW = 0.5
"""Seconds in which the first request of a connection must come that was made just before the listener closed."""
HURRIED = 1.0
"""Seconds that are left behind a second signal."""


class LeanListener:
    """See `listen.Listener`."""

    def __init__(
        self, app: App, settings: ListenSettings, log: JsonLog, sockets: Sequence[socket.socket] = ()
    ) -> None:
        self._app = app
        self._settings = settings
        self._log = log
        self._sockets = list(sockets)
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._empty = asyncio.Event()
        self._has_starved = False
        self._is_retired = False
        self.on_ready: Callable[[], None] | None = None
        self.on_reload: Callable[[], None] | None = None

    @property
    def port(self) -> int:
        """The port that was bound."""
        return int(self._sockets[0].getsockname()[1])

    async def serve(self) -> None:
        """Serve until `drain` and its end. Raises OSError when the address cannot be had."""
        settings, loop = self._settings, asyncio.get_running_loop()
        if not self._sockets:
            self._sockets = bind(settings.host, settings.port)
        tls = _tls(settings.cert, settings.key)
        self.edge = Edge(self._app, settings.http, loop, self._app.pressure, self._bug)
        self.edge.on_left = self._left
        self._acceptor = Acceptor(self._sockets, self._connect, self._has_room, tls, self._starved)
        self._app.pressure.shed = self._shed
        self._app.pressure.start(loop)
        try:
            with stop_signals(self.drain, self._reload):
                self._acceptor.start()
                if self.on_ready is not None:
                    self.on_ready()
                await self._stopping.wait()
                await self._drain()
        finally:
            self._app.pressure.stop()
            self._acceptor.close()

    # ---- connections

    def _open(self) -> int:
        return len(self.edge.connections) + self._acceptor.opening

    def _connect(self) -> Connection:
        return Connection(self.edge, is_reserved=self._open() > self._settings.http.connections)

    def _has_room(self) -> bool:
        return self._open() < self._settings.http.connections + RESERVED

    def _left(self) -> None:
        if not self._stopping.is_set():
            self._acceptor.start()
        if not self.edge.connections:
            self._empty.set()

    def _starved(self, error: OSError) -> None:
        if not self._has_starved:
            self._has_starved = True
            self._log.event("error", "accept_failed", reason=error.strerror)

    def _shed(self) -> None:
        largest = max(self.edge.connections, key=lambda connection: connection.weight, default=None)
        if largest is not None and largest.weight:
            self._log.event("error", "stream_given_up", reason="memory")
            largest.cancel(Busy("the gateway is out of memory", retry_after=3.0))

    def _bug(self, error: Exception) -> None:
        self._log.bug(error, "")

    # ---- the end

    def _reload(self) -> None:
        if self.on_reload is None:
            self._log.event("info", "reload_ignored", reason="there is no configuration to read again")
        else:
            self.on_reload()

    def drain(self, *, at_once: bool = False) -> None:
        """Not ready from now on; stop listening after the notice, and end when running requests are over.

        `at_once` leaves the notice out. A second call hurries: what runs is told and has a second.
        """
        self._app.is_draining = True
        if self._is_retired:  # it is ending already: this is its first signal
            self._is_retired = False
        elif self._stopping.is_set():
            self._hurry.set()
        else:
            self._end(0.0 if at_once else self._settings.http.notice)

    def retire(self) -> None:
        """Another process accepts in our place: kept-alive connections end behind their next answer, or the notice."""
        if not self._stopping.is_set():
            self._is_retired = True
            self._acceptor.close()
            self._end(self._settings.http.notice)

    def _end(self, notice: float) -> None:
        self.edge.is_draining = True
        self._notice = notice
        self._stopping.set()

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._settings.drain
        await _within(self._hurry, min(self._notice, self._settings.drain))
        self._acceptor.close()
        for connection in [each for each in self.edge.connections if not each.is_new]:
            connection.close_idle()
        if self._acceptor.opening or any(connection.is_new for connection in self.edge.connections):
            await _within(self._hurry, min(NEW, self._settings.drain))
            for connection in list(self.edge.connections):
                connection.close_idle()
        last = min(LAST_SECONDS, self._settings.drain / 4)
        await self._emptied(end - last)
        for connection in list(self.edge.connections):
            connection.cancel(ShuttingDown("the server is shutting down"))
        await self._emptied(loop.time() + (HURRIED if self._hurry.is_set() else last), is_final=True)
        for connection in list(self.edge.connections):
            connection.abort()

    async def _emptied(self, until: float, *, is_final: bool = False) -> None:
        """Wait for the last connection, or for this time, or for a second signal."""
        if not self.edge.connections:
            return
        self._empty.clear()
        waits = [asyncio.ensure_future(self._empty.wait())]
        if not is_final:
            waits.append(asyncio.ensure_future(self._hurry.wait()))
        try:
            seconds = max(0.0, until - asyncio.get_running_loop().time())
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


async def _within(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but not longer than this."""
    if seconds > 0:
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except TimeoutError:
            return


def _tls(cert: str | None, key: str | None) -> ssl.SSLContext | None:
    if cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(cert, key)
    return context
