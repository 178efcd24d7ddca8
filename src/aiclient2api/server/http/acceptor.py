"""Taking connections off listening sockets, as many as there is room for.

The event loop's own servers accept without asking. This one stops when the worker is full, pauses when file
descriptors run out instead of spinning, and works on a socket that other processes accept from as well.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final

BATCH: Final = 8
"""Connections per turn: other workers of the same socket want some too."""
RETRY: Final = 0.25
"""Seconds until we try again when the system has no descriptor left."""
TLS_SECONDS: Final = 10.0


class Acceptor:
    """`connect` makes the protocol of one more connection; `has_room` says whether there may be one."""

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        connect: Callable[[], asyncio.Protocol],
        has_room: Callable[[], bool],
        tls: ssl.SSLContext | None,
        starved: Callable[[OSError], None],
    ) -> None:
        self._sockets = sockets
        self._connect = connect
        self._has_room = has_room
        self._tls = tls
        self._starved = starved
        self._is_on = False
        self._has_begun = False
        self._is_closed = False
        self._opening: set[asyncio.Task[object]] = set()

    @property
    def opening(self) -> int:
        """Connections that were accepted and have no protocol yet: their TLS is being agreed."""
        return len(self._opening)

    def start(self) -> None:
        """Accept, unless that is so already."""
        if self._is_on or self._is_closed:
            return
        self._loop = asyncio.get_running_loop()
        self._is_on = self._has_begun = True
        for listening in self._sockets:
            self._loop.add_reader(listening.fileno(), self._ready, listening)

    def pause(self) -> None:
        """Leave newcomers in the system's queue."""
        if self._is_on:
            self._is_on = False
            for listening in self._sockets:
                self._loop.remove_reader(listening.fileno())

    def close(self) -> None:
        """Take who has come already, accept no more, and stop listening."""
        self.pause()
        if not self._is_closed and self._has_begun:
            for listening in self._sockets:
                self._take_all(listening)
        self._is_closed = True
        for listening in self._sockets:
            listening.close()

    def _take_all(self, listening: socket.socket) -> None:
        """Who still waits in the system's queue would be reset by the close."""
        while self._has_room():
            try:
                accepted, _ = listening.accept()
            except OSError:
                return
            self._take(accepted)

    def _ready(self, listening: socket.socket) -> None:
        for _ in range(BATCH):
            if not self._has_room():
                self.pause()
                return
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # EMFILE, ENFILE, ENOBUFS, ENOMEM: it stays readable, so do not look
                self.pause()
                self._loop.call_later(RETRY, self.start)
                self._starved(error)
                return
            self._take(accepted)

    def _take(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        if accepted.family != getattr(socket, "AF_UNIX", None):
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._open(accepted))
        self._opening.add(task)
        task.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[object]) -> None:
        """Whose handshake failed leaves room that no connection's end tells of."""
        self._opening.discard(task)
        self.start()

    async def _open(self, accepted: socket.socket) -> None:
        limits = (
            {} if self._tls is None else {"ssl_handshake_timeout": TLS_SECONDS, "ssl_shutdown_timeout": 5.0}
        )
        protocol = self._connect()
        try:
            await self._loop.connect_accepted_socket(lambda: protocol, accepted, ssl=self._tls, **limits)
        except OSError as error:
            accepted.close()  # a handshake that failed, or a client that left during it
            protocol.connection_lost(error)  # nobody else tells it
