"""An upstream inside the process: a transport whose answers are scripted by the host of the request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from aiclient2api.errors import Truncated, UpstreamError
from aiclient2api.net.transport import Call, HttpStream, pour_received
from aiclient2api.wire.http import Headers

SSE: Headers = (("content-type", "text/event-stream"),)
JSON: Headers = (("content-type", "application/json"),)
Piece = bytes | UpstreamError


class Script:
    """One answer: what comes before the status is an error, pieces are network reads."""

    def __init__(self, *pieces: Piece, status: int = 200, headers: Headers = SSE) -> None:
        self.pieces = pieces
        self.status = status
        self.headers = headers


class ScriptedStream:
    """See HttpStream."""

    def __init__(self, script: Script) -> None:
        self.status = script.status
        self.headers = script.headers
        self._pieces = list(script.pieces)

    async def receive(self) -> bytes:
        """The next piece."""
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, UpstreamError):
            raise piece
        return piece

    async def pour(self, into: Callable[[bytes], bool]) -> bool:
        """Piece by piece."""
        return await pour_received(self.receive, into)

    async def read(self, limit: int) -> bytes:
        """All of it."""
        parts: list[bytes] = []
        while part := await self.receive():
            parts.append(part)
        return b"".join(parts)

    async def release(self, grace: float) -> None:
        """Nothing is kept."""

    def abort(self) -> None:
        """Nothing is open."""


class ScriptedTransport:
    """See Transport. `scripts` by host name: an answer, or an error before there is any."""

    def __init__(self, scripts: Mapping[str, Callable[[], Script | UpstreamError]]) -> None:
        self.scripts = dict(scripts)
        self.calls: Counter[str] = Counter()

    async def send(self, call: Call) -> HttpStream:
        """The scripted answer."""
        host = urlsplit(call.url).hostname or ""
        self.calls[host] += 1
        script = self.scripts[host]()
        if isinstance(script, UpstreamError):
            raise script
        return ScriptedStream(script)

    async def close(self) -> None:
        """Nothing is open."""


def cut() -> UpstreamError:
    """What a transport raises when a body breaks off."""
    return Truncated("the upstream's answer was cut")
