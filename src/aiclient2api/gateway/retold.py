"""A whole answer that came where a stream was asked for, told as the stream that it would have been.

Servers that know no streams ignore that one was asked for; their answer is complete all the same.
"""

from __future__ import annotations

from collections.abc import Callable

from aiclient2api.errors import Malformed, MalformedMessage
from aiclient2api.ir.fold import unfold
from aiclient2api.ir.request import ModelRequest
from aiclient2api.net.transport import HttpStream
from aiclient2api.protocols.base import Converter
from aiclient2api.protocols.conversion import require_ends
from aiclient2api.protocols.cut_calls import settled
from aiclient2api.wire.http import WireRequest, WireResponse

STREAM_TYPE = "text/event-stream"


class RetoldStream:
    """The events of a whole answer as a body that has arrived; see HttpStream. Its connection was given back before."""

    def __init__(self, stream: HttpStream, body: bytes) -> None:
        self.status = stream.status
        self.headers = stream.headers
        self._body = body

    async def receive(self) -> bytes:
        """See HttpStream."""
        body, self._body = self._body, b""
        return body

    async def pour(self, into: Callable[[bytes], bool]) -> bool:
        """See HttpStream."""
        body, self._body = self._body, b""
        return not body or into(body)

    async def read(self, limit: int) -> bytes:
        """See HttpStream."""
        del limit  # it was read within one
        return await self.receive()

    async def release(self, grace: float) -> None:
        """See HttpStream."""

    def abort(self) -> None:
        """See HttpStream."""


def retold(protocol: Converter, asked: WireRequest, stream: HttpStream, body: bytes) -> RetoldStream:
    """`body` as events of its own `protocol`. Raises Malformed when it is no whole answer."""
    try:
        # members are kept as they are, and the line breaks of an indented body would end their event
        line = body.replace(b"\r", b" ").replace(b"\n", b" ")
        answer = protocol.decode_response(
            WireResponse(status=stream.status, headers=stream.headers, body=line)
        )
        require_ends(answer)
        own: Callable[[bytes], bytes] | None = getattr(protocol, "retold", None)
        if own is not None:  # see RetellingConverter
            return RetoldStream(stream, own(line))
        encoder = protocol.stream_encoder(_request(protocol, asked, answer.model))
        events = settled(unfold(answer), protocol.name, streamed=False)
        return RetoldStream(stream, b"".join([encoder.feed(event) for event in events]))
    except MalformedMessage as error:
        raise Malformed(f"the upstream broke its protocol: {error}") from error


def _request(protocol: Converter, asked: WireRequest, model: str) -> ModelRequest:
    """What an encoder needs to know of the request; where only the upstream understood it, next to nothing."""
    try:
        return protocol.decode_request(asked)
    except MalformedMessage:
        return ModelRequest(protocol=protocol.name, model=model, stream="sse")
