"""One attempt: one converted request on one leased account, until its answer has begun."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping

from aiclient2api.accounts.lease import Lease
from aiclient2api.errors import (
    CredentialsRejected,
    ErrorInfo,
    Malformed,
    MalformedMessage,
    TimedOut,
    UpstreamError,
)
from aiclient2api.gateway.bodies import (
    ANSWERED,
    MAX_ERROR_BYTES,
    NotAStream,
    content_type,
    error_in,
    frames_at_once,
    frames_of,
    has_error,
    is_json,
    unexpected,
    without_blame,
)
from aiclient2api.gateway.calls import Calls
from aiclient2api.gateway.failover import TokenRefused
from aiclient2api.gateway.retold import STREAM_TYPE, retold
from aiclient2api.gateway.time_limits import TimeLimits
from aiclient2api.gateway.upstream import Empty, Live, Whole
from aiclient2api.gateway.verdict import verdict
from aiclient2api.net.transport import Call, HttpStream, Timeouts, Transport
from aiclient2api.protocols.base import AnswerStream, Converter
from aiclient2api.protocols.conversion import Answer, Conversion
from aiclient2api.protocols.pivot_streams import FoldingStream
from aiclient2api.wire.http import WireResponse

FRAMING = 10
"""A stream of small deltas spends up to about this many times the bytes of its content."""
MIN_PRELUDE_BYTES = 256 * 1024


class Attempts:
    """Runs attempts over one transport. `timeouts` by account name, `answer_limit` in bytes of a unary answer."""

    def __init__(self, transport: Transport, timeouts: Mapping[str, Timeouts], answer_limit: int) -> None:
        self._transport = transport
        self._answer_limit = answer_limit
        self._limits = TimeLimits()
        self._calls = Calls(timeouts)

    def run(
        self, lease: Lease, protocol: Converter, conversion: Conversion, *, is_last: bool = False
    ) -> Coroutine[object, object, Whole | Live]:
        """The answer, begun or complete. Raises UpstreamError; the lease stays open then.

        `is_last`: nobody else is left to ask, so the first content may take as long as the whole answer may.
        """
        call = self._calls.call(lease.account, protocol.name, conversion, is_last)
        if conversion.streaming:
            return self._begin(lease, protocol, conversion, call)
        return self._ask(lease, protocol, conversion, call)

    async def _ask(self, lease: Lease, protocol: Converter, conversion: Conversion, call: Call) -> Whole:
        """A whole body is asked for."""
        opened: HttpStream | None = None
        generation, eof = lease.account.credentials.generation, call.timeouts.eof
        try:
            with self._limits.within(call.timeouts.total):
                opened = stream = await self._transport.send(call)
                if stream.status not in ANSWERED:
                    raise _renewed(lease, generation, await self._refusal(lease, protocol, stream, eof))
                body = await stream.read(self._answer_limit)
                await stream.release(eof)
                return _whole(lease, conversion, stream, body)
        except TimeoutError as error:
            raise _late(opened) from error
        except BaseException as error:
            _give_up(opened, error)
            raise

    async def _begin(
        self, lease: Lease, protocol: Converter, conversion: Conversion, call: Call
    ) -> Whole | Live:
        """A stream is asked for: up to its first content, or all of it for a unary client."""
        opened: HttpStream | None = None
        generation, timeouts = lease.account.credentials.generation, call.timeouts
        try:
            with self._limits.within(timeouts.first_content):
                opened = stream = await self._transport.send(call)
                if stream.status not in ANSWERED:
                    error = await self._refusal(lease, protocol, stream, timeouts.eof)
                    raise _renewed(lease, generation, error)
                answer = conversion.stream()
                frames = frames_at_once(protocol, stream)
                if frames is None:
                    try:
                        stream, frames = await frames_of(protocol, stream)
                    except NotAStream as other:
                        stream = other.stream
                        body = await self._other(lease, answer, stream, timeouts.eof)
                        if isinstance(answer, FoldingStream):
                            return _answered(lease, conversion, stream, body)
                        stream = retold(protocol, conversion.request, stream, body)
                        frames = protocol.frames(STREAM_TYPE)
                live = Live(stream, frames, answer, lease, timeouts)
                # a Responses prelude repeats the request twice
                await live.wait_for_content(MIN_PRELUDE_BYTES + 4 * len(call.body))
            if isinstance(answer, FoldingStream):
                if not live.is_done:  # what is short came with its first content
                    await self._collect(live, timeouts)
                await live.release()
                return _folded(lease, answer)
            live.lasting = self._limits.within(timeouts.total_stream)
            if live.is_empty:
                await live.release()
                raise Empty(live)
            return live
        except TimeoutError as error:
            raise _late(opened) from error
        except BaseException as error:
            _give_up(opened, error)
            raise

    async def _refusal(
        self, lease: Lease, protocol: Converter, stream: HttpStream, eof: float
    ) -> UpstreamError:
        status = f"status={stream.status}"
        if not 400 <= stream.status < 600:
            return Malformed(f"the upstream answered with status {stream.status}", cause=status)
        try:
            body = await stream.read(MAX_ERROR_BYTES)
            await stream.release(eof)
        except UpstreamError:
            stream.abort()
            body = b""  # the status is the verdict, whatever became of the text
        info = protocol.decode_error(WireResponse(status=stream.status, headers=stream.headers, body=body))
        error = without_blame(verdict(lease.account, info), body)
        error.cause = status
        return error

    async def _other(self, lease: Lease, answer: AnswerStream, stream: HttpStream, eof: float) -> bytes:
        """A stream was asked for and a plain body came: the whole answer, or an error. Raises UpstreamError."""
        body = await stream.read(self._answer_limit)
        if not is_json(body):
            raise unexpected(stream, body)
        error_in(answer, body)
        if answer.failure is not None:
            raise _told_with_status(lease, answer.failure, stream.status)
        await stream.release(eof)
        return body

    async def _collect(self, live: Live, timeouts: Timeouts) -> None:
        """A converted unary answer; nothing was sent to the client yet, so any failure may fail over."""
        live.limit = self._answer_limit * FRAMING
        with self._limits.within(timeouts.total):
            await live.pour(_kept)


def _renewed(lease: Lease, generation: int, error: UpstreamError) -> UpstreamError:
    """Whose token was refused may be asked again with the next one; a key that is refused stays so."""
    renew = lease.account.renew
    if not generation or renew is None or not isinstance(error, CredentialsRejected) or not renew(generation):
        return error
    refused = TokenRefused("the account's token is being renewed")
    refused.cause = error.cause
    return refused


def _told_with_status(lease: Lease, failure: ErrorInfo, status: int) -> UpstreamError:
    """An error that came with the status of an answer."""
    error = verdict(lease.account, failure)
    error.cause = f"error with status={status}"
    return error


def _kept(_: bytes, _is_last: bool) -> bool:
    """Nothing is passed on of an answer that is collected."""
    return True


def _whole(lease: Lease, conversion: Conversion, stream: HttpStream, body: bytes) -> Whole:
    """What came for a whole body. Raises UpstreamError."""
    if not is_json(body) and "json" not in content_type(stream):
        raise unexpected(stream, body)
    if has_error(body):
        answer = conversion.stream()
        error_in(answer, body)
        if answer.failure is not None:
            raise _told_with_status(lease, answer.failure, stream.status)
    return _answered(lease, conversion, stream, body)


def _answered(lease: Lease, conversion: Conversion, stream: HttpStream, body: bytes) -> Whole:
    try:
        answer = conversion.whole(WireResponse(status=stream.status, headers=stream.headers, body=body))
    except MalformedMessage as error:
        raise Malformed(f"the upstream broke its protocol: {error}") from error
    return _succeeded(lease, answer)


def _folded(lease: Lease, stream: FoldingStream) -> Whole:
    try:
        answer = stream.answer()
    except MalformedMessage as error:
        raise Malformed(f"the upstream broke its protocol: {error}") from error
    return _succeeded(lease, answer)


def _succeeded(lease: Lease, answer: Answer) -> Whole:
    whole = Whole(answer)
    if answer.is_empty:
        raise Empty(whole)
    lease.succeeded()
    return whole


def _late(opened: HttpStream | None) -> TimedOut:
    if opened is not None:
        opened.abort()
    cause = "headers" if opened is None else "first content"
    return TimedOut("the upstream did not answer in time", cause=cause)


def _give_up(opened: HttpStream | None, error: BaseException) -> None:
    """An answer without anything in it is one all the same: it may be all that there is."""
    if opened is not None and not isinstance(error, Empty):
        opened.abort()


def as_client_error(error: MalformedMessage) -> ErrorInfo:
    """A malformed request, told to its sender."""
    return ErrorInfo(kind="invalid", message=str(error), param=error.path or None)
