"""One attempt: one converted request on one leased account, until its answer has begun."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import quote

import msgspec

from aiclient2api.accounts.account import Account
from aiclient2api.accounts.lease import Lease
from aiclient2api.errors import (
    BadRequest,
    EmptyAnswer,
    ErrorInfo,
    Malformed,
    MalformedMessage,
    TimedOut,
    UpstreamError,
)
from aiclient2api.gateway.upstream import EOF_GRACE, Live, Whole
from aiclient2api.net.transport import Call, HttpStream, Timeouts, Transport
from aiclient2api.protocols.base import Converter
from aiclient2api.protocols.conversion import Answer, Conversion
from aiclient2api.protocols.pivot import FoldingStream
from aiclient2api.wire.frames import FrameDecoder
from aiclient2api.wire.http import WireRequest, WireResponse, find_header

MAX_ERROR_BYTES = 1024 * 1024
FRAMING = 10
"""A stream of small deltas spends up to about this many times the bytes of its content."""
MIN_PRELUDE_BYTES = 256 * 1024
USER_AGENT = "aiclient2api"


class Attempts:
    """Runs attempts over one transport. `timeouts` by account name, `answer_limit` in bytes of a unary answer."""

    def __init__(self, transport: Transport, timeouts: Mapping[str, Timeouts], answer_limit: int) -> None:
        self._transport = transport
        self._timeouts = timeouts
        self._answer_limit = answer_limit

    async def run(self, lease: Lease, protocol: Converter, conversion: Conversion) -> Whole | Live:
        """The answer, begun or complete. Raises UpstreamError; the lease stays open then."""
        timeouts = self._timeouts[lease.account.name]
        stream: HttpStream | None = None
        limit = timeouts.first_content if conversion.streaming else timeouts.total
        try:
            async with asyncio.timeout(limit):
                stream = await self._transport.send(
                    upstream_call(
                        lease.account,
                        protocol.name,
                        conversion.request,
                        timeouts,
                        streaming=conversion.streaming,
                    )
                )
                if stream.status >= 400:
                    raise await self._refusal(lease, protocol, stream)
                if not 200 <= stream.status < 300:
                    raise Malformed(f"the upstream answered with status {stream.status}")
                if not conversion.streaming:
                    return await self._whole(lease, conversion, stream)
                answer = conversion.stream()
                live = Live(stream, _frames(protocol, stream), answer, lease, timeouts.total_stream)
                # a Responses prelude repeats the request twice
                await live.wait_for_content(MIN_PRELUDE_BYTES + 4 * len(conversion.request.body))
            if isinstance(answer, FoldingStream):
                return await self._fold(live, answer, timeouts)
            return live
        except TimeoutError as error:
            if stream is not None:
                stream.abort()
            raise TimedOut("the upstream did not answer in time") from error
        except BaseException:
            if stream is not None:
                stream.abort()
            raise

    async def _refusal(self, lease: Lease, protocol: Converter, stream: HttpStream) -> UpstreamError:
        try:
            body = await stream.read(MAX_ERROR_BYTES)
            await stream.release(EOF_GRACE)
        except UpstreamError:
            stream.abort()
            body = b""  # the status is the verdict, whatever became of the text
        info = protocol.decode_error(WireResponse(status=stream.status, headers=stream.headers, body=body))
        return lease.account.provider.classify(info)

    async def _whole(self, lease: Lease, conversion: Conversion, stream: HttpStream) -> Whole:
        content_type = find_header(stream.headers, "content-type") or ""
        if "json" not in content_type:
            raise Malformed(f"the upstream answered with content type {content_type[:80]!r}")
        body = await stream.read(self._answer_limit)
        await stream.release(EOF_GRACE)
        response = WireResponse(status=stream.status, headers=stream.headers, body=body)
        whole = _checked(lambda: conversion.whole(response))
        lease.succeeded()
        return whole

    async def _fold(self, live: Live, answer: FoldingStream, timeouts: Timeouts) -> Whole:
        """Collect a converted unary answer; nothing was sent to the client yet, so any failure may fail over."""
        async with asyncio.timeout(timeouts.total):
            while not live.is_done:
                await live.advance()
                if live.received > self._answer_limit * FRAMING:
                    raise Malformed("the upstream's answer is too large")
        whole = _checked(answer.answer)
        await live.finish()
        return whole


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
    if not streaming:  # a unary answer may take all of its time before the first byte
        timeouts = msgspec.structs.replace(timeouts, headers=timeouts.total, idle=timeouts.total)
    return Call(
        url=f"{url}?{signed.query}" if signed.query else url,
        method=signed.method,
        headers=tuple(headers.items()),
        body=signed.body,
        pool=account.provider_name,
        timeouts=timeouts,
        proxy=account.settings.proxy,
        ca=account.settings.ca,
    )


def _frames(protocol: Converter, stream: HttpStream) -> FrameDecoder:
    try:
        return protocol.frames(find_header(stream.headers, "content-type") or "")
    except MalformedMessage as error:
        raise Malformed(f"the upstream broke its protocol: {error}") from error


def _upstream_path(path: str) -> str:
    """The path as it is sent. A model name is the client's: it must not lead anywhere else on the upstream's host."""
    if any(segment in (".", "..") for segment in path.split("/")):
        raise BadRequest("the model name is not valid")
    return quote(path, safe="/:@!$&'()*+,;=-._~")


def _checked(make: Callable[[], Answer]) -> Whole:
    try:
        answer = make()
    except MalformedMessage as error:
        raise Malformed(f"the upstream broke its protocol: {error}") from error
    if answer.is_empty:
        raise EmptyAnswer("the upstream's answer is empty")
    return Whole(answer)


def as_client_error(error: MalformedMessage) -> ErrorInfo:
    """A malformed request, told to its sender."""
    return ErrorInfo(kind="invalid", message=str(error), param=error.path or None)
