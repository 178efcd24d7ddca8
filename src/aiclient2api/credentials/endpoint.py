"""The token endpoint over HTTP. Every call has a connection of its own: nothing may send a refresh token twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from aiclient2api.credentials.grant import Answer, Grant, Lost, Unsent, read_answer, token_request
from aiclient2api.errors import TimedOut, UpstreamError
from aiclient2api.net.lean import LeanTransport
from aiclient2api.net.transport import Call, Timeouts
from aiclient2api.providers.credentials import Secret
from aiclient2api.wire.retry_after import retry_after

TIMEOUT: Final = 10.0
"""Seconds for one call."""
MAX_ANSWER: Final = 256 * 1024
_TIMEOUTS: Final = Timeouts(
    dns=2.0, connect=3.0, tls=3.0, write=3.0, headers=TIMEOUT, idle=TIMEOUT, total=TIMEOUT
)


class TokenEndpoint:
    """Asks for tokens over HTTP. `wall` is Unix time, for assertions; `nonce` makes them unique."""

    def __init__(self, wall: Callable[[], float], nonce: Callable[[], str]) -> None:
        self._wall = wall
        self._nonce = nonce

    async def ask(
        self, grant: Grant, refresh: Secret | None, proxy: str | None = None, ca: str | None = None
    ) -> Answer:
        """One request, never repeated. Never raises but when it is cancelled."""
        request = token_request(grant, refresh, self._wall(), self._nonce())
        call = Call(
            url=grant.token_url,
            method="POST",
            headers=(*request.headers, ("user-agent", "aiclient2api")),
            body=request.body,
            pool="token",
            timeouts=_TIMEOUTS,
            proxy=proxy,
            ca=ca,
        )
        transport = LeanTransport()
        try:
            async with asyncio.timeout(TIMEOUT):
                stream = await transport.send(call)
                body = await stream.read(MAX_ANSWER)
            return read_answer(grant, stream.status, body, retry_after(stream.headers) or 0.0)
        except TimedOut as error:
            return Lost("timeout") if error.sent else Unsent("timeout")
        except UpstreamError as error:
            code = error.cause or error.info.label
            return Lost(code) if error.sent else Unsent(code)
        except TimeoutError:
            return Lost("timeout")
        finally:
            await transport.close()
