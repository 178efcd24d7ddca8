"""One connection to an upstream: one request and its response after the other, on an asyncio protocol.

There is no task and no time-out object per read. One timer per connection is armed lazily: waiting only moves a
deadline, and the timer looks at it when it fires.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade

from aiclient2api.errors import Malformed, TimedOut, Truncated, UpstreamError, UpstreamFailed
from aiclient2api.net.response import InvalidResponse, ResponseReader
from aiclient2api.net.transport import STALE, Timeouts

HIGH_WATER = 256 * 1024
"""Bytes of a response that nobody has taken yet, at which reading pauses."""
MAX_DRAIN = 256 * 1024
"""Bytes that may follow a response that nobody reads any more."""
_JOIN_LIMIT = 64 * 1024
_NEVER = float("inf")
_NONE = Timeouts()
_SLACK = 0.001
"""Timers may fire a little early: loops keep milliseconds."""


class Phase(Enum):
    """What a connection is doing."""

    IDLE = "idle"
    HEAD = "waiting for a response's head"
    BODY = "within a body"
    DRAINING = "reading the rest of a body that nobody wants"
    CLOSED = "closed"


class Connection(asyncio.Protocol):
    """`on_idle` is called when it can serve the next request, `on_close` once when it never will again.

    Closed without a head and without `failure`, it was stale: a reused connection that ended as soon as it was used,
    before a single byte of the response, because it had been closed while it was idle.
    """

    __slots__ = (
        "_deadline",
        "_into",
        "_is_paused",
        "_is_writing",
        "_limit",
        "_loop",
        "_on_close",
        "_on_idle",
        "_timeouts",
        "_timer",
        "_timer_at",
        "_transport",
        "_untaken",
        "_unwritten",
        "_waiter",
        "failure",
        "is_reused",
        "phase",
        "reader",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_idle: Callable[[Connection], None],
        on_close: Callable[[Connection], None],
    ) -> None:
        self.reader = ResponseReader()
        self.failure: UpstreamError | None = None
        self.phase = Phase.IDLE
        self.is_reused = False
        self._loop = loop
        self._on_idle = on_idle
        self._on_close = on_close
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[bool] | None = None
        self._into: Callable[[bytes], bool] | None = None
        """Takes what comes while the waiter waits for the end of it."""
        self._limit = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = _NEVER
        self._deadline = _NEVER
        self._untaken = 0
        self._is_paused = False
        self._is_writing = False
        self._unwritten = 0
        self._timeouts = _NONE

    # what the owner calls

    def attach(self, transport: asyncio.BaseTransport) -> None:
        """The connection is up, TLS included."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop has its own classes
        if self.phase is Phase.CLOSED:  # given up while it was being opened
            self._transport.abort()
            return
        # `pause_writing` then means "not everything is with the kernel", which is how we know what was sent; not
        # zero, because asyncio's TLS pauses at that many bytes and not above
        self._transport.set_write_buffer_limits(high=1, low=0)

    def request(
        self, head: bytes, body: bytes, timeouts: Timeouts, *, head_only: bool = False
    ) -> asyncio.Future[bool]:
        """Send a request; the future is done when the head is there or `failure` is."""
        transport = self._transport
        assert transport is not None
        self.reader.begin(head_only=head_only)
        self.phase = Phase.HEAD
        self._timeouts = timeouts
        self._untaken = 0
        waiter = self._waiter = self._loop.create_future()
        if len(body) <= _JOIN_LIMIT:
            transport.write(head + body)
        else:
            transport.writelines((head, body))
        if self._is_writing or transport.is_closing():  # not all is with the kernel, or it is broken off
            self._is_writing = True
            self._unwritten = transport.get_write_buffer_size()
            self._set_deadline(timeouts.write)
        else:
            self._set_deadline(timeouts.headers)
        return waiter

    def more(self, seconds: float) -> asyncio.Future[bool]:
        """Wait for more of the body, its end or its failure."""
        waiter = self._waiter = self._loop.create_future()
        self._set_deadline(seconds)
        return waiter

    def pour(self, into: Callable[[bytes], bool], seconds: float) -> asyncio.Future[bool]:
        """Wait for the end of the body or its failure; what comes goes to `into` at once, without waking anybody.

        The result is True when that returned False: it has enough for now. It must not raise.
        """
        self._into = into
        self._limit = seconds
        return self.more(seconds)

    def take(self) -> bytes:
        """All that has come of the body."""
        chunks = self.reader.chunks
        if len(chunks) == 1:
            data = chunks.pop()
        else:
            data = b"".join(chunks)
            chunks.clear()
        self._untaken = 0
        if self._is_paused:
            self._resume()
        return data

    def release(self, grace: float) -> None:
        """Nobody wants the rest of the response: read it for at most `grace` seconds, then serve again or close."""
        if self.phase is Phase.CLOSED:
            return
        reader = self.reader
        if reader.done:
            if reader.keeps_alive and not self._is_writing and not self._is_paused:
                self._on_idle(self)
            else:
                self.close()
            return
        self.phase = Phase.DRAINING
        self.reader.chunks.clear()
        self._untaken = 0
        self._set_deadline(grace)
        if self._is_paused:
            self._resume()

    def rest(self, seconds: float) -> None:
        """Wait for the next request for at most `seconds`."""
        self.phase = Phase.IDLE
        self.is_reused = True
        self._set_deadline(seconds)

    def close(self) -> None:
        """Close at once."""
        if self.phase is Phase.CLOSED:
            return
        self.phase = Phase.CLOSED
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wake()
        if self._transport is not None:
            self._transport.abort()
        self.reader.forget()
        self._on_close(self)

    # what asyncio calls

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        into = self._into
        if into is None:
            self._received(data)
            return
        reader = self.reader  # within a body that is poured, as nearly every read is
        try:
            reader.parse(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if not self._is_sound(error):
                return
        chunks = reader.chunks
        if chunks:
            if len(chunks) == 1:
                data = chunks.pop()
            else:
                data = b"".join(chunks)
                chunks.clear()
            if not into(data):
                self._wake(has_enough=True)
                return
            self._deadline = self._loop.time() + self._limit
        if reader.done:
            self._wake()
        elif reader.fields:
            self._check_trailers()

    def _received(self, data: bytes) -> None:
        """What nobody has poured yet: a head, a body that is read, or what nobody asked for."""
        phase, reader = self.phase, self.reader
        if phase is Phase.CLOSED:
            return
        if phase is Phase.IDLE:  # nobody asked
            self.close()
            return
        try:
            reader.feed(data)
        except InvalidResponse as error:
            self._fail(_broken(error, in_body=reader.has_head))
            return
        if phase is Phase.DRAINING:
            self._drained(len(data))
            return
        if phase is Phase.HEAD:
            if not reader.has_head:
                return
            self.phase = Phase.BODY
            self._wake()
        elif reader.chunks or reader.done:
            self._wake()
        if not reader.done:
            self._untaken += len(data)
            if self._untaken > HIGH_WATER and not self._is_paused:
                self._is_paused = True
                assert self._transport is not None
                self._transport.pause_reading()

    def _check_trailers(self) -> None:
        try:
            self.reader.check_fields()
        except InvalidResponse as error:
            self._fail(_broken(error, in_body=True))

    def _is_sound(self, error: HttpParserError | HttpParserUpgrade) -> bool:
        """Whether the body is whole in spite of what follows it; otherwise this is the connection's end."""
        try:
            self.reader.reject(error)
        except InvalidResponse as invalid:
            self._fail(_broken(invalid, in_body=True))
            return False
        return True

    def eof_received(self) -> bool:
        """See asyncio: the transport closes itself."""
        self._ended(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._ended(exc)

    def pause_writing(self) -> None:
        """See asyncio."""
        self._is_writing = True

    def resume_writing(self) -> None:
        """See asyncio: the request's last byte is on its way."""
        self._is_writing = False
        if self.phase is Phase.HEAD:
            self._set_deadline(self._timeouts.headers)

    # the end of things

    def _drained(self, size: int) -> None:
        self.reader.chunks.clear()
        self._untaken += size
        if self.reader.done:
            self.release(0.0)
        elif self._untaken > MAX_DRAIN:
            self.close()

    def _ended(self, exc: Exception | None) -> None:
        if self.phase is Phase.CLOSED:
            return
        reader = self.reader
        if exc is None and reader.close():
            reader.keeps_alive = False
            if self.phase is Phase.BODY:
                self._wake()  # the connection is closed when the response is released
                return
        if self.phase is Phase.HEAD:
            self._fail(self._unanswered())
        elif not reader.done:
            self._fail(Truncated("the upstream's answer was cut"))
        else:
            self.close()

    def _unanswered(self) -> UpstreamError | None:
        written_at = self._deadline - self._timeouts.headers
        is_at_once = self._is_writing or self._loop.time() < written_at + STALE
        if self.is_reused and self.reader.untouched and is_at_once:
            return None
        return UpstreamFailed(
            "the upstream closed the connection without an answer",
            sent=not self._is_writing or not self.reader.untouched,
            cause="closed",
        )

    def taken_failure(self) -> UpstreamError:
        """What it broke by, to be raised, once: a raised exception holds the connection, which must not hold it too."""
        failure, self.failure = self.failure, None
        return failure or Truncated("the connection was closed")

    def _fail(self, failure: UpstreamError | None) -> None:
        self.failure = failure
        self.close()

    def _wake(self, *, has_enough: bool = False) -> None:
        self._into = None
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(has_enough)

    def _resume(self) -> None:
        self._is_paused = False
        if self._transport is not None and self.phase is not Phase.CLOSED:
            self._transport.resume_reading()

    # the timer

    def _set_deadline(self, seconds: float) -> None:
        deadline = self._deadline = self._loop.time() + seconds
        if self._timer is None or deadline < self._timer_at - _SLACK:
            self._arm(deadline)

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if self.phase is Phase.BODY and self._waiter is None:
            return  # nobody waits; the next one who does arms it again
        if self._loop.time() < self._deadline - _SLACK:
            self._arm(self._deadline)
        else:
            self._expire()

    def _expire(self) -> None:
        if self.phase is Phase.HEAD:
            if self._is_writing and self._writes_on():
                return
            cause = "write" if self._is_writing else "headers"
            self._fail(
                TimedOut("the upstream did not answer in time", sent=not self._is_writing, cause=cause)
            )
        elif self.phase is Phase.BODY:
            self._fail(TimedOut("the upstream stopped sending", cause="idle"))
        else:
            self.close()

    def _writes_on(self) -> bool:
        assert self._transport is not None
        left = self._transport.get_write_buffer_size()
        if left >= self._unwritten:
            return False
        self._unwritten = left
        self._set_deadline(self._timeouts.write)
        return True


def _broken(error: InvalidResponse, *, in_body: bool) -> UpstreamError:
    text = "the upstream's answer is not valid HTTP"
    failure: UpstreamError = Malformed(text) if in_body else UpstreamFailed(text)
    failure.__cause__ = error
    return failure
