"""The kept-alive connections of one provider: a limit, and an orderly queue when it is reached.

The event loop is the mutual exclusion: nothing awaits between looking at a connection and taking it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

from aiclient2api.errors import Saturated
from aiclient2api.net.connection import Connection, Phase
from aiclient2api.net.dial import Dialler
from aiclient2api.net.request import Route
from aiclient2api.net.transport import KEEP_ALIVE, Timeouts

MAX_WAITING = 1024


class _Waiter(NamedTuple):
    route: Route | None
    """None: only a place will do."""
    found: asyncio.Future[Connection | None]
    """A connection of that route, or None: the permission to open one."""


class ConnectionPool:
    """At most `limit` connections, over all routes. The one that rested least is used first."""

    def __init__(self, limit: int, dialler: Dialler) -> None:
        self._limit = limit
        self._dialler = dialler
        self._loop = asyncio.get_running_loop()
        self._idle: dict[Route, list[Connection]] = {}
        self._waiting: deque[_Waiter] = deque()
        self._routes: dict[Connection, Route] = {}
        self._open = 0
        self._is_closed = False

    @property
    def open(self) -> int:
        """Connections that count against the limit."""
        return self._open

    @property
    def idle(self) -> int:
        """Connections that wait for a request."""
        return sum(map(len, self._idle.values()))

    @property
    def draining(self) -> int:
        """Connections that read the rest of a response which nobody wants."""
        return sum(connection.phase is Phase.DRAINING for connection in self._routes)

    def take(self, route: Route) -> Connection | None:
        """A resting connection, if there is one."""
        resting = self._idle.get(route)
        if not resting:
            return None
        return resting.pop()

    async def connect(self, route: Route, timeouts: Timeouts, *, fresh: bool = False) -> Connection:
        """A connection when there is none to take; `fresh`: one that has not served yet.

        Raises Saturated when all are in use for too long, Unreachable.
        """
        if self._is_closed:
            raise Saturated("the connections are closed")
        if self._open < self._limit or self._give_up_idle():
            self._open += 1
        else:
            found = await self._wait(None if fresh else route, timeouts.pool)
            if found is not None:
                return found
        return await self._dial(route, timeouts)

    async def _wait(self, route: Route | None, seconds: float) -> Connection | None:
        while self._waiting and self._waiting[0].found.done():
            self._waiting.popleft()
        if len(self._waiting) >= MAX_WAITING:
            raise Saturated("all connections to the provider are in use")
        waiter = _Waiter(route, self._loop.create_future())
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                return await waiter.found
        except BaseException as error:
            self._decline(waiter)
            if isinstance(error, TimeoutError):
                raise Saturated("all connections to the provider are in use") from error
            raise

    def _decline(self, waiter: _Waiter) -> None:
        """Somebody stopped waiting, perhaps in the moment when the turn was theirs."""
        found = waiter.found
        if not found.done() or found.cancelled():
            found.cancel()
            return
        if found.exception() is not None:
            return
        connection = found.result()
        if connection is None:
            self._give_place()
        elif connection.phase is not Phase.CLOSED:  # else its place was given back then
            self._rest(connection)

    async def _dial(self, route: Route, timeouts: Timeouts) -> Connection:
        """Open a connection; its place is already counted."""
        connection = Connection(self._loop, self._rest, self._lost)
        self._routes[connection] = route
        try:
            transport = await self._dialler.dial(route, connection, timeouts)
        except BaseException:
            connection.close()
            raise
        connection.attach(transport)
        return connection

    def _rest(self, connection: Connection) -> None:
        """A connection has served: it goes to who has waited longest, or rests."""
        route = self._routes[connection]
        if self._is_closed:
            connection.close()
            return
        connection.rest(KEEP_ALIVE)
        waiter = self._next_waiter() if self._waiting else None
        if waiter is not None:
            if waiter.route == route:
                waiter.found.set_result(connection)
            else:
                self._waiting.appendleft(waiter)
                connection.close()
            return
        resting = self._idle.get(route)
        if resting is None:
            resting = self._idle[route] = []
        resting.append(connection)

    def _lost(self, connection: Connection) -> None:
        """A connection is closed, whoever closed it."""
        route = self._routes.pop(connection, None)
        if route is None:
            return
        if resting := self._idle.get(route):
            if connection in resting:
                resting.remove(connection)
            if not resting:
                del self._idle[route]
        self._give_place()

    def _give_place(self) -> None:
        if waiter := self._next_waiter():
            waiter.found.set_result(None)  # the place stays counted
        else:
            self._open -= 1

    def _next_waiter(self) -> _Waiter | None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.found.done():
                return waiter
        return None

    def _give_up_idle(self) -> bool:
        """Close a connection that rests, to make room for another route's."""
        for resting in self._idle.values():
            if resting:
                resting[0].close()
                return self._open < self._limit
        return False

    def close(self) -> None:
        """Close every connection."""
        self._is_closed = True
        while waiter := self._next_waiter():
            waiter.found.set_exception(Saturated("the connections are closed"))
        for connection in tuple(self._routes):
            connection.close()
