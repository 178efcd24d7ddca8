"""One client connection: bytes in, requests one after the other, bytes out; and every way in which it can end."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import Any, Final, cast

from aiclient2api.errors import BadRequest, ClientTimeout, GatewayError
from aiclient2api.server.asked import Asked, head_of
from aiclient2api.server.http.edge import Edge
from aiclient2api.server.http.exchange import HttpExchange
from aiclient2api.server.http.guard import Head, Verdict
from aiclient2api.server.http.reader import RequestReader
from aiclient2api.server.http.settings import MAX_PIPELINED
from aiclient2api.server.http.timer import LazyTimer, Phase
from aiclient2api.server.pressure import CLOSING

HIGH_WATER: Final = 64 * 1024
BODY_WATER: Final = 256 * 1024
"""Bytes of bodies that are read ahead of the application."""
LINGER: Final = 5.0
"""Seconds that a client may go on sending a body nobody wants, so that it can read why."""


class Connection(asyncio.Protocol):
    """See asyncio.Protocol; what it reads comes from its `RequestReader`."""

    def __init__(self, edge: Edge, *, is_reserved: bool = False) -> None:
        self._edge = edge
        self.date = edge.date
        self._timer = LazyTimer(edge.loop, self._expired)
        self._phase = Phase.HEAD
        self._is_reserved = is_reserved
        self._reader = RequestReader(self)
        self._current: HttpExchange | None = None
        self._waiting: deque[HttpExchange] = deque()
        self._newest: HttpExchange | None = None
        """The one whose body is being read."""
        self._is_reading = True
        self._refusal: GatewayError | None = None
        self._room: asyncio.Future[None] | None = None
        self._unsent = 0
        self.is_full = False
        self.is_closing = False

    # ---- asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop has its own classes
        self.write = self._transport.write
        self._transport.set_write_buffer_limits(HIGH_WATER)
        peer: Any = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else ""
        self._edge.connections.add(self)
        self._watch(Phase.HEAD)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        reader = self._reader
        if self._current is None and not self.is_full:
            body = reader.repeated(data)
            if body is not None:
                self._repeat(body)
                return
        if reader.is_deaf:
            return
        reader.feed(data)
        current = self._current
        if current is not None and current.is_received and not self.is_full and not self.is_closing:
            self._phase = Phase.ANSWER  # as nearly always: the whole request in one read
            self._timer.at = math.inf
        else:
            self._settle()

    def eof_received(self) -> None:
        """A client that has closed its side does not wait for an answer; the transport closes, see asyncio."""
        self._reader.is_deaf = self.is_closing = True
        if self._current is not None:
            self._current.leave()
        self._unsent = self._transport.get_write_buffer_size()
        if self._unsent:
            self._watch(Phase.CLOSE)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._timer.close()
        self._reader.forget()
        self._newest = None
        self.is_closing = True
        self._edge.connections.discard(self)
        self._edge.left()
        self._waiting.clear()
        self._make_room()
        if self._current is not None:
            self._current.leave()

    def pause_writing(self) -> None:
        """See asyncio."""
        self.is_full = True
        self._unsent = self._transport.get_write_buffer_size()
        self._settle()

    def resume_writing(self) -> None:
        """See asyncio."""
        self.is_full = False
        self._make_room()
        if self._current is None:
            self._go_on()
        self._settle()

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # ---- for the reader

    def begin(self, head: Head, verdict: Verdict) -> None:
        """See Reads."""
        if len(self._waiting) >= MAX_PIPELINED:
            self._reader.is_deaf = True
            self.stop(BadRequest("too many requests at once on one connection"))
            return
        exchange = HttpExchange(
            line=self,
            write=self.write,
            head=head,
            asked=Asked(head_of(head.method, head.target, head.headers)),
            peer=self._peer,
            is_reserved=self._is_reserved,
            keep_alive=verdict.keep_alive,
            expects_continue=verdict.expects_continue,
        )
        self._newest = exchange
        if self._current is None and not self.is_full:
            self._begin(exchange)
        else:
            self._waiting.append(exchange)

    def _repeat(self, body: bytes) -> None:
        """A request whose head is that of the newest exchange, and a part of its body."""
        last = self._newest
        assert last is not None
        size, length = len(body), self._reader.length
        is_whole = size == length
        exchange = HttpExchange(
            line=self,
            write=self.write,
            head=last.head,
            asked=last.asked,
            peer=self._peer,
            is_reserved=self._is_reserved,
            keep_alive=True,
            length=length,
            parts=[body] if size else [],
            held=size,
            is_received=is_whole,
        )
        self._newest = self._current = exchange
        exchange.task = self._edge.loop.create_task(self._run(exchange))
        if is_whole:
            self._phase = Phase.ANSWER
            self._timer.at = math.inf
        else:
            self._settle()

    def add(self, data: bytes) -> None:
        """See Reads."""
        if self._newest is None:
            return
        self._newest.feed(data)
        if self._newest.held > BODY_WATER and self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()

    def end(self) -> None:
        """See Reads."""
        if self._newest is not None:
            self._newest.end()
        if not self._is_reading:  # an application may answer without a look at the body
            self.take()

    def stop(self, error: GatewayError) -> None:
        """See Reads: answer what came before, refuse this, close."""
        newest, is_open = self._newest, self._newest in (self._current, *self._waiting)
        if newest is not None and is_open and not newest.is_received and not self._reader.in_head:
            newest.fail(error)
            if newest.is_complete:
                self._close()
        elif self._current is None and not self._waiting:
            self._refuse(error)
        else:
            self._refusal = error
        self._settle()

    # ---- requests

    def _begin(self, exchange: HttpExchange) -> None:
        self._current = exchange
        exchange.task = self._edge.loop.create_task(self._run(exchange))

    async def _run(self, exchange: HttpExchange) -> None:
        try:
            await self._edge.app.serve(exchange)
        except asyncio.CancelledError:
            pass  # by the drain, or because the client left: there is nobody to tell
        except Exception as error:  # what is left: the application tells its clients of its own errors
            self._edge.bug(error)
        finally:
            self._done(exchange)

    def _done(self, exchange: HttpExchange) -> None:
        """The application is done with a request: go on, or close. An unfinished answer is never ended properly."""
        self._current = None
        exchange.owner = exchange.task = (
            None  # they lead back to it: what is left must need no garbage collector
        )
        edge = self._edge
        if self.is_closing:
            return
        if not exchange.is_complete:
            self._close()
        elif not exchange.is_received:
            self._linger()
        elif not exchange.keep_alive:
            self._close()
        elif self._waiting or self._refusal is not None:
            self._go_on()
        elif edge.is_draining:
            self._close()
        elif not self.is_full and not self._reader.in_head:
            self._phase = Phase.IDLE  # as nearly always
            self._timer.set(edge.loop.time() + edge.settings.timeouts.keep_alive)
            return
        self._settle()

    def _go_on(self) -> None:
        """What was sent behind the last request, for a client that takes its answers; others are waited for."""
        if self.is_full or self._phase in (Phase.CLOSE, Phase.LINGER):
            return
        if self._waiting:
            self._begin(self._waiting.popleft())
        elif self._refusal is not None:
            self._refuse(self._refusal)

    def _refuse(self, error: GatewayError) -> None:
        """Tell why, and close."""
        told = self._edge.refusal(self._reader.target, self._reader.headers, error)
        if told:
            self.write(told)
        self._linger()

    # ---- for the exchange

    def write_both(self, head: bytes, body: bytes) -> None:
        """See Line."""
        self._transport.writelines((head, body))

    async def room(self) -> None:
        """See Line."""
        if self.is_full:
            self._room = self._edge.loop.create_future()
            await self._room

    def wants_close(self) -> bool:
        """See Line."""
        edge = self._edge
        return self._is_reserved or edge.is_draining or edge.pressure.level >= CLOSING

    def take(self) -> None:
        """See Line."""
        if not self._is_reading and not self.is_closing:
            self._is_reading = True
            self._transport.resume_reading()
            self._settle()

    # ---- for the listener

    @property
    def is_idle(self) -> bool:
        """Whether no request is under way, not even half of one."""
        return self._current is None and not self._reader.in_head

    @property
    def weight(self) -> int:
        """Bytes that a stream under way holds here; 0 when there is none."""
        current = self._current
        return 0 if current is None else 1 + current.held + self._transport.get_write_buffer_size()

    def cancel(self, reason: GatewayError) -> None:
        """End the request under way: it tells its client this, then the connection closes."""
        if self._current is not None and self._current.task is not None:
            self._current.task.cancel(reason)  # pyright: ignore[reportArgumentType]  # any object may be the message
        else:
            self._close()

    @property
    def is_new(self) -> bool:
        """Whether its first request may be on its way to us."""
        return self._phase is Phase.HEAD and self.is_idle

    def close_idle(self) -> None:
        """Close unless a request is under way."""
        if self.is_idle:
            self._close()

    def abort(self) -> None:
        """Close at once, whatever is unsent."""
        self._transport.abort()

    # ---- deadlines and ends

    def _settle(self) -> None:
        """Wait for what the state asks for now."""
        current = self._current
        if self._phase in (Phase.CLOSE, Phase.LINGER):
            return
        if self.is_full:
            if self._phase is not Phase.READER:  # what it sends meanwhile wins a client no time
                self._watch(Phase.READER)
        elif current is None:
            if self._reader.in_head:
                if self._phase is not Phase.HEAD:
                    self._watch(Phase.HEAD)
            elif self._phase is not Phase.HEAD or self._newest is not None:
                self._watch(Phase.IDLE)
        elif current.is_received or not self._is_reading:
            self._watch(Phase.ANSWER)
        else:
            self._watch(Phase.BODY)

    def _watch(self, phase: Phase) -> None:
        self._phase = phase
        now = self._edge.loop.time()
        timeouts = self._edge.settings.timeouts
        match phase:
            case Phase.IDLE:
                self._timer.set(now + timeouts.keep_alive)
            case Phase.ANSWER:
                self._timer.at = math.inf
            case Phase.HEAD:
                self._timer.set(now + (min(timeouts.header, 2.0) if self._is_reserved else timeouts.header))
            case Phase.BODY:
                current = self._current
                if current is not None:
                    current.body_until = current.body_until or now + timeouts.body
                    self._timer.set(min(now + timeouts.body_idle, current.body_until))
            case Phase.READER | Phase.CLOSE:
                self._timer.set(now + timeouts.write)
            case Phase.LINGER:
                self._timer.set(now + LINGER)

    def _expired(self) -> None:
        match self._phase:
            case Phase.HEAD:
                self._reader.is_deaf = True
                self.stop(ClientTimeout("the request head took too long"))
            case Phase.BODY if self._current is not None:
                self._reader.is_deaf = True
                self._current.fail(ClientTimeout("the request body took too long"))
            case Phase.READER | Phase.CLOSE:
                unsent = self._transport.get_write_buffer_size()
                if 0 < unsent < self._unsent:
                    self._unsent = unsent
                    self._watch(self._phase)
                else:
                    self.abort()
            case _:
                self._close()

    def _linger(self) -> None:
        """Close for writing, and read what is still under way, or the client's system throws our answer away."""
        self._reader.is_deaf = True
        if self._phase in (Phase.CLOSE, Phase.LINGER):
            return
        try:
            if self._transport.can_write_eof():
                self._transport.write_eof()
        except OSError:  # the client has broken the connection off, and the loop has not heard of it yet
            self.abort()
            return
        self.take()
        self._watch(Phase.LINGER)

    def _close(self) -> None:
        """Send what is written, then close; a client that does not read has as long as a stream's reader."""
        self._reader.is_deaf = self.is_closing = True
        self._unsent = self._transport.get_write_buffer_size()
        self._transport.close()
        if self._unsent:
            self._watch(Phase.CLOSE)
        else:
            self._phase = Phase.CLOSE
