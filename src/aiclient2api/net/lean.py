"""The keep-alive client: HTTP/1.1 on asyncio protocols and httptools. See `pooled.py` for the one on aiohttp.

Redirects are never followed and no cookie, proxy or credential is taken from the environment: a request goes
where the operator's configuration says and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from msgspec import Struct

from aiclient2api.errors import Malformed, UpstreamFailed
from aiclient2api.net.connection import Connection, Phase
from aiclient2api.net.dial import Dialler
from aiclient2api.net.inflate import Inflater, inflater
from aiclient2api.net.pool import ConnectionPool
from aiclient2api.net.request import HeadWriter, Target, target
from aiclient2api.net.resolve import Resolver
from aiclient2api.net.response import ResponseReader
from aiclient2api.net.transport import DEFAULT_CONNECTIONS, Call, HttpStream, pour_received
from aiclient2api.net.trust import Trust
from aiclient2api.wire.http import Headers

_KNOWN_LIMIT = 1024
_Place = tuple[str, str, str, str | None, str | None]
"""What tells the target and the pool of a call: pool, URL, method, proxy, certificates."""


class LeanTransport:
    """Connection pools by provider. `connections` limits them by name."""

    def __init__(self, connections: Mapping[str, int] | None = None) -> None:
        self._connections = dict(connections or {})
        self._pools: dict[str, ConnectionPool] = {}
        self._dialler = Dialler(Resolver(), Trust())
        self._heads = HeadWriter()
        self._known: dict[_Place, tuple[Target, ConnectionPool]] = {}

    async def send(self, call: Call) -> HttpStream:
        """See Transport. A connection that the upstream closed while it was idle is replaced once."""
        key = (call.pool, call.url, call.method, call.proxy, call.ca)
        where, pool = self._known.get(key) or self._found(key, call)
        head = self._heads.head(where, call)
        connection = pool.take(where.route) or await pool.connect(where.route, call.timeouts)
        is_replaced = False
        while True:
            if connection.phase is not Phase.CLOSED:
                try:
                    await connection.request(head, call.body, call.timeouts, head_only=call.method == "HEAD")
                except BaseException:
                    connection.close()
                    raise
                reader = connection.reader
                if reader.has_head:
                    return LeanStream(
                        reader.status,
                        reader.headers,
                        reader,
                        connection,
                        call.timeouts.idle,
                        reader.is_encoded,
                    )
                if connection.failure is not None:
                    raise connection.taken_failure()
            # it had been closed before a byte of the response
            if is_replaced:
                raise UpstreamFailed("the upstream closed the connection without an answer", sent=False)
            connection = await pool.connect(where.route, call.timeouts, fresh=True)
            is_replaced = True

    def _found(self, key: _Place, call: Call) -> tuple[Target, ConnectionPool]:
        where = target(call)
        pool = self._pools.get(call.pool)
        if pool is None:
            limit = self._connections.get(call.pool, DEFAULT_CONNECTIONS)
            pool = self._pools[call.pool] = ConnectionPool(limit, self._dialler)
        if len(self._known) >= _KNOWN_LIMIT:
            self._known.clear()
        self._known[key] = where, pool
        return where, pool

    @property
    def draining(self) -> int:
        """Released responses whose rest is still being read."""
        return sum(pool.draining for pool in self._pools.values())

    async def close(self) -> None:
        """See Transport."""
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()
        self._known.clear()
        for _ in range(2):  # the loop closes aborted sockets in its next rounds
            await asyncio.sleep(0)


class LeanStream(Struct, eq=False):
    """See HttpStream. `idle` in seconds."""

    status: int
    headers: Headers
    _reader: ResponseReader
    _connection: Connection | None
    _idle: float
    _is_encoded: bool
    _inflater: Inflater | None = None

    def __repr__(self) -> str:
        """Nothing of what an upstream says."""
        return f"LeanStream({self.status})"

    async def receive(self) -> bytes:
        """See HttpStream."""
        connection = self._connection
        if connection is None:
            return b""
        if self._is_encoded:
            if self._inflater is None:
                self._inflater = inflater(self.headers)
            if self._inflater is not None:
                return await self._inflated(connection, self._inflater)
        reader = self._reader
        while not reader.chunks:
            if reader.done:
                return b""
            if connection.phase is Phase.CLOSED:
                raise connection.taken_failure()
            try:
                await connection.more(self._idle)
            except BaseException:
                self.abort()
                raise
        return connection.take()

    async def pour(self, into: Callable[[bytes], bool]) -> bool:
        """See HttpStream."""
        connection, reader = self._connection, self._reader
        if connection is None:
            return True
        if self._is_encoded:
            return await pour_received(self.receive, into)
        while True:
            if reader.chunks and not into(connection.take()):
                return False
            if reader.done:
                return True
            if connection.phase is Phase.CLOSED:
                raise connection.taken_failure()
            try:
                has_enough = await connection.pour(into, self._idle)
            except BaseException:
                self.abort()
                raise
            if has_enough:
                return False

    async def _inflated(self, connection: Connection, decoder: Inflater) -> bytes:
        """The same, decoded."""
        reader = self._reader
        while True:
            if decoder.pending and (out := decoder.decode(b"")):
                return out
            if reader.chunks:
                if out := decoder.decode(connection.take()):
                    return out
            elif reader.done:
                decoder.close()
                return b""
            elif connection.phase is Phase.CLOSED:
                raise connection.taken_failure()
            else:
                try:
                    await connection.more(self._idle)
                except BaseException:
                    self.abort()
                    raise

    async def read(self, limit: int) -> bytes:
        """See HttpStream."""
        connection = self._connection
        if connection is not None and self._reader.done and not self._is_encoded:  # it came with its head
            data = connection.take()
            if len(data) > limit:
                raise Malformed(f"the upstream's answer is larger than {limit} bytes")
            return data
        data = await self.receive()
        parts: list[bytes] = []
        size = 0
        while data:
            size += len(data)
            if size > limit:
                raise Malformed(f"the upstream's answer is larger than {limit} bytes")
            parts.append(data)
            data = await self.receive()
        return b"".join(parts)

    async def release(self, grace: float) -> None:
        """See HttpStream."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release(grace)

    def abort(self) -> None:
        """See HttpStream."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
