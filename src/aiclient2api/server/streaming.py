"""A streamed answer on its way to the client: one read, one write, and an end that tells the truth."""

from __future__ import annotations

import asyncio

import msgspec

from aiclient2api.errors import GatewayError, ShuttingDown, TimedOut, UpstreamError
from aiclient2api.gateway.exchange import Exchange
from aiclient2api.gateway.upstream import Live
from aiclient2api.server.asgi import ClientGone, Send, send_head
from aiclient2api.server.services import Services
from aiclient2api.wire.http import Headers


async def stream(live: Live, services: Services, exchange: Exchange, send: Send, headers: Headers) -> None:
    """Send the whole answer, or break the connection off behind an in-band error.

    A stream that fails is never ended the way a complete one is: the last chunk of the HTTP body stays unsent, so
    that every client notices.
    """
    exchange.first_content = services.now()
    try:
        await send_head(send, 200, (*headers, ("cache-control", "no-cache")))
        async with asyncio.timeout(live.seconds):
            while not live.is_done:
                data = await live.receive()
                await send({"type": "http.response.body", "body": data, "more_body": not live.is_done})
    except UpstreamError as error:
        await _break_off(live, exchange, send, error, error)
    except TimeoutError:
        error = TimedOut("the answer took too long")
        await _break_off(live, exchange, send, error, None)
    except asyncio.CancelledError:
        if exchange.outcome != "client_gone":
            await _break_off(live, exchange, send, ShuttingDown("the server is shutting down"), None)
        live.abort(None)
        raise
    except BaseException:
        live.abort(None)
        raise
    else:
        await live.finish()
    finally:
        exchange.usage = live.usage


async def _break_off(
    live: Live, exchange: Exchange, send: Send, error: GatewayError, blame: UpstreamError | None
) -> None:
    exchange.outcome = "cut"
    exchange.error = error.info.label
    exchange.attempts[-1].outcome = exchange.error
    live.abort(blame)
    told = msgspec.structs.replace(error.info, request_id=exchange.request_id)
    try:
        async with asyncio.timeout(1.0):
            await send({"type": "http.response.body", "body": live.fail(told), "more_body": True})
    except TimeoutError:
        raise ClientGone from None
