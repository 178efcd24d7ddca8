"""The ASGI application: find the route, check who asks, answer, and notice when the client leaves.

`send` after a disconnect is silently ignored by servers, so every request is watched in every phase: when the
client goes, the request is cancelled and with it everything it opened upstream. Our own server calls back for
that; with another one, a task waits for the disconnect.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec

from aiclient2api import tracebacks
from aiclient2api.errors import (
    BadRequest,
    Busy,
    ClientError,
    ClientTimeout,
    ErrorInfo,
    GatewayError,
    MalformedMessage,
    MethodNotAllowed,
    NotFound,
    Rejected,
)
from aiclient2api.gateway.attempt import as_client_error
from aiclient2api.gateway.exchange import Exchange
from aiclient2api.keys.ring import ClientKey
from aiclient2api.server.asgi import (
    CLIENT,
    RESERVED,
    Client,
    ClientGone,
    Message,
    Outlet,
    Receive,
    Scope,
    Send,
    cut_reason,
    read_body,
    request_head,
    send_whole,
    whole_headers,
)
from aiclient2api.server.auth import extract_key
from aiclient2api.server.bodies import BodyBudget, check_body
from aiclient2api.server.cors import allowed_origin, is_preflight, preflight_headers, with_cors
from aiclient2api.server.inference import answer, is_wished, report_headers
from aiclient2api.server.pressure import Pressure
from aiclient2api.server.routes import Access, Match, Routes, error_protocol, models_protocol
from aiclient2api.server.services import Services
from aiclient2api.server.siblings import Health, Siblings
from aiclient2api.wire.http import Headers, WireRequest, WireResponse

BODY_SECONDS = 120.0
LONGEST_WAIT = 30.0
"""Seconds a client is told to wait at most: other accounts may be back long before the one that failed."""
LOOPBACK = ("127.", "::1", "::ffff:127.")
FORWARDED = ("x-forwarded-for", "forwarded", "x-real-ip")
"""Headers by which a proxy on this machine tells that somebody else is asking."""
TEXT = (("content-type", "text/plain; version=0.0.4; charset=utf-8"),)


class App:
    """Serves one set of services at a time; `services` may be swapped between requests.

    `memory` and `bodies` in bytes: what this worker may use, and what all request bodies together may hold.
    """

    def __init__(self, services: Services, *, memory: int | None = None, bodies: int = 512 * 1024**2) -> None:
        self.services = services
        self.routes = Routes(services.converters, services.pools.keys())
        self.is_draining = False
        self.siblings: Siblings | None = None
        """The other workers of this gateway."""
        self.pressure = Pressure(memory, lambda: self.services.admission.load)
        self.bodies = BodyBudget(bodies)

    def swap(self, services: Services) -> None:
        """Use a new configuration for all requests from now on."""
        self.routes = Routes(services.converters, services.pools.keys())
        self.services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http":
            await _Request(self, scope, receive, send).run()
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    def refusal(self, head: WireRequest, error: GatewayError) -> WireResponse:
        """The answer to a request that the HTTP layer refuses, in the form that its path tells; it is counted."""
        services = self.services
        exchange = Exchange(
            request_id=services.new_id(), protocol=error_protocol(head, None), started=services.now()
        )
        services.started(exchange)
        exchange.outcome = "client_error"
        response = _told(error.info, exchange, services)
        services.ended(exchange)
        return msgspec.structs.replace(response, headers=(*response.headers, *report_headers(exchange)))


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


class _Request:
    """One request on its way through the edge."""

    def __init__(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        self._app = app
        self._services = app.services
        self._head = request_head(scope)
        self._match, self._is_known = app.routes.find(self._head.method, self._head.path)
        self._peer: str = (scope.get("client") or ("", 0))[0]
        extensions: dict[str, Any] = scope.get("extensions") or {}
        self._client: Client | None = extensions.get(CLIENT)
        self._is_reserved = RESERVED in extensions
        self._receive = receive
        self._raw_send = send
        self._shortcut = self._client
        """Takes a whole answer without ASGI's messages."""
        self._has_begun = False
        self._is_complete = False
        self._held = 0
        """Bytes of the body that count in the budget."""

    async def _send(self, message: Message) -> None:
        self._has_begun = True
        self._is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._raw_send(message)

    async def _whole(self, response: WireResponse, extra: Headers = ()) -> None:
        if self._shortcut is None:
            await send_whole(self._send, response, extra)
        else:
            self._has_begun = self._is_complete = True
            self._shortcut.answer(response.status, whole_headers(response, extra), response.body)

    def run(self) -> Coroutine[None, None, None]:
        """The answer, whatever is asked for."""
        match = self._match
        origin = allowed_origin(self._head, self._services.cors)
        if origin is not None:
            self._raw_send, self._shortcut = with_cors(self._raw_send, origin), None
            if is_preflight(self._head):
                return self._whole(WireResponse(status=204), preflight_headers(self._head))
        if match is not None and match.route.access is Access.PUBLIC:
            return self._health(match)
        if match is not None and match.route.access is Access.OPERATOR:
            return self._metrics()
        return self._exchange(match)

    async def _health(self, match: Match) -> None:
        if match.route.name == "healthz":
            await self._whole(_json(200, b'{"status":"ok"}'))
            return
        health = Health(self._services.status(is_draining=self._app.is_draining))
        if self._app.siblings is not None and not self._app.is_draining:
            health = await self._app.siblings.health() or health
        told: dict[str, Any] = {"status": health.status} | (
            {} if health.workers is None else {"workers": health.workers}
        )
        if self._stranger() is None:
            told["pools"] = self._services.states()
        is_ready = health.status != "unavailable"
        await self._whole(_json(200 if is_ready else 503, msgspec.json.encode(told)))

    def _stranger(self) -> ClientError | None:
        """Why this client may not see what is for operators; None for one on this machine or with a key."""
        if self._peer.startswith(LOOPBACK) and not any(self._head.header(name) for name in FORWARDED):
            return None
        try:
            self._services.keys.identify(extract_key(self._head))
        except ClientError as error:
            return error
        return None

    async def _metrics(self) -> None:
        stranger = self._stranger()
        if stranger is not None:
            told = self._services.converters["openai_chat"].encode_error(stranger.info)
            await self._whole(told)
            return
        page = None if self._app.siblings is None else await self._app.siblings.metrics()
        body = self._services.metrics() if page is None else page
        await self._whole(WireResponse(status=200, body=body, headers=TEXT))

    async def _exchange(self, match: Match | None) -> None:
        services = self._services
        protocol = error_protocol(self._head, match)
        exchange = Exchange(
            request_id=services.new_id(), protocol=protocol, started=services.now(), operation="generate"
        )
        services.started(exchange)
        try:
            await self._answer(match, exchange)
        except GatewayError as error:
            exchange.outcome = (
                "client_error" if isinstance(error, ClientError | Rejected) else "upstream_error"
            )
            tracebacks.forget(error)
            await self._tell(error.info, exchange)
        except ClientGone:
            exchange.outcome = "client_gone"
        except asyncio.CancelledError as cancelled:
            if exchange.outcome != "client_gone":
                exchange.outcome = "cut"
                await self._tell(cut_reason(cancelled).info, exchange)
        except Exception as error:  # the last line of defence: the client gets a 500, the log the place
            exchange.outcome = "internal_error"
            services.log.bug(error, exchange.request_id)
            await self._tell(
                ErrorInfo(kind="internal", code="internal_error", message="internal error"), exchange
            )
        finally:
            self._app.bodies.give(self._held)
            services.ended(exchange)

    async def _answer(self, match: Match | None, exchange: Exchange) -> None:
        services = self._services
        if self._is_reserved or self._app.pressure.is_full:
            raise Busy("the gateway is at its limit", retry_after=float(random.randint(1, 3)))
        key = services.keys.identify(extract_key(self._head))
        exchange.key = key.name
        if match is None:
            if self._is_known:
                raise MethodNotAllowed(f"method {self._head.method[:20]} is not allowed here")
            raise NotFound(f"no endpoint {self._head.path[:200]!r} here")
        exchange.operation = match.route.name  # pyright: ignore[reportAttributeAccessIssue]  # KEY routes are operations
        if match.route.name in ("list_models", "get_model"):
            exchange.protocol = models_protocol(self._head)
            with services.admission:
                await self._while_client_stays(exchange, self._models(match, key, exchange))
            return
        if services.must_refuse():
            raise Busy("use cannot be booked at the moment", retry_after=LONGEST_WAIT)
        with services.admission:
            wire = await self._whole_request(match)
            outlet = Outlet(self._whole, self._send, self._client)
            work = answer(wire, key, match.pool, exchange, services, outlet)
            await self._while_client_stays(exchange, work)

    async def _whole_request(self, match: Match) -> WireRequest:
        head = self._head
        reading = read_body(head, self._receive, self._services.body_limit, self._hold)
        if self._client is not None:
            body = await reading
        else:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    body = await reading
            except TimeoutError:
                raise ClientTimeout("the request body took too long") from None
        try:
            check_body(body)
        except MalformedMessage as error:
            raise BadRequest(info=as_client_error(error)) from None
        return WireRequest(
            method=head.method, path=match.path, query=head.query, headers=head.headers, body=body
        )

    def _hold(self, size: int) -> None:
        self._app.bodies.take(size)
        self._held += size

    async def _while_client_stays(self, exchange: Exchange, work: Awaitable[None]) -> None:
        """Run `work`, and cancel it when the client disconnects."""
        mine = asyncio.current_task()
        assert mine is not None

        def left() -> None:
            if not self._is_complete:  # servers report a disconnect once the answer is complete
                exchange.outcome = "client_gone"
                mine.cancel()

        watcher: asyncio.Task[None] | None = None
        if self._client is not None:
            self._client.when_gone(left)
        else:
            watcher = asyncio.ensure_future(self._watch(left))
        try:
            await work
        except asyncio.CancelledError:
            if exchange.outcome == "client_gone":
                mine.uncancel()
                raise ClientGone from None
            raise
        finally:
            if self._client is not None:
                self._client.when_gone(None)
            if watcher is not None:
                watcher.cancel()

    async def _watch(self, left: Callable[[], None]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        left()

    async def _models(self, match: Match, key: ClientKey, exchange: Exchange) -> None:
        converter = self._services.converters[exchange.protocol]
        names = [name for name in await self._services.models.names(match.pool) if key.allows(name)]
        if match.route.name == "list_models":
            response = converter.encode_models(names)
        else:
            found = match.route.path.fullmatch(match.path)
            wanted = found["model"] if found else ""
            if wanted not in names:
                raise NotFound(
                    info=ErrorInfo(kind="not_found", code="model_not_found", message=f"no model {wanted!r}")
                )
            response = converter.encode_model(wanted)
        exchange.status = response.status
        await self._whole(response, report_headers(exchange))

    async def _tell(self, info: ErrorInfo, exchange: Exchange) -> None:
        exchange.error = info.label
        if self._has_begun:
            return
        response = _told(info, exchange, self._services)
        explain = is_wished(self._head, "x-a2-explain") and bool(exchange.key)
        try:
            await self._whole(response, report_headers(exchange, explain=explain))
        except OSError:
            exchange.outcome = "client_gone"


def _told(info: ErrorInfo, exchange: Exchange, services: Services) -> WireResponse:
    wait = None if info.retry_after is None else min(max(info.retry_after, 1.0), LONGEST_WAIT)
    response = services.converters[exchange.protocol].encode_error(
        msgspec.structs.replace(info, request_id=exchange.request_id, retry_after=wait)
    )
    exchange.error = info.label
    exchange.status = response.status
    return response


def _json(status: int, body: bytes) -> WireResponse:
    return WireResponse(status=status, body=body, headers=(("content-type", "application/json"),))
