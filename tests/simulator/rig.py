"""Calls the simulator as a server would, without a socket."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from typing import Any, NamedTuple

from aiclient2api.simulator import Simulator

NOW = 1_790_000_000.0


class Response(NamedTuple):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def simulator(**settings: Any) -> Simulator:
    """A simulator with a clock that stands still."""
    from aiclient2api.simulator import SimulatorSettings

    return Simulator(SimulatorSettings(**settings), clock=lambda: NOW)


async def call(
    app: Simulator,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    method: str = "POST",
) -> Response:
    """One request; a body that is not bytes is sent as JSON."""
    path, _, query = path.partition("?")
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    incoming: list[MutableMapping[str, object]] = [{"type": "http.request", "body": data}]
    outgoing: list[MutableMapping[str, object]] = []

    async def receive() -> MutableMapping[str, object]:
        if incoming:
            return incoming.pop(0)
        import asyncio

        await asyncio.Event().wait()
        raise AssertionError("never reached")

    async def send(message: MutableMapping[str, object]) -> None:
        outgoing.append(message)

    pairs = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    scope: MutableMapping[str, object] = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": pairs,
        "client": ("127.0.0.1", 40000),
    }
    await app(scope, receive, send)
    start = outgoing[0]
    received: Any = start["headers"]
    return Response(
        status=int(str(start["status"])),
        headers={name.decode(): value.decode() for name, value in received},
        body=b"".join(bytes(part["body"]) for part in outgoing[1:]),  # pyright: ignore[reportArgumentType] - ASGI bytes
    )
