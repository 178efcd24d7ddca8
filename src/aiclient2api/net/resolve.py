"""Names to addresses: bounded in time, kept for a minute, asked once however many wait."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from aiclient2api.errors import ConnectTimedOut, Unreachable

KEEP = 60.0
"""Seconds; short enough for an upstream that moves."""
_LIMIT = 1024

Addresses = list[tuple[int, int, int, str, tuple[Any, ...]]]
"""As `getaddrinfo` gives them."""


Ask = Callable[[str, int], Coroutine[None, None, Addresses]]


class Resolver:
    """Asks the system, or who it is told to."""

    def __init__(self, ask: Ask | None = None) -> None:
        self._ask = ask or _ask
        self._known: dict[tuple[str, int], tuple[float, Addresses]] = {}
        self._asking: dict[tuple[str, int], asyncio.Future[Addresses]] = {}

    async def addresses(self, host: str, port: int, seconds: float) -> Addresses:
        """The addresses of a host. Raises Unreachable when there is none, or none in time."""
        key = (host, port)
        loop = asyncio.get_running_loop()
        known = self._known.get(key)
        if known is not None and loop.time() < known[0]:
            return known[1]
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.ensure_future(self._ask(host, port))
            self._asking[key] = asking
            asking.add_done_callback(lambda done: self._answered(key, done))
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(asking)  # others wait for it too
        except TimeoutError as error:
            raise ConnectTimedOut("the upstream's name was not resolved in time", cause="dns") from error
        except (OSError, UnicodeError) as error:
            raise Unreachable("the upstream's name cannot be resolved", cause="dns") from error

    def _answered(self, key: tuple[str, int], done: asyncio.Future[Addresses]) -> None:
        self._asking.pop(key, None)
        if done.cancelled() or done.exception() is not None:
            return
        if len(self._known) >= _LIMIT:
            self._known.clear()
        self._known[key] = (done.get_loop().time() + KEEP, done.result())


async def _ask(host: str, port: int) -> Addresses:
    try:  # an address needs no thread, nor a turn of the loop, which may be long under load
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    except socket.gaierror:
        pass
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(found)
