"""Clients of redis-py for an address: one server, the master that sentinels name, or the masters of a cluster.

redis-py's own retries are off and its time-outs short: a store that does not answer must not hold anybody up
(redis-py 8.0 defaults to 5 s and 10 retries, a minute in all). Replies are raw, in RESP2.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError

from aiclient2api.store.address import Address
from aiclient2api.store.base import StoreUnavailable
from aiclient2api.store.exchange import Client
from aiclient2api.store.master import Place
from aiclient2api.store.sentinels import MasterPool, Sentinels

CONNECT_SECONDS = 0.25


class Connections(Protocol):
    """Where keys live."""

    async def ready(self) -> None:
        """Find out who holds which key; cheap when that is known."""
        ...

    def of(self, key: str) -> Client:
        """The client of the server that holds a key."""
        ...

    def groups(self, keys: Iterable[str]) -> Sequence[Sequence[int]]:
        """The keys' places, grouped so that each group can be one pipeline."""
        ...

    def all(self) -> Sequence[Client]:
        """A client of each server that takes writes."""
        ...

    @property
    def named(self) -> Place | None:
        """The master that sentinels named last."""
        ...

    async def drop(self) -> None:
        """Close every connection and forget who holds what: the next call looks again."""
        ...

    async def close(self) -> None:
        """Close for good."""
        ...


def connections(address: Address, size: int, timeout: float) -> Connections:
    """Connections to an address, at most `size` to a server; `timeout` in seconds of one command."""
    options = _options(address, size, timeout)
    match address.kind:
        case "cluster":
            return _Cluster(address, options)
        case "sentinel":
            return _sentinels(address, options)
        case "unix":
            return _One(
                Client(
                    ConnectionPool(
                        connection_class=UnixDomainSocketConnection,
                        path=address.path,
                        db=address.db,
                        **options,
                    ),
                    timeout,
                )
            )
        case _:
            host, port = address.hosts[0]
            kind = SSLConnection if address.is_tls else Connection
            pool = ConnectionPool(connection_class=kind, host=host, port=port, db=address.db, **options)
            return _One(Client(pool, timeout))


def _options(address: Address, size: int, timeout: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "max_connections": size,
        "socket_timeout": timeout,
        "socket_connect_timeout": max(CONNECT_SECONDS, timeout),
        "retry": Retry(NoBackoff(), 0),
        "username": address.username,
        "password": address.password,
        "protocol": 2,
        "driver_info": None,
    }
    if address.is_tls and address.ca:
        options["ssl_ca_certs"] = address.ca
    return options


def _sentinels(address: Address, options: dict[str, Any]) -> _One:
    seconds = options["socket_connect_timeout"]
    asking = {
        "socket_timeout": seconds,
        "socket_connect_timeout": seconds,
        "retry": Retry(NoBackoff(), 0),
        "username": address.sentinel_username,
        "password": address.sentinel_password,
        "protocol": 2,
        "driver_info": None,
        **({"ssl": True, "ssl_ca_certs": address.ca} if address.is_sentinel_tls else {}),
    }
    sentinels = Sentinels(address.hosts, asking, seconds)
    pool = MasterPool(
        address.name, sentinels, ssl=address.is_tls, db=address.db, check_connection=False, **options
    )
    return _One(Client(pool, options["socket_timeout"]), sentinels)


class _One:
    """One server for all keys, whoever that is at the moment."""

    def __init__(self, client: Client, sentinels: Sentinels | None = None) -> None:
        """`sentinels` are asked where it is."""
        self._client = client
        self._sentinels = sentinels

    async def ready(self) -> None:
        """See Connections."""

    def of(self, key: str) -> Client:
        """See Connections."""
        return self._client

    def groups(self, keys: Iterable[str]) -> Sequence[Sequence[int]]:
        """See Connections."""
        return [range(len(list(keys)))]

    def all(self) -> Sequence[Client]:
        """See Connections."""
        return [self._client]

    @property
    def named(self) -> Place | None:
        """See Connections."""
        return None if self._sentinels is None else self._sentinels.named

    async def drop(self) -> None:
        """See Connections."""
        await self._client.drop()
        if self._sentinels is not None:
            await self._sentinels.drop()

    async def close(self) -> None:
        """See Connections."""
        if self._sentinels is not None:
            await self._sentinels.close()
        await self.drop()


class _Cluster:
    """A plain client for each master, and which slots are whose, as any of them tells.

    redis-py's own cluster client runs each command of a transaction through a thread with an event loop of its
    own, so it is not used. While a slot moves between masters its keys count as not available.
    """

    def __init__(self, address: Address, options: dict[str, Any]) -> None:
        self._seeds = address.hosts
        self._options = options
        self._kind = SSLConnection if address.is_tls else Connection
        self._starts: list[int] = []
        self._holders: list[Place] = []
        self._clients: dict[Place, Client] = {}
        self._looking: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        if self._starts:
            return
        if self._looking is None:
            self._looking = asyncio.ensure_future(self._look())
            self._looking.add_done_callback(self._looked)
        await asyncio.shield(self._looking)

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looking = None
        if not task.cancelled():
            task.exception()  # whoever waited was told

    async def _look(self) -> None:
        """Ask the known members one after the other. Raises what the last one answered."""
        failure: Exception = StoreUnavailable("no member of the cluster is known")
        for place in dict.fromkeys((*self._seeds, *self._clients)):
            try:
                ranges = await self._at(place).execute_command("CLUSTER", "SLOTS")
            except (RedisError, OSError) as error:
                failure = error
                continue
            found = sorted(
                (int(start), (host.decode() or place[0], int(port)))
                for start, _, (host, port, *_), *_ in ranges
            )
            if found:
                self._starts = [start for start, _ in found]
                self._holders = [holder for _, holder in found]
                return
        raise failure

    def _at(self, place: Place) -> Client:
        client = self._clients.get(place)
        if client is None:
            host, port = place
            pool = ConnectionPool(connection_class=self._kind, host=host, port=port, **self._options)
            client = self._clients[place] = Client(pool, self._options["socket_timeout"])
        return client

    def of(self, key: str) -> Client:
        if not self._holders:  # another call has found out that they are out of date
            raise Disconnected("who holds which keys is to be found out anew")
        index = bisect_right(self._starts, key_slot(key.encode())) - 1
        return self._at(self._holders[max(index, 0)])

    def groups(self, keys: Iterable[str]) -> Sequence[Sequence[int]]:
        """One group for each slot: a transaction cannot hold more."""
        by_slot: dict[int, list[int]] = {}
        for place, key in enumerate(keys):
            by_slot.setdefault(key_slot(key.encode()), []).append(place)
        return list(by_slot.values())

    def all(self) -> Sequence[Client]:
        return [self._at(place) for place in dict.fromkeys(self._holders)]

    @property
    def named(self) -> Place | None:
        return None

    async def drop(self) -> None:
        self._starts, self._holders = [], []
        for client in list(self._clients.values()):
            await client.drop()

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self.drop()
