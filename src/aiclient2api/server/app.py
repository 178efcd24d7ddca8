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
    TooLarge,
)
from aiclient2api.gateway.attempt import as_client_error
from aiclient2api.gateway.exchange import Exchange
from aiclient2api.keys.ring import ClientKey
from aiclient2api.server.asgi import (
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
)
from aiclient2api.server.asked import Asked
from aiclient2api.server.bodies import BodyBudget, check_body
from aiclient2api.server.cors import allowed_origin, is_preflight, preflight_headers, with_cors
from aiclient2api.server.inference import answer, report_headers
from aiclient2api.server.local import is_local
from aiclient2api.server.pressure import FULL, Pressure
from aiclient2api.server.routes import Access, Match, Routes, error_protocol, models_protocol
from aiclient2api.server.services import Services
from aiclient2api.server.siblings import Health, Siblings
from aiclient2api.wire.http import WireRequest, WireResponse

BODY_SECONDS = 120.0
LONGEST_WAIT = 30.0
"""Seconds a client is told to wait at most: other accounts may be back long before the one that failed."""
TEXT = (("content-type", "text/plain; version=0.0.4; charset=utf-8"),)


_OF_MODELS = ("list_models", "get_model")


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
            request = _Request(self, Asked(request_head(scope)), None)
            request.peer = (scope.get("client") or ("", 0))[0]
            request.raw_send, request.receive = send, receive
            await request.run()
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    def serve(self, client: Client) -> Coroutine[None, None, None]:
        """The answer to a request of our own server, which cancels it when the client leaves."""
        return _Request(self, client.asked, client).run()

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


class _Request(Outlet):
    """One request on its way through the edge."""

    exchange: Exchange
    peer: str = ""
    receive: Receive
    raw_send: Send | None = None
    _has_begun = False
    _is_complete = False
    _held = 0
    """Bytes of the body that count in the budget."""

    def __init__(self, app: App, asked: Asked, client: Client | None) -> None:
        self.asked = asked
        self.client = self.short = client
        self._app = app
        self._services = app.services

    async def send(self, message: Message) -> None:
        """See Outlet."""
        self._has_begun = True
        self._is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._write(message)

    @property
    def _write(self) -> Send:
        if self.raw_send is not None:
            return self.raw_send
        assert self.client is not None
        return self.client.send

    def run(self) -> Coroutine[None, None, None]:
        """The answer, whatever is asked for."""
        app, head = self._app, self.asked.head
        match, is_known = app.routes.find(head.method, head.path)
        if self._services.cors:
            origin = allowed_origin(head, self._services.cors)
            if origin is not None:
                self.raw_send, self.short = with_cors(self._write, origin), None
                if is_preflight(head):
                    return self.whole(WireResponse(status=204), preflight_headers(head))
        if match is not None and match.route.access is not Access.KEY:
            return self._health(match) if match.route.access is Access.PUBLIC else self._metrics()
        return self._exchange(match, is_known=is_known)

    async def _health(self, match: Match) -> None:
        if match.route.name == "healthz":
            await self.whole(_json(200, b'{"status":"ok"}'))
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
        await self.whole(_json(200 if is_ready else 503, msgspec.json.encode(told)))

    def _stranger(self) -> ClientError | None:
        """Why this client may not see what is for operators; None for one on this machine or with a key."""
        peer = self.peer if self.client is None else self.client.peer
        if is_local(peer, self.asked.head):
            return None
        try:
            self._services.keys.identify(self.asked.key())
        except ClientError as error:
            return error
        return None

    async def _metrics(self) -> None:
        stranger = self._stranger()
        if stranger is not None:
            told = self._services.converters["openai_chat"].encode_error(stranger.info)
            await self.whole(told)
            return
        page = None if self._app.siblings is None else await self._app.siblings.metrics()
        body = self._services.metrics() if page is None else page
        await self.whole(WireResponse(status=200, body=body, headers=TEXT))

    async def _exchange(self, match: Match | None, *, is_known: bool) -> None:
        services, client = self._services, self.client
        exchange = self.exchange = Exchange(
            request_id=services.new_id(),
            protocol=error_protocol(self.asked.head, match),
            started=services.now(),
        )
        services.started(exchange)
        try:
            if client is not None:
                client.owner = self
                if client.is_gone:
                    raise ClientGone
            match, key = self._admitted(match, exchange, is_known=is_known)
            with services.admission:
                if exchange.operation in _OF_MODELS:
                    work = self._models(match, key, exchange)
                else:
                    body = None if client is None else client.whole_body()
                    if body is None:
                        body = await self._read()
                    else:
                        self._check_size(len(body))
                    work = answer(self._wire(match, body), key, match.pool, exchange, services, self)
                await (work if client is not None else self._while_client_stays(work))
        except (Exception, asyncio.CancelledError) as error:
            await self._failed(error, exchange)
        finally:
            if self._held:
                self._app.bodies.give(self._held)
            services.ended(exchange)

    async def _failed(self, error: BaseException, exchange: Exchange) -> None:
        if isinstance(error, GatewayError):
            exchange.outcome = (
                "client_error" if isinstance(error, ClientError | Rejected) else "upstream_error"
            )
            tracebacks.forget(error)
            await self._tell(error.info, exchange)
        elif isinstance(error, ClientGone):
            exchange.outcome = "client_gone"
        elif isinstance(error, asyncio.CancelledError):
            if exchange.outcome != "client_gone":
                exchange.outcome = "cut"
                await self._tell(cut_reason(error).info, exchange)
        else:  # the last line of defence: the client gets a 500, the log the place
            assert isinstance(error, Exception)
            exchange.outcome = "internal_error"
            self._services.log.bug(error, exchange.request_id)
            await self._tell(
                ErrorInfo(kind="internal", code="internal_error", message="internal error"), exchange
            )

    def _admitted(
        self, match: Match | None, exchange: Exchange, *, is_known: bool
    ) -> tuple[Match, ClientKey]:
        """Who asks, and for what. Raises ClientError, Busy."""
        services, asked, client = self._services, self.asked, self.client
        if self._app.pressure.level >= FULL or (client is not None and client.is_reserved):
            raise Busy("the gateway is at its limit", retry_after=float(random.randint(1, 3)))
        key = services.keys.identify(asked.key())
        exchange.key = key.name
        if match is None:
            if is_known:
                raise MethodNotAllowed(f"method {asked.head.method[:20]} is not allowed here")
            raise NotFound(f"no endpoint {asked.head.path[:200]!r} here")
        operation = exchange.operation = match.route.name  # pyright: ignore[reportAttributeAccessIssue]  # KEY routes are operations
        if operation in _OF_MODELS:
            exchange.protocol = models_protocol(asked.head)
        elif services.must_refuse():
            raise Busy("use cannot be booked at the moment", retry_after=LONGEST_WAIT)
        return match, key

    def _check_size(self, size: int) -> None:
        """The same for a body that is there as `read_body` has for one that comes."""
        if self.asked.is_encoded:
            raise BadRequest("a compressed request body is not accepted")
        if size > self._services.body_limit:
            raise TooLarge(f"the request body is larger than {self._services.body_limit} bytes")
        self._app.bodies.take(size)
        self._held = size

    def _wire(self, match: Match, body: bytes) -> WireRequest:
        try:
            check_body(body)
        except MalformedMessage as error:
            raise BadRequest(info=as_client_error(error)) from None
        head = self.asked.head
        return WireRequest(
            method=head.method, path=match.path, query=head.query, headers=head.headers, body=body
        )

    async def _read(self) -> bytes:
        limit, client = self._services.body_limit, self.client
        if client is not None:  # its server sets it a time
            return await read_body(self.asked, client.receive, limit, self._hold, client.length)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await read_body(self.asked, self.receive, limit, self._hold)
        except TimeoutError:
            raise ClientTimeout("the request body took too long") from None

    def _hold(self, size: int) -> None:
        self._app.bodies.take(size)
        self._held += size

    def left(self) -> None:
        """See Owner."""
        self.exchange.outcome = "client_gone"

    async def _while_client_stays(self, work: Awaitable[None]) -> None:
        """Run `work`, and cancel it when the client disconnects."""
        mine = asyncio.current_task()
        assert mine is not None

        def left() -> None:
            if not self._is_complete:  # servers report a disconnect once the answer is complete
                self.left()
                mine.cancel()

        watcher = asyncio.ensure_future(self._watch(left))
        try:
            await work
        except asyncio.CancelledError:
            if self.exchange.outcome == "client_gone":
                mine.uncancel()
                raise ClientGone from None
            raise
        finally:
            watcher.cancel()

    async def _watch(self, left: Callable[[], None]) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        left()

    async def _models(self, match: Match, key: ClientKey, exchange: Exchange) -> None:
        converter = self._services.converters[exchange.protocol]
        models = self._services.models
        if match.route.name == "list_models":
            response = converter.encode_models(await models.names(match.pool, key.allows))
        else:
            found = match.route.path.fullmatch(match.path)
            wanted = found["model"] if found else ""
            if not key.allows(wanted) or not await models.has(wanted, match.pool):
                raise NotFound(
                    info=ErrorInfo(kind="not_found", code="model_not_found", message=f"no model {wanted!r}")
                )
            response = converter.encode_model(wanted)
        exchange.status = response.status
        await self.whole(response, report_headers(exchange))

    async def _tell(self, info: ErrorInfo, exchange: Exchange) -> None:
        exchange.error = info.label
        if self._has_begun or (self.client is not None and self.client.has_begun):
            return
        response = _told(info, exchange, self._services)
        exchange.explain = self.asked.is_explained and bool(exchange.key)
        try:
            await self.whole(response, report_headers(exchange))
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
