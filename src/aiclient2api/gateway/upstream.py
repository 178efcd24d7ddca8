"""An answer that has begun: an open upstream, the conversion that reads it, and the lease that ends with it."""

from __future__ import annotations

from msgspec import Struct

from aiclient2api.accounts.lease import Lease
from aiclient2api.errors import ErrorInfo, Incomplete, Malformed, MalformedMessage, Truncated, UpstreamError
from aiclient2api.ir.response import Usage
from aiclient2api.net.transport import HttpStream
from aiclient2api.protocols.conversion import Answer, AnswerStream
from aiclient2api.providers.base import Provider
from aiclient2api.wire.frames import FrameDecoder

EOF_GRACE = 1.0
"""Seconds an upstream may keep the connection open after its terminal, before we close it ourselves."""


class Whole(Struct):
    """A complete answer."""

    answer: Answer


class Live:
    """A streamed answer. Nothing is kept but an unfinished frame and one batch. `seconds` is all it may take."""

    def __init__(
        self, stream: HttpStream, frames: FrameDecoder, answer: AnswerStream, lease: Lease, seconds: float
    ) -> None:
        self.seconds = seconds
        self.received = 0
        self._stream = stream
        self._frames = frames
        self._answer = answer
        self._lease = lease
        self._provider: Provider = lease.account.provider
        self._held = b""
        self._broken: Malformed | None = None

    @property
    def is_done(self) -> bool:
        """The upstream's terminal has passed: the bytes received so far are the whole answer."""
        return self._answer.ended and not self._held and not self._has_failed

    @property
    def _has_failed(self) -> bool:
        return self._broken is not None or self._answer.failure is not None

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

        Raises UpstreamError when the upstream fails first, or sends more than `limit` bytes of prelude.
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
        self._lease.begun()

    async def advance(self) -> None:
        """Read once more, for an answer that is collected and not passed on. Raises UpstreamError."""
        await self._next()
        self._raise_failure()

    async def receive(self) -> bytes:
        """The next bytes for the client, one per network read; empty when the answer is complete.

        Raises UpstreamError when the upstream fails: then `fail` makes the client's last bytes.
        """
        if self._held:
            held, self._held = self._held, b""
            return held
        while not self._answer.ended or self._has_failed:
            if out := await self._next():
                return out
        return b""

    async def _next(self) -> bytes:
        self._raise_failure()
        chunk = await self._stream.receive()
        self.received += len(chunk)
        out: list[bytes] = []
        try:
            if not chunk:
                return self._close()
            for frame in self._frames.feed(chunk):
                out.append(self._answer.feed(frame))  # what came before a bad frame must not get lost
                if self._answer.failure is not None or self._answer.ended:
                    break  # whatever an upstream says behind its end is no part of the answer
        except MalformedMessage as error:
            self._broken = Malformed(f"the upstream broke its protocol: {error}")
            self._broken.__cause__ = error
        if not any(out):
            self._raise_failure()
        return b"".join(out) if len(out) != 1 else out[0]

    def _close(self) -> bytes:
        if self._frames.close().strip() and not self._answer.ended:
            raise Truncated("the upstream's answer was cut inside an event")
        out = self._answer.close()
        self._raise_failure()
        if not self._answer.ended:
            raise Truncated("the upstream's answer ended without its terminal event")
        return out

    def _raise_failure(self) -> None:
        if self._broken is not None:
            raise self._broken
        failure = self._answer.failure
        if failure is None:
            return
        if failure.code == Incomplete.code:
            raise Incomplete(info=failure)
        raise self._provider.classify(failure)

    def fail(self, error: ErrorInfo) -> bytes:
        """The in-band error that ends the client's stream."""
        return self._answer.fail(error)

    def ping(self) -> bytes:
        """A keep-alive for the client."""
        return self._answer.ping()

    async def finish(self) -> None:
        """After the last byte was sent: the account did well, the connection may serve again."""
        self._lease.succeeded()
        await self._stream.release(EOF_GRACE)

    def abort(self, error: UpstreamError | None) -> None:
        """Close the upstream at once; `error` is the account's, None when the client left."""
        self._stream.abort()
        if error is None:
            self._lease.abandoned()
        else:
            self._lease.failed(error)
