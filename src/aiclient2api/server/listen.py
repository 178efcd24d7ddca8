"""What both HTTP servers have in common: where they listen, and the process's signals."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Protocol

from msgspec import Struct

from aiclient2api.server.http.settings import HttpSettings

BACKLOG = 1024


class ListenSettings(Struct, frozen=True, kw_only=True):
    """Where to listen. `port` 0 takes a free one; `drain` in seconds; certificate and key are PEM files."""

    host: str
    port: int
    drain: float
    cert: str | None = None
    key: str | None = None
    http: HttpSettings = HttpSettings()


class Listener(Protocol):
    """One listening server for one app. It listens where the settings say, or on bound sockets it is given."""

    on_ready: Callable[[], None] | None
    on_reload: Callable[[], None] | None

    @property
    def port(self) -> int:
        """The port that was bound."""
        ...

    async def serve(self) -> None:
        """Serve until `drain` and its end. Raises OSError when the address cannot be had."""
        ...

    def drain(self, *, at_once: bool = False) -> None:
        """Report not ready from now on and stop when the running requests are over; a second call hurries."""
        ...

    def retire(self) -> None:
        """Another process accepts in our place: stop accepting at once, and end when what is running is over."""
        ...


def bind(host: str, port: int) -> list[socket.socket]:
    """Listening sockets for every address of a host. Raises OSError.

    Another process may accept from them as well: they are not blocking, and nobody needs to listen again.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, _, _, address in dict.fromkeys(found):
            bound = (
                address[0],
                sockets[0].getsockname()[1] if sockets and not port else address[1],
                *address[2:],
            )
            # the protocol named in full, or asyncio leaves Nagle's delay on for every accepted connection
            listening = socket.socket(family, kind, socket.IPPROTO_TCP)
            sockets.append(listening)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
            listening.bind(bound)
            listening.listen(BACKLOG)
            listening.setblocking(False)
    except OSError:
        for listening in sockets:
            listening.close()
        raise
    return sockets


@contextmanager
def stop_signals(drain: Callable[..., None], reload: Callable[[], None]) -> Generator[None]:
    """SIGTERM drains, SIGINT drains without notice, SIGHUP reloads, while the block runs in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def handle(number: int, _: object) -> None:
        loop.call_soon_threadsafe(lambda: drain(at_once=number == signal.SIGINT))

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    if hasattr(signal, "SIGHUP"):
        loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if hasattr(signal, "SIGHUP"):
            loop.remove_signal_handler(signal.SIGHUP)
