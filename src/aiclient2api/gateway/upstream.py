"""An answer that has begun: an open upstream, the conversion that reads it, and the lease that ends with it.

How an answer ends is decided here and nowhere else. Taps and decoders say what they saw: content, a finish
reason, the terminal, an error event. `Live` sees what the connection did, and:

- nothing that looks like a normal end goes out unless the upstream told its finish reason;
- once it has, an end without the terminal, a reset, half an event or silence do no harm: the client gets the
  terminal that is missing, and whatever follows is dropped;
- anything else is a failure: before the first content it may be tried elsewhere, after it the client is told.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from aiclient2api.accounts.lease import Lease
from aiclient2api.errors import (
    EmptyAnswer,
    ErrorInfo,
    Incomplete,
    Malformed,
    MalformedMessage,
    TimedOut,
    Truncated,
    UpstreamError,
)
from aiclient2api.gateway.time_limits import TimeLimit
from aiclient2api.gateway.verdict import verdict
from aiclient2api.ir.response import Usage
from aiclient2api.net.transport import HttpStream, Timeouts
from aiclient2api.protocols.base import AnswerStream
from aiclient2api.protocols.conversion import Answer
from aiclient2api.wire.frames import Frame, FrameDecoder
from aiclient2api.wire.sse import last_event

_PINGS: Final = ("ping", "keepalive")
_TIDY_TAILS: Final = (b"", b"data: [DONE]", b"data:[DONE]")
"""What may be left of the last event when the upstream closes: the terminal needs no blank line behind it."""


Write = Callable[[bytes, bool], bool]
"""Takes bytes for the client, and whether they are the last; False when it takes nothing more for now."""


class Whole(Struct):
    """A complete answer."""

    answer: Answer


class Empty(EmptyAnswer):
    """An answer without anything in it. It is tried once more; `opened` is what there is if that is no better."""

    def __init__(self, opened: Whole | Live) -> None:
        super().__init__("the upstream's answer is empty")
        self.opened = opened


class Live:
    """A streamed answer. Nothing is kept but an unfinished frame and one batch."""

    __slots__ = (
        "_answer",
        "_broken",
        "_error",
        "_feed_all",
        "_frames",
        "_has_enough",
        "_held",
        "_is_released",
        "_lease",
        "_quiet_since",
        "_stream",
        "_taken_in",
        "_timeouts",
        "_write",
        "events",
        "lasting",
        "limit",
        "mute_at",
    )

    lasting: TimeLimit
    """All the time that the answer may take, for who passes it on."""

    def __init__(
        self, stream: HttpStream, frames: FrameDecoder, answer: AnswerStream, lease: Lease, timeouts: Timeouts
    ) -> None:
        self.limit = sys.maxsize
        """Bytes that may come for the answer of a unary client."""
        self._taken_in = 0
        self.events = 0
        self.mute_at = 0
        """`events` behind the last read that was nothing to the client."""
        self._stream = stream
        self._frames = frames
        self._answer = answer
        self._feed_all: Callable[[list[Frame], list[bytes]], None] | None = getattr(answer, "feed_all", None)
        """See BatchStream: not every answer is one."""
        self._lease = lease
        self._timeouts = timeouts
        self._held = b""
        self._write: Write = _nowhere
        self._has_enough = False
        """The client takes nothing more for now."""
        self._error: Exception | None = None
        """What must not be raised where a read is taken: there it would be the connection's."""
        self._is_released = False
        self._broken: UpstreamError | None = None
        self._quiet_since = 0.0
        """When the first of a row of pings came; 0 while content comes."""

    @property
    def is_done(self) -> bool:
        """The upstream's terminal has passed: the bytes received so far are the whole answer."""
        return self._answer.ended and not self._held and self._broken is None and self._answer.failure is None

    @property
    def is_empty(self) -> bool:
        """A success without content, tokens or a reason for having none."""
        answer = self._answer
        has_output = answer.usage is not None and bool(answer.usage.output)
        return answer.ended and not (answer.content or answer.refused or has_output)

    @property
    def usage(self) -> Usage | None:
        """Token counts so far."""
        return self._answer.usage

    @property
    def response_id(self) -> str:
        """The upstream's id of the answer."""
        return self._answer.response_id

    async def wait_for_content(self, limit: int) -> None:
        """Read up to the first content event, holding the prelude back: until here failover is invisible.

        Raises UpstreamError when the upstream fails first or sends more than `limit` bytes of prelude.
        """
        held: list[bytes] = []
        size = 0
        while not (self._answer.content or self._answer.ended):
            if size > limit:
                raise Malformed("the upstream's answer does not begin")
            held.append(await self._next())
            size += len(held[-1])
        self._raise_failure()
        self._held = b"".join(held)
        if not self.is_empty:
            self._lease.begun()

    async def pour(self, write: Write) -> None:
        """Hand what is for the client to `write`, one call per network read, until that returns False.

        Returns as well when the answer is complete. Raises UpstreamError when the upstream fails: then `fail` makes
        the client's last bytes.
        """
        self._write = write
        self._has_enough = False
        if self._held:
            held, self._held = self._held, b""
            self._pass_on(held)
        while not self._has_enough and (not self._answer.ended or self._is_failing):
            await self._pour()

    async def _pour(self) -> None:
        """Read until the client or the answer has enough, or the answer is nearly over and must not take long."""
        answer = self._answer
        self._raise_failure()
        try:
            if answer.finished and not answer.goes_on:
                async with asyncio.timeout(self._timeouts.eof):
                    has_ended = await self._stream.pour(self._take)
            else:
                has_ended = await self._stream.pour(self._take)
        except (TimeoutError, UpstreamError) as error:
            self._pass_on(self._over(_late(error)))
            return
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        if has_ended and not answer.ended:
            self._pass_on(self._ended())

    def _take(self, chunk: bytes) -> bool:
        """A read, from the upstream's connection to the client's at once; whether to go on."""
        try:
            out = self._convert(chunk)
            if not out:
                return self._took_in(len(chunk))
            answer = self._answer
            if answer.finished or answer.ended or answer.failure is not None or self._broken is not None:
                self._pass_on(out)
                return not self._has_enough and self._may_go_on
            if self._write(out, False):
                return True
            self._has_enough = True
        except Exception as error:  # raised again by who waits for the stream
            self._error = error
        return False

    def _took_in(self, size: int) -> bool:
        """A read that is nothing to the client, or not yet; whether to go on."""
        self.mute_at = self.events
        self._taken_in += size
        if self._taken_in > self.limit:
            self._error = Malformed("the upstream's answer is too large")
            return False
        return self._may_go_on

    def _pass_on(self, out: bytes) -> None:
        """Bytes that may be the last ones."""
        if out and not self._write(out, self.is_done):
            self._has_enough = True

    @property
    def _is_failing(self) -> bool:
        return self._broken is not None or self._answer.failure is not None

    @property
    def _may_go_on(self) -> bool:
        """Whether content may follow what was no content: an end, or the reason for one, or a failure."""
        answer = self._answer
        return not (self._is_failing or answer.ended) and (answer.goes_on or not answer.finished)

    async def _next(self) -> bytes:
        answer = self._answer
        self._raise_failure()
        try:
            if answer.finished and not answer.goes_on:
                async with asyncio.timeout(self._timeouts.eof):
                    chunk = await self._stream.receive()
            else:
                chunk = await self._stream.receive()
        except (TimeoutError, UpstreamError) as error:
            return self._over(_late(error))
        if not chunk:
            return self._ended()
        out = self._convert(chunk)
        if not out:
            self._raise_failure()
        return out

    def _convert(self, chunk: bytes) -> bytes:
        """What one network read is to the client. Raises UpstreamError."""
        answer = self._answer
        try:
            frames = self._frames.feed(chunk)
            count = len(frames)
            self.events += count
            if count == 1:
                frame = frames[0]
                out = answer.feed(frame)
                if not frame.data or frame.event in _PINGS:
                    self._check_quiet()
                elif self._quiet_since:
                    self._quiet_since = 0.0
            else:
                out = self._feed(frames)
        except MalformedMessage as error:
            out = self._over(_broken(error))
        return out

    def _feed(self, frames: list[Frame]) -> bytes:
        """Several frames of one read. What came before a bad one must not get lost."""
        out: list[bytes] = []
        answer = self._answer
        try:
            if self._feed_all is not None:
                self._feed_all(frames, out)
            else:
                for frame in frames:
                    out.append(answer.feed(frame))
                    if answer.failure is not None or answer.ended:
                        break  # whatever an upstream says behind its end is no part of the answer
        except MalformedMessage as error:
            if answer.finished and not answer.goes_on:
                out.append(answer.close())
            else:
                self._broken = _broken(error)
        if any(frame.data and frame.event not in _PINGS for frame in frames):
            self._quiet_since = 0.0
        elif frames:
            self._check_quiet()
        return b"".join(out)

    def _over(self, error: UpstreamError | None) -> bytes:
        """Nothing more can be had of the upstream, because of `error` or None: was that the end?"""
        answer = self._answer
        if answer.finished and (error is None or not answer.goes_on):
            out = answer.close()
            self._raise_failure()
            if answer.ended:
                return out
        raise error or Truncated("the upstream's answer ended without its terminal event")

    def _ended(self) -> bytes:
        """The body is over: whatever has no blank line behind it is the last event, or a piece of one."""
        rest = self._frames.close()
        if rest.strip() in _TIDY_TAILS:
            return self._over(None)
        event = last_event(rest)
        out = self._convert(event) if event else b""
        return out + self._over(None if event else Truncated("the upstream's answer was cut inside an event"))

    def _check_quiet(self) -> None:
        """An upstream that only pings is as silent as one that says nothing."""
        now = asyncio.get_running_loop().time()
        if not self._quiet_since:
            self._quiet_since = now
        elif now - self._quiet_since > self._timeouts.semantic_idle:
            self._broken = TimedOut("the upstream sends nothing but pings", cause="pings only")

    def _raise_failure(self) -> None:
        if self._broken is not None:
            raise self._broken
        failure = self._answer.failure
        if failure is None:
            return
        if failure.code == Incomplete.code:
            raise Incomplete(info=failure)
        raise verdict(self._lease.account, failure)

    def fail(self, error: ErrorInfo) -> bytes:
        """The in-band error that ends the client's stream."""
        return self._answer.fail(error)

    def ping(self) -> bytes:
        """A keep-alive for the client."""
        return self._answer.ping()

    async def release(self) -> None:
        """The upstream has nothing more to say: its connection may serve again. Idempotent."""
        if not self._is_released:
            self._is_released = True
            await self._stream.release(self._timeouts.eof)

    async def finish(self) -> None:
        """After the last byte was sent: the account did well."""
        self._lease.succeeded()
        await self.release()

    def abort(self, error: UpstreamError | None) -> None:
        """Close the upstream at once; `error` is the account's, None when the client left."""
        if not self._is_released:
            self._is_released = True
            self._stream.abort()
        if error is None:
            self._lease.abandoned()
        else:
            self._lease.failed(error)


def _nowhere(_: bytes, _is_last: bool) -> bool:
    """Before anybody takes anything."""
    return False


def _late(error: TimeoutError | UpstreamError) -> UpstreamError:
    return error if isinstance(error, UpstreamError) else TimedOut("no end in time", cause="eof")


def _broken(error: MalformedMessage) -> Malformed:
    broken = Malformed(f"the upstream broke its protocol: {error}")
    broken.__cause__ = error
    return broken
