"""The store on Redis or Valkey: pooled connections, pipelines, WATCH/MULTI, a breaker in front of everything.

A command that is cancelled or late closes its connection, so that its answer can never be taken for another's.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

from redis.exceptions import RedisError, ResponseError, WatchError

from aiclient2api.store import keys as names
from aiclient2api.store.address import Address
from aiclient2api.store.base import Guards, Stored, StoreUnavailable, StoreUnusable, Write
from aiclient2api.store.breaker import Breaker
from aiclient2api.store.commands import Command, commands, milliseconds, put
from aiclient2api.store.connection import connections
from aiclient2api.store.exchange import Client, Session, raise_first
from aiclient2api.store.line import Line, is_foreign, refusal
from aiclient2api.store.server_check import check_schema, check_server
from aiclient2api.store.tls_check import mistaken, peers

T = TypeVar("T")
TRIES = 32
"""Of an optimistic transaction before the store counts as too busy."""
SCAN_COUNT = 500
CHECK_TTL = 10.0


class RedisStore:
    """See Store. `size` connections at most to a server; `timeout` in seconds of one command."""

    def __init__(
        self,
        address: Address,
        *,
        size: int = 16,
        timeout: float = 0.1,
        now: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.address = address
        self._node = secrets.token_hex(4)
        self._chance = chance
        self._connections = connections(address, size, timeout)
        self._line = Line(self._connections, Breaker(now, chance), self.check, size)
        self._call = self._line.call
        self.on_aside: list[Callable[[str, str], None]] = []
        """Told the key of a value of a foreign type, and where it was moved to."""

    def __repr__(self) -> str:
        return f"RedisStore({self.address.shown})"

    @property
    def is_available(self) -> bool:
        """See Store."""
        return self._line.is_open

    @property
    def on_return(self) -> list[Callable[[], None]]:
        """See Store."""
        return self._line.on_return

    @property
    def on_outage(self) -> list[Callable[[str], None]]:
        """Told the reason when an outage begins, and why a probe finds the store unusable."""
        return self._line.on_outage

    async def check(self) -> None:
        """See Store: server, policy, schema, and whether it takes a write."""

        async def look() -> None:
            for client in self._connections.all():
                await check_server(client, self.address.kind)
            await check_schema(self._connections.of(names.META))
            key = names.node_check(self._node)
            await self._connections.of(key).execute_command(*put(key, b"1", CHECK_TTL))

        try:
            await self._line.attempt(look)
        except StoreUnavailable as error:
            reason = refusal(error.__cause__)
            if reason is None:
                raise
            raise StoreUnusable(f"{self.address.shown}: {reason}") from error
        except StoreUnusable as error:
            raise type(error)(f"{self.address.shown}: {error}") from None

    async def mistake(self, error: StoreUnavailable, seconds: float) -> str | None:
        """Why a store that does not answer never will, as far as `seconds` suffice to find out."""
        told = await mistaken(peers(self.address, error.__cause__, self._connections.named), seconds)
        return None if told is None else f"{self.address.shown}: {told}"

    async def _one(self, key: str, *command: str | bytes | int | float) -> Any:
        """One command on one key; a value of a foreign type is moved aside first."""

        async def run() -> Any:
            return await self._connections.of(key).execute_command(*command)

        try:
            return await self._call(run)
        except ResponseError:
            await self._move_aside(key)
            return await self._call(run)

    async def time(self) -> float:
        """See Store."""

        async def run() -> Any:
            return await self._connections.of(names.META).execute_command("TIME")

        seconds, microseconds = await self._call(run)
        return int(seconds) + int(microseconds) / 1e6

    async def get(self, key: str) -> bytes | None:
        """See Store."""
        return await self._one(key, "GET", key)

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See Store."""
        found: list[bytes | None] = [None] * len(keys)
        if not keys:
            return found

        async def run() -> list[tuple[int, Any]]:
            replies: list[tuple[int, Any]] = []
            for places in self._connections.groups(keys):
                group = [keys[place] for place in places]
                reply = await self._connections.of(group[0]).execute_command("MGET", *group)
                replies.extend(zip(places, reply, strict=True))
            return replies

        for place, value in await self._call(run):
            found[place] = value
        return found

    async def fields(self, key: str) -> dict[str, bytes]:
        """See Store."""
        flat = cast(list[bytes], await self._one(key, "HGETALL", key))
        return {
            name.decode(errors="replace"): value for name, value in zip(flat[::2], flat[1::2], strict=True)
        }

    async def ranked(self, key: str, least: float) -> list[tuple[str, float]]:
        """See Store."""
        flat = cast(
            list[bytes], await self._one(key, "ZRANGEBYSCORE", key, repr(float(least)), "+inf", "WITHSCORES")
        )
        return [
            (name.decode(errors="replace"), float(at)) for name, at in zip(flat[::2], flat[1::2], strict=True)
        ]

    async def put(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """See Store."""
        await self._one(key, *put(key, value, ttl))

    async def delete(self, key: str) -> bool:
        """See Store."""
        return bool(await self._one(key, "UNLINK", key))

    async def increment(self, key: str, by: int = 1, ttl: float | None = None) -> int:
        """See Store."""
        value = int(await self._one(key, "INCRBY", key, by))
        if ttl is not None and value == by:
            await self._one(key, "PEXPIRE", key, milliseconds(ttl))
        return value

    async def claim(self, key: str, owner: bytes, ttl: float) -> bool:
        """See Store."""
        return await self._one(key, "SET", key, owner, "NX", "PX", milliseconds(ttl)) is not None

    async def update(
        self, key: str, change: Callable[[bytes | None], bytes | None], ttl: float | None = None
    ) -> bytes | None:
        """See Store."""

        async def run() -> bytes | None:
            async with self._connections.of(key).session() as session:
                old: bytes | None = await session.watch([key], ("GET", key))
                value = change(old)
                if value == old and ttl is None:
                    return value
                raise_first(await session.transaction([_replacing(key, value, ttl)]))
                return value

        return await self._optimistic(run, key)

    async def apply(self, writes: Sequence[Write], when: Guards | None = None) -> bool:
        """See Store."""
        if not when:
            await self._call(lambda: self._write(writes))
            return True

        async def run() -> bool:
            guarded = list(when)
            async with self._connections.of(guarded[0]).session() as session:
                values = await session.watch(guarded, ("MGET", *guarded))
                if any(value != when[key] for key, value in zip(guarded, values, strict=True)):
                    return False
                await self._execute(session, writes)
                return True

        return await self._optimistic(run, None)

    async def _optimistic(self, run: Callable[[], Awaitable[T]], key: str | None) -> T:
        """Try again while others write between our look and our write, for a bounded number of times."""
        for attempt in range(TRIES):
            try:
                return await self._call(run)
            except WatchError:
                await asyncio.sleep(self._chance() * min(0.05, 0.001 * 2**attempt))
            except ResponseError:
                if key is None:
                    raise
                await self._move_aside(key)
        raise StoreUnavailable("too many others write the same key")

    async def _write(self, writes: Sequence[Write]) -> None:
        """Each group as one transaction in one round trip."""
        for places in self._connections.groups([write.key for write in writes]):
            group = [writes[place] for place in places]
            if not group:
                continue
            async with self._connections.of(group[0].key).session() as session:
                await self._execute(session, group)

    async def _execute(self, session: Session, writes: Sequence[Write]) -> None:
        """All at once; a write that met a foreign value is done again once that is out of the way."""
        planned: list[tuple[str, Command]] = []
        for write in writes:
            planned.extend((write.key, command) for command in commands(write))
        if not planned:
            return
        replies = await session.transaction([command for _, command in planned])
        refused = [
            (key, command)
            for (key, command), reply in zip(planned, replies, strict=True)
            if isinstance(reply, ResponseError)
        ]
        _raise_if_down(replies)
        for key in dict.fromkeys(key for key, _ in refused):
            await self._rename(self._connections.of(key), key)
        for key, command in refused:
            await self._connections.of(key).execute_command(*command)

    async def _move_aside(self, key: str) -> None:
        await self._call(lambda: self._rename(self._connections.of(key), key))

    async def _rename(self, client: Client, key: str) -> None:
        """Keep what is there, whatever it is, under a name that nobody reads."""
        if await client.execute_command("EXISTS", key):
            to = names.aside(key, secrets.token_hex(6))
            await client.execute_command("RENAMENX", key, to)
            for tell in self.on_aside:
                tell(key, to)

    async def scan(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        """See Store."""
        async for named in self._names(prefix, "TYPE", "string"):
            for key, value in zip(named, await self.get_many(named), strict=True):
                if value is not None:
                    yield key, value

    async def _names(self, prefix: str, *options: str) -> AsyncIterator[list[str]]:
        """Keys by the page, from every server."""
        pattern = prefix.translate({ord(sign): f"\\{sign}" for sign in "\\*?[]"}) + "*"
        await self._call(_nothing)
        for client in self._connections.all():
            cursor = b"0"
            while True:
                page = ("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT, *options)
                cursor, found = await self._call(
                    lambda client=client, page=page: client.execute_command(*page)
                )
                yield [key.decode(errors="replace") for key in cast(Iterable[bytes], found)]
                if int(cursor) == 0:
                    break

    async def entries(self, prefix: str) -> AsyncIterator[Stored]:
        """See Store."""
        async for named in self._names(prefix):
            for key in named:
                kind = await self._one(key, "TYPE", key)
                left = int(await self._one(key, "PTTL", key))
                value = (
                    await self.get(key)
                    if kind == b"string"
                    else await self.fields(key)
                    if kind == b"hash"
                    else None
                )
                if value:
                    yield Stored(key, value, left / 1000 if left >= 0 else None)

    async def close(self) -> None:
        """See Store."""
        await self._line.close()


def _replacing(key: str, value: bytes | None, ttl: float | None) -> Command:
    """Another value in place of one; None deletes, and without `ttl` the end stays what it was."""
    if value is None:
        return ("UNLINK", key)
    return ("SET", key, value, "KEEPTTL") if ttl is None else put(key, value, ttl)


async def _nothing() -> None:
    """Makes sure that the servers are known."""


def _raise_if_down(replies: Sequence[object]) -> None:
    for reply in replies:
        if isinstance(reply, RedisError) and not (isinstance(reply, ResponseError) and is_foreign(reply)):
            raise reply
