"""What an upstream's body really is, where its status or its content type say something else.

Compatible servers send good streams with a wrong content type and errors with status 200; what stands in front of
an upstream answers with pages of its own, which are neither the upstream's words nor the client's business.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Raw, Struct

from aiclient2api.errors import (
    Malformed,
    MalformedMessage,
    ModelMissing,
    Rejected,
    UpstreamError,
    UpstreamFailed,
)
from aiclient2api.net.transport import HttpStream
from aiclient2api.protocols.base import AnswerStream, Converter
from aiclient2api.wire.frames import Frame, FrameDecoder
from aiclient2api.wire.http import find_header

MAX_ERROR_BYTES = 1024 * 1024
ANSWERED: Final = (200, 201)
"""Statuses of an answer. 204 has none, 206 is a part of one."""
_SNIFFED: Final = 6
_EVENT: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:data:|event:|:)")


class _Outer(Struct):
    error: Raw = Raw()


class BegunStream:
    """An open response whose first bytes were looked at already."""

    def __init__(self, stream: HttpStream, first: bytes) -> None:
        self.status = stream.status
        self.headers = stream.headers
        self.release = stream.release
        self.abort = stream.abort
        self._stream = stream
        self._first = first

    async def receive(self) -> bytes:
        """See HttpStream."""
        first, self._first = self._first, b""
        return first or await self._stream.receive()

    async def pour(self, into: Callable[[bytes], bool]) -> bool:
        """See HttpStream."""
        first, self._first = self._first, b""
        if first and not into(first):
            return False
        return await self._stream.pour(into)

    async def read(self, limit: int) -> bytes:
        """See HttpStream."""
        first, self._first = self._first, b""
        return first + await self._stream.read(max(0, limit - len(first)))


class NotAStream(Exception):
    """A stream was asked for and something else came."""

    def __init__(self, stream: BegunStream) -> None:
        super().__init__("not a stream")
        self.stream = stream


def frames_at_once(protocol: Converter, stream: HttpStream) -> FrameDecoder | None:
    """How this stream is cut, by its content type; None when its first bytes must tell."""
    try:
        return protocol.frames(content_type(stream))
    except MalformedMessage:
        return None


async def frames_of(protocol: Converter, stream: HttpStream) -> tuple[HttpStream, FrameDecoder]:
    """How this stream is cut, by its first bytes. Raises NotAStream."""
    first = await stream.receive()
    while (
        first
        and len(first.strip()) < _SNIFFED
        and len(first) < MAX_ERROR_BYTES
        and (more := await stream.receive())
    ):
        first += more
    begun = BegunStream(stream, first)
    if _EVENT.match(first) is None:
        raise NotAStream(begun)
    return begun, protocol.frames("text/event-stream")


def content_type(stream: HttpStream) -> str:
    """The content type as the upstream states it."""
    return find_header(stream.headers, "content-type") or ""


def is_json(body: bytes) -> bool:
    """Whether a body looks like a message of any of our protocols."""
    return body.lstrip()[:1] in (b"{", b"[")


def has_error(body: bytes) -> bool:
    """Whether a JSON body is an error object: none of the protocols has an `error` in a good answer."""
    if b'"error"' not in body:
        return False
    try:
        error = msgspec.json.decode(body, type=_Outer).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return bytes(error) not in (b"", b"null")


def error_in(answer: AnswerStream, body: bytes) -> None:
    """Let a stream's own decoder read an error that came as a plain body: it sets `failure` when it is one."""
    if has_error(body):
        try:
            answer.feed(Frame(b"", body))
        except MalformedMessage:
            return


def unexpected(stream: HttpStream, body: bytes) -> Malformed:
    """Neither an answer nor an error of the upstream's protocol."""
    what = "nothing" if not body.strip() else f"content type {content_type(stream)[:80]!r}"
    cause = f"status={stream.status} type={_word(content_type(stream))}"
    return Malformed(f"the upstream answered with {what} instead of its protocol", cause=cause)


def without_blame(error: UpstreamError, body: bytes) -> UpstreamError:
    """A page that is not the upstream's protocol says nothing about the client's request, whatever its status."""
    if isinstance(error, Rejected | ModelMissing) and not is_json(body):
        return UpstreamFailed("the upstream answered with something that is not its protocol")
    return error


def _word(text: str) -> str:
    return re.sub(r"[^a-z0-9/+.-]", "", text.partition(";")[0].lower())[:60] or "none"
