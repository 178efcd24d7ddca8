"""The keep-alive client, on aiohttp: one connection pool per provider, limits and time-outs enforced.

Redirects are never followed and no cookie, proxy or credential is taken from the environment: a request goes
where the operator's configuration says and nowhere else.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from types import SimpleNamespace

import aiohttp
from yarl import URL

from aiclient2api.errors import Malformed, Saturated, TimedOut, Truncated, Unreachable, UpstreamFailed
from aiclient2api.net.transport import Call, HttpStream
from aiclient2api.wire.http import Headers

KEEP_ALIVE = 55.0
"""Seconds; most load balancers close at 60, and we want to be first."""
POOL_WAIT = 2.0
DEFAULT_CONNECTIONS = 1024


class PooledTransport:
    """aiohttp sessions by provider. `connections` limits them by name."""

    def __init__(self, connections: Mapping[str, int] | None = None) -> None:
        self._connections = dict(connections or {})
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._trusts: dict[str, ssl.SSLContext] = {}

    def _session(self, pool: str) -> aiohttp.ClientSession:
        session = self._sessions.get(pool)
        if session is None:
            tracing = aiohttp.TraceConfig()
            tracing.on_connection_reuseconn.append(_note_reuse)
            tracing.on_connection_create_start.append(_note_dialling)
            session = self._sessions[pool] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections.get(pool, DEFAULT_CONNECTIONS),
                    keepalive_timeout=KEEP_ALIVE,
                    ttl_dns_cache=60,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("user-agent", "content-type"),
                raise_for_status=False,
                trust_env=False,
                trace_configs=[tracing],
            )
        return session

    def _trust(self, ca: str | None) -> ssl.SSLContext | bool:
        if ca is None:
            return True
        context = self._trusts.get(ca)
        if context is None:
            try:
                context = self._trusts[ca] = ssl.create_default_context(cafile=ca)
            except OSError as error:  # also what OpenSSL raises for a file without certificates
                raise Unreachable("the certificates of this account's `ca` cannot be read") from error
        return context

    async def send(self, call: Call) -> HttpStream:
        """See Transport. A connection that the upstream closed while it was idle is replaced once."""
        for last_try in (False, True):
            seen = SimpleNamespace(reused=False, dialling=False)
            try:
                return await self._send(call, seen)
            except aiohttp.ClientConnectionError as error:
                if last_try or not seen.reused:
                    raise UpstreamFailed("the upstream closed the connection without an answer") from error
        raise AssertionError("unreachable: the second try returns or raises")

    async def _send(self, call: Call, seen: SimpleNamespace) -> HttpStream:
        timeouts = call.timeouts
        limits = aiohttp.ClientTimeout(
            total=None,
            connect=timeouts.connect + POOL_WAIT,
            sock_connect=timeouts.connect,
            sock_read=timeouts.idle,
        )
        try:
            async with asyncio.timeout(timeouts.connect + POOL_WAIT + timeouts.headers):
                response = await self._session(call.pool).request(
                    call.method,
                    URL(call.url, encoded=True),
                    data=call.body or None,
                    headers=[("accept-encoding", "identity"), *call.headers],
                    allow_redirects=False,
                    timeout=limits,
                    ssl=self._trust(call.ca),
                    proxy=call.proxy,
                    trace_request_ctx=seen,
                )
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            if isinstance(error, aiohttp.ConnectionTimeoutError) and not seen.dialling:
                raise Saturated("all connections to the provider are in use") from error
            raise Unreachable("no connection to the upstream") from error
        except TimeoutError as error:
            raise TimedOut("the upstream did not answer in time") from error
        except aiohttp.ClientConnectionError:
            raise
        except (aiohttp.ClientError, ValueError) as error:
            raise UpstreamFailed("the upstream's answer is not valid HTTP") from error
        return _AiohttpStream(response)

    async def close(self) -> None:
        """See Transport."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()


async def _note_dialling(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.dialling = True


async def _note_reuse(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.reused = True


class _AiohttpStream:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Headers = tuple((name.lower(), value) for name, value in response.headers.items())

    async def receive(self) -> bytes:
        try:
            return await self._response.content.readany()
        except TimeoutError as error:
            raise TimedOut("the upstream stopped sending") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Truncated("the upstream's answer was cut") from error

    async def read(self, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        while chunk := await self.receive():
            size += len(chunk)
            if size > limit:
                raise Malformed(f"the upstream's answer is larger than {limit} bytes")
            parts.append(chunk)
        return b"".join(parts)

    async def release(self, grace: float) -> None:
        try:
            async with asyncio.timeout(grace):
                while await self._response.content.readany():
                    pass
        except (TimeoutError, aiohttp.ClientError, OSError):
            self.abort()
            return
        except asyncio.CancelledError:
            self.abort()
            raise
        self._response.release()

    def abort(self) -> None:
        connection = self._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        self._response.close()
