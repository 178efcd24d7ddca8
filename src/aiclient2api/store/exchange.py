"""Commands and replies over one of redis-py's connections: what is said together is one write and has one time-out.

redis-py's own `execute_command` and pipelines arm a timer for every reply and start a task for every write, and its
pool counts whoever takes and returns a connection: so it makes them, and they are lent here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self, cast

import hiredis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError, ResponseError, WatchError

from aiclient2api.store.commands import Command

MANY: Final = 500
"""Commands for which the server and we may take the time-out once more."""
_MULTI: Final[Command] = ("MULTI",)
_EXEC: Final[Command] = ("EXEC",)
_UNWATCH: Final[Command] = ("UNWATCH",)
_packed: Final = cast(Callable[[Command], bytes], hiredis.pack_command)  # pyright: ignore[reportUnknownMemberType]


class Client:
    """A server. `seconds` for an exchange with it; connecting has a time-out of its own."""

    def __init__(self, pool: ConnectionPool, seconds: float) -> None:
        self.connection_pool = pool
        """Has made every connection, and can close them all."""
        self.seconds = seconds
        self._idle: list[AbstractConnection] = []

    def session(self) -> Session:
        """A connection of one's own while the block runs."""
        return Session(self)

    async def lend(self) -> AbstractConnection:
        """One that is connected, and silent. Raises RedisError."""
        if not self._idle:
            return await self.connection_pool.get_connection()
        connection = self._idle.pop()
        try:
            if not _is_usable(connection) or await connection.can_read():
                await connection.disconnect()
                await self.connection_pool.ensure_connection(connection)
        except BaseException:
            self._idle.append(connection)
            raise
        return connection

    def take_back(self, connection: AbstractConnection) -> None:
        """It may be lent again."""
        self._idle.append(connection)

    async def drop(self) -> None:
        """Close every connection. TLS takes leave of the server: where that stands still, it is not waited for."""
        with contextlib.suppress(RedisError, OSError):
            await self.connection_pool.disconnect()

    async def execute_command(self, *command: str | bytes | int | float) -> Any:
        """Run one command; the raw reply. Raises RedisError, TimeoutError."""
        async with self.session() as session:
            return (await session.run([command]))[0]


class Session:
    """One connection. One that is cancelled or late is closed, so that its answer is never taken for another's."""

    __slots__ = ("_client", "_connection", "_is_watching")

    def __init__(self, client: Client) -> None:
        self._client = client
        self._connection: AbstractConnection
        self._is_watching = False

    async def __aenter__(self) -> Self:
        self._connection = await self._client.lend()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._is_watching and error is None:
                await self.exchange([_UNWATCH])
            elif self._is_watching or (
                error is not None and not isinstance(error, ResponseError | WatchError)
            ):
                await self._connection.disconnect(nowait=True)
        finally:
            self._client.take_back(self._connection)

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """The reply of each, the server's refusals among them. Raises RedisError, TimeoutError."""
        connection = self._connection
        if not _is_usable(connection):
            # redis-py would connect anew: to where it was before a failover, and without what is watched
            raise Disconnected("the connection was closed meanwhile")
        connection.socket_timeout = None  # ours is for all of it
        try:
            async with asyncio.timeout(self._client.seconds * (1 + len(commands) // MANY)):
                await connection.send_packed_command(b"".join(map(_packed, commands)), check_health=False)
                return [await _reply(connection) for _ in commands]
        finally:
            connection.socket_timeout = self._client.seconds

    async def run(self, commands: Sequence[Command]) -> list[Any]:
        """The reply of each. Raises the first refusal."""
        replies = await self.exchange(commands)
        raise_first(replies)
        return replies

    async def watch(self, keys: Sequence[str], look: Command) -> Any:
        """What the command finds; the next transaction is refused when one of these keys has changed by then."""
        self._is_watching = True
        return (await self.run([("WATCH", *keys), look]))[1]

    async def transaction(self, commands: Sequence[Command]) -> list[Any]:
        """All at once; the reply of each, refusals among them. Raises WatchError when a watched key has changed."""
        self._is_watching = False
        answers = await self.exchange([_MULTI, *commands, _EXEC])
        raise_first(answers)
        if answers[-1] is None:
            raise WatchError("a watched key has changed")
        return answers[-1]


def _is_usable(connection: AbstractConnection) -> bool:
    """Whether it is open, and leads to where it should."""
    return connection.is_connected and not connection.should_reconnect()


async def _reply(connection: AbstractConnection) -> Any:
    try:
        return cast(object, await connection.read_response())
    except ResponseError as refusal:
        return refusal.with_traceback(None)


def raise_first(replies: Iterable[object]) -> None:
    """Raise the first refusal among them."""
    for reply in replies:
        if isinstance(reply, ResponseError):
            raise reply
