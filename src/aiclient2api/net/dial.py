"""Opens connections: name, TCP, the proxy's tunnel, TLS; each with its own time-out."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from typing import cast

import aiohappyeyeballs

from aiclient2api.errors import ConnectTimedOut, Unreachable
from aiclient2api.net.request import Proxy, Route
from aiclient2api.net.resolve import Resolver
from aiclient2api.net.transport import Timeouts
from aiclient2api.net.trust import Trust

_SECOND_ADDRESS = 0.25
"""Seconds until the next address is tried beside the first (RFC 8305)."""
AT_ONCE = 32
"""Connections of one route that are being opened at the same time."""
_MAX_TUNNEL_HEAD = 16 * 1024
_ACCEPTED = re.compile(rb"HTTP/1\.[01] 2\d\d[ \r]")


class _Turns:
    """Who opens connections along one route."""

    def __init__(self) -> None:
        self.turn = asyncio.Semaphore(AT_ONCE)
        self.timed_out_at = 0.0


class Dialler:
    """Opens connections for a transport."""

    def __init__(self, resolver: Resolver, trust: Trust) -> None:
        self._resolver = resolver
        self._trust = trust
        self._turns: dict[Route, _Turns] = {}

    async def dial(
        self, route: Route, protocol: asyncio.Protocol, timeouts: Timeouts
    ) -> asyncio.BaseTransport:
        """A connection on which `protocol` can speak HTTP. Raises Unreachable.

        Many at once take turns, so that a burst is not slow enough for its own time-outs. When one of them has
        timed out, those that were waiting behind it have waited long enough too.
        """
        turns = self._turns.get(route)
        if turns is None:
            turns = self._turns[route] = _Turns()
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        async with turns.turn:
            if turns.timed_out_at > asked_at:
                raise Unreachable("no connection to the upstream in time")
            try:
                return await self._open(route, protocol, timeouts)
            except Unreachable as error:
                if isinstance(error.__cause__, TimeoutError):
                    turns.timed_out_at = loop.time()
                raise

    async def _open(
        self, route: Route, protocol: asyncio.Protocol, timeouts: Timeouts
    ) -> asyncio.BaseTransport:
        proxy = route.proxy
        trust = self._trust.context(route.ca) if route.tls else None
        first = proxy or route
        connected = await self._connect(first.host, first.port, timeouts)
        loop = asyncio.get_running_loop()
        transport: asyncio.BaseTransport
        transport, _ = await loop.create_connection(lambda: protocol, sock=connected)
        try:
            if proxy is not None and proxy.tls:
                transport = await self._encrypt(
                    transport, protocol, self._trust.context(None), proxy.host, timeouts
                )
            if trust is not None:
                if proxy is not None:
                    await _tunnel(transport, route, proxy, timeouts.tls)
                transport = await self._encrypt(transport, protocol, trust, route.host, timeouts)
        except BaseException:
            _abort(transport)
            raise
        return transport

    async def _connect(self, host: str, port: int, timeouts: Timeouts) -> socket.socket:
        addresses = await self._resolver.addresses(host, port, timeouts.dns)
        try:
            async with asyncio.timeout(timeouts.connect):
                connected = await aiohappyeyeballs.start_connection(  # pyright: ignore[reportUnknownMemberType]
                    addresses,  # pyright: ignore[reportArgumentType]  # plain integers are fine
                    happy_eyeballs_delay=_SECOND_ADDRESS,
                )
        except TimeoutError as error:
            raise ConnectTimedOut("no connection to the upstream in time") from error
        except OSError as error:
            raise Unreachable("no connection to the upstream") from error
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connected

    async def _encrypt(
        self,
        transport: asyncio.BaseTransport,
        protocol: asyncio.Protocol,
        trust: ssl.SSLContext,
        host: str,
        timeouts: Timeouts,
    ) -> asyncio.BaseTransport:
        try:
            async with asyncio.timeout(timeouts.tls):
                encrypted = await asyncio.get_running_loop().start_tls(
                    transport,  # pyright: ignore[reportArgumentType]  # uvloop has its own classes
                    protocol,
                    trust,
                    server_hostname=host,
                )
        except TimeoutError as error:
            raise ConnectTimedOut("no TLS with the upstream in time", cause="tls") from error
        except (OSError, ssl.SSLError) as error:
            raise Unreachable("no TLS with the upstream", cause="tls") from error
        if encrypted is None:
            raise Unreachable("no TLS with the upstream", cause="tls")
        return encrypted


class _Tunnel(asyncio.Protocol):
    """Reads the proxy's answer to CONNECT."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._head += data
        if self.answer.done():
            return
        if self._head.endswith(b"\r\n\r\n") or len(self._head) > _MAX_TUNNEL_HEAD:
            self.answer.set_result(self._head)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        if not self.answer.done():
            self.answer.set_result(b"")


async def _tunnel(transport: asyncio.BaseTransport, route: Route, proxy: Proxy, seconds: float) -> None:
    tunnel = _Tunnel()
    transport.set_protocol(tunnel)
    lines = [f"CONNECT {route.authority} HTTP/1.1", f"host: {route.authority}"]
    if proxy.authorization:
        lines.append(f"proxy-authorization: {proxy.authorization}")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    cast(asyncio.Transport, transport).write(head)  # uvloop has its own classes
    try:
        async with asyncio.timeout(seconds):
            answer = await tunnel.answer
    except TimeoutError as error:
        raise ConnectTimedOut("no answer from the proxy in time", cause="proxy") from error
    # the upstream speaks second in TLS: what follows the head now comes from somebody else
    if _ACCEPTED.match(answer) is None or answer.find(b"\r\n\r\n") != len(answer) - 4:
        raise Unreachable("the proxy refused the connection", cause="proxy")


def _abort(transport: asyncio.BaseTransport) -> None:
    cast(asyncio.Transport, transport).abort()
