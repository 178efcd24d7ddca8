"""What all connections of one listener share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Final, Protocol

from aiclient2api.errors import ClientTimeout, GatewayError
from aiclient2api.server.asked import text_headers
from aiclient2api.server.http.head import Clock, encode_whole
from aiclient2api.server.http.settings import HttpSettings
from aiclient2api.server.pressure import Pressure
from aiclient2api.wire.http import WireRequest, WireResponse

if TYPE_CHECKING:
    from aiclient2api.server.http.connection import Connection
    from aiclient2api.server.http.exchange import HttpExchange

NOT_HTTP: Final = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Application(Protocol):
    """What answers requests, and words the refusal of what never becomes one."""

    def serve(self, client: HttpExchange) -> Coroutine[None, None, None]:
        """Answer one request. Cancelled when the client leaves."""
        ...

    def refusal(self, head: WireRequest, error: GatewayError) -> WireResponse:
        """The answer to a request that the HTTP layer refuses, in the form that its path tells."""
        ...


class Edge:
    """Open connections, the bounds, and how an answer begins."""

    def __init__(
        self,
        app: Application,
        settings: HttpSettings,
        loop: asyncio.AbstractEventLoop,
        pressure: Pressure,
        bug: Callable[[Exception], None],
    ) -> None:
        self.app = app
        self.settings = settings
        self.loop = loop
        self.pressure = pressure
        self.bug = bug
        self.connections: set[Connection] = set()
        self.is_draining = False
        self.on_left: Callable[[], None] | None = None
        self.date = Clock(loop.time).line

    def left(self) -> None:
        """A connection is gone."""
        if self.on_left is not None:
            self.on_left()

    def refusal(self, target: bytes, headers: list[tuple[bytes, bytes]], error: GatewayError) -> bytes:
        """The whole answer to a request that is not passed on, behind which the connection closes.

        It has the form of the path's protocol. Without a path there is no form, and to silence no answer.
        """
        if not target:
            return b"" if isinstance(error, ClientTimeout) else NOT_HTTP
        try:
            return self._worded(target, headers, error)
        except Exception as bug:  # whatever is wrong with the wording, the connection ends
            self.bug(bug)
            return NOT_HTTP

    def _worded(self, target: bytes, headers: list[tuple[bytes, bytes]], error: GatewayError) -> bytes:
        path, _, query = target.decode("latin-1").partition("?")
        head = WireRequest(path=path, query=query, headers=text_headers(headers))
        response = self.app.refusal(head, error)
        length = len(response.body)
        return (
            encode_whole(response.status, response.headers, length, self.date(), is_last=True) + response.body
        )
