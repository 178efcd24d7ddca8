"""A streamed answer on its way to the client: one read, one write, and an end that tells the truth.

The client's stream may begin before the upstream's does: when nothing came for a while, status and headers go
out with a heartbeat, and another account may still answer. One timer per stream keeps the client awake; nothing is
done for it at an event: it looks now and then whether there were any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec
from msgspec import Struct

from aiclient2api import tracebacks
from aiclient2api.errors import (
    ErrorInfo,
    GatewayError,
    MalformedMessage,
    TimedOut,
    UpstreamError,
)
from aiclient2api.gateway.exchange import Exchange, Phase
from aiclient2api.gateway.upstream import Live
from aiclient2api.server.asgi import ClientGone, Outlet, cut_reason, send_head
from aiclient2api.wire.http import Headers

ERROR_SECONDS = 1.0
"""For the last bytes of a broken answer to reach the client."""
LOOKS = 8
"""How often a stream is looked at while it may be silent: its sign of life may come so much later than it is due."""


class Voice(Protocol):
    """What can be said in the client's protocol while there is no answer."""

    def ping(self) -> bytes:
        """A sign of life."""
        ...

    def fail(self, error: ErrorInfo) -> bytes:
        """The in-band error."""
        ...


class Heartbeat(Struct, frozen=True, kw_only=True):
    """When a silent stream shows a sign of life, in seconds: at first, and then again and again."""

    first: float = 20.0
    every: float = 15.0


class StreamedAnswer:
    """One stream to one client.

    `headers` and `voice` are asked when the first byte is due: `headers` for what is known by then, `voice` only
    when that is before the upstream's answer; it raises MalformedMessage where the request cannot be read so far.
    """

    def __init__(
        self,
        exchange: Exchange,
        outlet: Outlet,
        headers: Callable[[], Headers],
        voice: Callable[[], Voice],
        heartbeat: Heartbeat,
    ) -> None:
        self._exchange = exchange
        self._send = outlet.send
        self._client = outlet.client
        self._headers = headers
        self._make_voice = voice
        self._voice: Voice | None = None
        self._every = heartbeat.every
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time() + heartbeat.first - heartbeat.every
        """When the client last got something, as far as is known."""
        self._live: Live | None = None
        self._seen = 0
        """Events that had come at the last look."""
        self._timer = self._loop.call_later(heartbeat.first, self._wake)
        self._beat: asyncio.Task[None] | None = None
        self._is_writing = False
        self._has_begun = False
        self._is_complete = False
        self._unsent = b""

    async def run(self, opening: Awaitable[Live], now: Callable[[], float]) -> None:
        """Send the whole answer, or break the connection off behind an in-band error.

        A stream that fails is never ended the way a complete one is: the last chunk of the HTTP body stays unsent,
        so that every client notices. Raises GatewayError when there is no answer; it was told in-band if the
        stream had begun.
        """
        try:
            live = await self._opened(opening)
            self._exchange.first_content = now()
            await self._pass_on(live)
        finally:
            self._timer.cancel()
            if self._beat is not None and not self._beat.cancel() and not self._beat.cancelled():
                self._beat.exception()  # whatever it was, the client is gone

    async def _opened(self, opening: Awaitable[Live]) -> Live:
        try:
            return await opening
        except GatewayError as error:
            await self._tell(error)
            raise
        except asyncio.CancelledError as cancelled:
            if self._exchange.outcome != "client_gone":
                await self._tell(cut_reason(cancelled))
            raise

    async def _pass_on(self, live: Live) -> None:
        exchange = self._exchange
        self._voice = self._live = live
        exchange.phase = Phase.STREAMING
        try:
            with live.lasting:
                await self._pump(live)
        except UpstreamError as error:
            tracebacks.forget(error)
            await self._break_off(live, error, error)
        except TimeoutError:
            await self._break_off(live, TimedOut("the answer took too long"), None)
        except asyncio.CancelledError as cancelled:
            if exchange.outcome != "client_gone":
                await self._break_off(live, cut_reason(cancelled), None)
            live.abort(None)
            raise
        except BaseException:
            live.abort(None)
            raise
        else:
            exchange.phase = Phase.TERMINAL_SEEN
            self._timer.cancel()
            await live.finish()
        finally:
            exchange.usage = live.usage
            exchange.events = live.events

    async def _pump(self, live: Live) -> None:
        self._is_writing = True
        await self._settle()
        if not self._has_begun:
            await self._begin()
        client = self._client
        write = self._keep if client is None else client.push
        while not self._is_complete:
            self._is_writing = False
            await live.pour(write)
            self._is_writing = True
            await self._settle()
            if client is not None:
                self._is_complete = client.is_complete
            if client is None or live.is_done:
                await self._flush(live)
            else:
                await client.room()

    def _keep(self, data: bytes, _: bool) -> bool:
        """One read for the client, where only a task can write."""
        self._unsent = data
        return False

    async def _flush(self, live: Live) -> None:
        if self._is_complete:
            return
        data, self._unsent = self._unsent, b""
        self._is_complete = live.is_done
        await self._send({"type": "http.response.body", "body": data, "more_body": not self._is_complete})
        self._last = self._loop.time()

    async def _begin(self) -> None:
        self._has_begun = True
        self._exchange.status = 200
        await send_head(self._send, 200, (*self._headers(), ("cache-control", "no-cache")))

    # ------------------------------------------------------------------------------------------ heartbeats

    def _wake(self) -> None:
        """The timer: a heartbeat if one is due, and the next look when one may be."""
        now = self._loop.time()
        live = self._live
        if live is not None and live.events not in (self._seen, live.mute_at):
            self._seen = live.events
            self._last = now
        due = self._last + self._every
        if self._is_writing or now < due:
            look = now + self._every / LOOKS
            self._timer = self._loop.call_at(min(due, look) if now < due else look, self._wake)
        elif live is not None and self._client is not None:
            self._client.push(live.ping(), False)
            self._beaten()
        else:
            self._beat = self._loop.create_task(self._heartbeat())

    async def _heartbeat(self) -> None:
        if self._voice is None:
            try:
                self._voice = self._make_voice()
            except MalformedMessage:
                return  # only a relay gets so far with it; its client waits as it would at the upstream
        if not self._has_begun:
            self._exchange.phase = Phase.PRE_CONTENT
            await self._begin()
        await self._send({"type": "http.response.body", "body": self._voice.ping(), "more_body": True})
        self._beaten()

    def _beaten(self) -> None:
        self._last = self._loop.time()
        self._timer = self._loop.call_at(self._last + self._every / LOOKS, self._wake)

    async def _settle(self) -> None:
        """Let a heartbeat that is being written come to its end."""
        if self._beat is not None:
            await self._beat
            self._beat = None

    # ---------------------------------------------------------------------------------------------- errors

    async def _break_off(self, live: Live, error: GatewayError, blame: UpstreamError | None) -> None:
        exchange = self._exchange
        exchange.outcome = "cut"
        exchange.error = error.info.label
        exchange.attempts[-1].failed(error)
        live.abort(blame)
        await self._tell(error)

    async def _tell(self, error: GatewayError) -> None:
        """The in-band error, if the client's stream has begun; otherwise it gets a status."""
        self._is_writing = True
        self._timer.cancel()
        if not self._has_begun or self._voice is None:
            return
        told = msgspec.structs.replace(error.info, request_id=self._exchange.request_id)
        try:
            async with asyncio.timeout(ERROR_SECONDS):
                await self._settle()
                body = self._voice.fail(told)
                await self._send({"type": "http.response.body", "body": body, "more_body": True})
        except TimeoutError:
            raise ClientGone from None
