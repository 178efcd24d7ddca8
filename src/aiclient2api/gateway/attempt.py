"""One attempt: one converted request on one leased account, until its answer has begun."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from urllib.parse import quote

import msgspec

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.lease import Lease
from aiclient2api.errors import (
    BadRequest,
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
    frames_of,
    has_error,
    is_json,
    unexpected,
    without_blame,
)
from aiclient2api.gateway.failover import TokenRefused
from aiclient2api.gateway.time_limits import TimeLimits
from aiclient2api.gateway.upstream import Empty, Live, Whole
from aiclient2api.net.transport import Call, HttpStream, Timeouts, Transport
from aiclient2api.protocols.base import AnswerStream, Converter
from aiclient2api.protocols.conversion import Answer, Conversion
from aiclient2api.protocols.pivot_streams import FoldingStream
from aiclient2api.wire.http import WireRequest, WireResponse

FRAMING = 10
"""A stream of small deltas spends up to about this many times the bytes of its content."""
MIN_PRELUDE_BYTES = 256 * 1024
USER_AGENT = "aiclient2api"
KEPT = 1024
"""Different time-outs, and different paths, that are worked out once."""


class Attempts:
    """Runs attempts over one transport. `timeouts` by account name, `answer_limit` in bytes of a unary answer."""

    def __init__(self, transport: Transport, timeouts: Mapping[str, Timeouts], answer_limit: int) -> None:
        self._transport = transport
        self._timeouts = timeouts
        self._answer_limit = answer_limit
        self._limits = TimeLimits()

    async def run(
        self,
        lease: Lease,
        protocol: Converter,
        conversion: Conversion,
        *,
        is_last: bool = False,
    ) -> Whole | Live:
        """The answer, begun or complete. Raises UpstreamError; the lease stays open then.

        `is_last`: nobody else is left to ask, so the first content may take as long as the whole answer may.
        """
        timeouts = patience(self._timeouts[lease.account.name], conversion, is_last=is_last)
        opened: HttpStream | None = None
        generation = lease.account.credentials.generation
        try:
            with self._limits.within(timeouts.first_content if conversion.streaming else timeouts.total):
                opened = stream = await self._transport.send(
                    upstream_call(
                        lease.account,
                        protocol.name,
                        conversion.request,
                        timeouts,
                        streaming=conversion.streaming,
                    )
                )
                if stream.status not in ANSWERED:
                    raise _renewed(
                        lease, generation, await self._refusal(lease, protocol, stream, timeouts.eof)
                    )
                if not conversion.streaming:
                    return await self._whole(lease, conversion, stream, timeouts.eof)
                answer = conversion.stream()
                try:
                    stream, frames = await frames_of(protocol, stream)
                except NotAStream as other:
                    return await self._other(lease, conversion, answer, other.stream, timeouts.eof)
                live = Live(stream, frames, answer, lease, timeouts)
                live.lasting = self._limits.within(timeouts.total_stream)
                # a Responses prelude repeats the request twice
                await live.wait_for_content(MIN_PRELUDE_BYTES + 4 * len(conversion.request.body))
            if isinstance(answer, FoldingStream):
                return await self._fold(live, answer, timeouts)
            if live.is_empty:
                await live.release()
                raise Empty(live)
            return live
        except Empty:
            raise
        except TimeoutError as error:
            if opened is not None:
                opened.abort()
            cause = "headers" if opened is None else "first content"
            raise TimedOut("the upstream did not answer in time", cause=cause) from error
        except BaseException:
            if opened is not None:
                opened.abort()
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
        error = without_blame(lease.account.provider.classify(info), body)
        error.cause = status
        return error

    async def _whole(self, lease: Lease, conversion: Conversion, stream: HttpStream, eof: float) -> Whole:
        body = await stream.read(self._answer_limit)
        await stream.release(eof)
        if not is_json(body) and "json" not in content_type(stream):
            raise unexpected(stream, body)
        if has_error(body):
            answer = conversion.stream()
            error_in(answer, body)
            if answer.failure is not None:
                raise _told_with_status(lease, answer.failure, stream.status)
        response = WireResponse(status=stream.status, headers=stream.headers, body=body)
        whole = _checked(partial(conversion.whole, response))
        lease.succeeded()
        return whole

    async def _other(
        self, lease: Lease, conversion: Conversion, answer: AnswerStream, stream: HttpStream, eof: float
    ) -> Whole:
        """A stream was asked for and a plain body came: an error, or the whole answer for a unary client."""
        body = await stream.read(self._answer_limit)
        if not is_json(body):
            raise unexpected(stream, body)
        error_in(answer, body)
        if answer.failure is not None:
            raise _told_with_status(lease, answer.failure, stream.status)
        if not isinstance(answer, FoldingStream):
            raise unexpected(stream, body)
        await stream.release(eof)
        response = WireResponse(status=stream.status, headers=stream.headers, body=body)
        whole = _checked(partial(conversion.whole, response))
        lease.succeeded()
        return whole

    async def _fold(self, live: Live, answer: FoldingStream, timeouts: Timeouts) -> Whole:
        """Collect a converted unary answer; nothing was sent to the client yet, so any failure may fail over."""
        live.limit = self._answer_limit * FRAMING
        if not live.is_done:  # what is short came with its first content
            with self._limits.within(timeouts.total):
                await live.pour(_kept)
        await live.release()
        whole = _checked(answer.answer)
        await live.finish()
        return whole


def patience(timeouts: Timeouts, conversion: Conversion, *, is_last: bool) -> Timeouts:
    """The time-outs of one attempt: models that always think first get longer ones."""
    if not conversion.thinks and not is_last:
        return timeouts
    return _stretched(timeouts, thinks=conversion.thinks, is_last=is_last)


@lru_cache(KEPT)
def _stretched(timeouts: Timeouts, *, thinks: bool, is_last: bool) -> Timeouts:
    if thinks:
        timeouts = msgspec.structs.replace(
            timeouts,
            headers=max(timeouts.headers, timeouts.reasoning_headers),
            first_content=max(timeouts.first_content, timeouts.reasoning_first_content),
        )
    if is_last:
        timeouts = msgspec.structs.replace(
            timeouts, first_content=max(timeouts.first_content, timeouts.total)
        )
    return timeouts


@lru_cache(KEPT)
def _unary(timeouts: Timeouts) -> Timeouts:
    """A unary answer may take all of its time before the first byte."""
    return msgspec.structs.replace(timeouts, headers=timeouts.total, idle=timeouts.total)


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
    error = lease.account.provider.classify(failure)
    error.cause = f"error with status={status}"
    return error


def upstream_call(
    account: Account, protocol: str, request: WireRequest, timeouts: Timeouts, *, streaming: bool
) -> Call:
    """A converted request, signed and addressed for one account."""
    signed = account.provider.sign(request, protocol, account.credentials)
    headers = dict(signed.headers)
    if signed.body:
        headers.setdefault("content-type", "application/json")
    headers.setdefault("user-agent", USER_AGENT)
    headers["accept"] = "text/event-stream, application/json" if streaming else "application/json"
    headers.update(account.settings.headers)
    url = account.provider.url(protocol, _upstream_path(signed.path))
    return Call(
        url=f"{url}?{signed.query}" if signed.query else url,
        method=signed.method,
        headers=tuple(headers.items()),
        body=signed.body,
        pool=account.provider_name,
        timeouts=timeouts if streaming else _unary(timeouts),
        proxy=account.settings.proxy,
        ca=account.settings.ca,
    )


@lru_cache(KEPT)
def _upstream_path(path: str) -> str:
    """The path as it is sent. A model name is the client's: it must not lead anywhere else on the upstream's host."""
    if "/." in f"/{path}" and any(segment in (".", "..") for segment in path.split("/")):
        raise BadRequest("the model name is not valid")
    return quote(path, safe="/:@!$&'()*+,;=-._~")


def _kept(_: bytes, _is_last: bool) -> bool:
    """Nothing is passed on of an answer that is collected."""
    return True


def _checked(make: Callable[[], Answer]) -> Whole:
    try:
        answer = make()
    except MalformedMessage as error:
        raise Malformed(f"the upstream broke its protocol: {error}") from error
    if answer.is_empty:
        raise Empty(Whole(answer))
    return Whole(answer)


def as_client_error(error: MalformedMessage) -> ErrorInfo:
    """A malformed request, told to its sender."""
    return ErrorInfo(kind="invalid", message=str(error), param=error.path or None)
