"""The keep-alive client on aiohttp, for who would rather trust the library: see `lean.py` for the default.

Redirects are never followed and no cookie, proxy or credential is taken from the environment: a request goes
where the operator's configuration says and nowhere else.
"""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, AbstractStreamWriter, ResolveResult
from yarl import URL

from aiclient2api.errors import Malformed, Saturated, TimedOut, Truncated, Unreachable, UpstreamFailed
from aiclient2api.net.inflate import Inflater, inflater
from aiclient2api.net.request import HeadWriter, target
from aiclient2api.net.resolve import Resolver
from aiclient2api.net.response import MAX_FIELDS, MAX_HEAD
from aiclient2api.net.transport import DEFAULT_CONNECTIONS, KEEP_ALIVE, STALE, Call, HttpStream, pour_received
from aiclient2api.net.trust import Trust
from aiclient2api.wire.http import Headers

MIN_STATUS = 200
"""Below are interim responses, and one that switches protocols."""

_CAUSES: Final[dict[type[Exception], str]] = {
    aiohttp.ClientConnectorDNSError: "dns",
    aiohttp.ClientConnectorSSLError: "tls",
    aiohttp.ClientConnectorCertificateError: "tls",
}


class PooledTransport:
    """aiohttp sessions by provider. `connections` limits them by name."""

    def __init__(self, connections: Mapping[str, int] | None = None) -> None:
        self._connections = dict(connections or {})
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._trust = Trust()
        self._resolver = Resolver()
        self._heads = HeadWriter()
        self._draining: set[asyncio.Task[None]] = set()

    def _session(self, call: Call) -> aiohttp.ClientSession:
        session = self._sessions.get(call.pool)
        if session is None:
            tracing = aiohttp.TraceConfig()
            tracing.on_connection_reuseconn.append(_note_reuse)
            tracing.on_connection_create_start.append(_note_dialling)
            tracing.on_connection_create_end.append(_note_dialled)
            session = self._sessions[call.pool] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections.get(call.pool, DEFAULT_CONNECTIONS),
                    keepalive_timeout=KEEP_ALIVE,
                    resolver=_BoundedResolver(self._resolver, call.timeouts.dns),
                    use_dns_cache=False,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("accept", "user-agent", "content-type"),
                raise_for_status=False,
                trust_env=False,
                auto_decompress=False,
                trace_configs=[tracing],
                max_field_size=MAX_HEAD,
                max_headers=MAX_FIELDS,
            )
        return session

    async def send(self, call: Call) -> HttpStream:
        """See Transport. A connection that the upstream closed while it was idle is replaced once."""
        self._heads.head(target(call), call)  # refuses what must not be sent
        for last_try in (False, True):
            seen = SimpleNamespace(
                reused=False, dialling=False, dialled=False, sent=not call.body, sent_at=math.inf
            )
            try:
                return await self._send(call, seen)
            except aiohttp.ClientConnectionError as error:
                is_stale = seen.reused and asyncio.get_running_loop().time() < seen.sent_at + STALE
                if last_try or not is_stale:
                    raise UpstreamFailed(
                        "the upstream closed the connection without an answer", sent=seen.sent
                    ) from error
        raise AssertionError("unreachable: the second try returns or raises")

    async def _send(self, call: Call, seen: SimpleNamespace) -> HttpStream:
        timeouts = call.timeouts
        limits = aiohttp.ClientTimeout(
            total=None,
            connect=timeouts.connect + timeouts.pool,
            sock_connect=timeouts.connect,
            sock_read=timeouts.idle,
        )
        try:
            async with asyncio.timeout(timeouts.connect + timeouts.pool + timeouts.headers):
                response = await self._session(call).request(
                    call.method,
                    URL(call.url, encoded=True),
                    data=_Body(call.body, seen) if call.body else None,
                    headers=[("accept-encoding", "identity"), *call.headers],
                    allow_redirects=False,
                    timeout=limits,
                    ssl=self._trust.context(call.ca),
                    proxy=call.proxy,
                    trace_request_ctx=seen,
                )
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            if isinstance(error, aiohttp.ConnectionTimeoutError) and not seen.dialling:
                raise Saturated("all connections to the provider are in use") from error
            cause = _CAUSES.get(type(error))
            raise Unreachable("no connection to the upstream", cause=cause) from error
        except TimeoutError as error:
            raise TimedOut("the upstream did not answer in time", sent=seen.sent, cause="headers") from error
        except aiohttp.ClientError as error:
            if seen.dialling and not seen.dialled:
                raise Unreachable("the proxy refused the connection", cause="proxy") from error
            if isinstance(error, aiohttp.ClientConnectionError):
                raise
            raise UpstreamFailed("the upstream's answer is not valid HTTP") from error
        except ValueError as error:
            raise UpstreamFailed("the upstream's answer is not valid HTTP") from error
        if response.status < MIN_STATUS:
            response.close()
            raise UpstreamFailed("the upstream's answer is not valid HTTP")
        return AiohttpStream(response, timeouts.idle, self._draining)

    @property
    def draining(self) -> int:
        """Released responses whose rest is still being read."""
        return len(self._draining)

    async def close(self) -> None:
        """See Transport."""
        for task in tuple(self._draining):
            task.cancel()
        await asyncio.gather(*self._draining, return_exceptions=True)
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()


class _Body(aiohttp.Payload):
    """A request's body that notes when all of it is written."""

    def __init__(self, body: bytes, seen: SimpleNamespace) -> None:
        super().__init__(body)
        self._size = len(body)
        self._seen = seen

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        await writer.write(self._value)
        transport: asyncio.Transport | None = getattr(writer, "transport", None)
        self._seen.sent = transport is not None and not transport.is_closing()
        self._seen.sent_at = asyncio.get_running_loop().time()


class _BoundedResolver(AbstractResolver):
    def __init__(self, resolver: Resolver, seconds: float) -> None:
        self._resolver = resolver
        self._seconds = seconds

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._resolver.addresses(host, port, self._seconds)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        pass


async def _note_dialling(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.dialling = True


async def _note_reuse(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.reused = True


async def _note_dialled(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.dialled = True


class AiohttpStream:
    """See HttpStream. `idle` in seconds."""

    def __init__(
        self, response: aiohttp.ClientResponse, idle: float, draining: set[asyncio.Task[None]]
    ) -> None:
        self._response = response
        self._idle = idle
        self._draining = draining
        self._inflater: Inflater | None = None
        self._is_looked_at = False
        self.status = response.status
        self.headers: Headers = tuple((name.lower(), value) for name, value in response.headers.items())

    async def receive(self) -> bytes:
        """See HttpStream."""
        if not self._is_looked_at:
            self._is_looked_at = True
            self._inflater = inflater(self.headers)
        decoder = self._inflater
        if decoder is None:
            return await self._receive()
        while True:
            if decoder.pending and (out := decoder.decode(b"")):
                return out
            data = await self._receive()
            if not data:
                decoder.close()
                return b""
            if out := decoder.decode(data):
                return out

    async def pour(self, into: Callable[[bytes], bool]) -> bool:
        """See HttpStream."""
        return await pour_received(self.receive, into)

    async def _receive(self) -> bytes:
        try:
            async with asyncio.timeout(self._idle):  # aiohttp's own is off after a chunk that it cannot parse
                return await self._response.content.readany()
        except TimeoutError as error:
            raise TimedOut("the upstream stopped sending", cause="idle") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Truncated("the upstream's answer was cut") from error
        except asyncio.CancelledError:
            self.abort()
            raise

    async def read(self, limit: int) -> bytes:
        """See HttpStream."""
        parts: list[bytes] = []
        size = 0
        while chunk := await self.receive():
            size += len(chunk)
            if size > limit:
                raise Malformed(f"the upstream's answer is larger than {limit} bytes")
            parts.append(chunk)
        return b"".join(parts)

    async def release(self, grace: float) -> None:
        """See HttpStream."""
        if self._response.content.at_eof():
            self._response.release()
            return
        task = asyncio.ensure_future(self._drain(grace))
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    async def _drain(self, grace: float) -> None:
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
        """See HttpStream."""
        connection = self._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        self._response.close()
