"""The simulator behind uvicorn: as a command, or inside another asyncio process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.link import EXTENSION

_BACKLOG = 1024


class _Protocol(HttpToolsProtocol):
    """Hands the transport to the application, so that a fault can break the connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {EXTENSION: {"transport": self.transport}}


class _EmbeddedServer(uvicorn.Server):
    """Leaves signals to the process it lives in."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


async def serve(host: str, port: int, simulator: Simulator) -> None:
    """Run until the process is told to stop."""
    await uvicorn.Server(_config(simulator)).serve(sockets=[_listen(host, port)])


@asynccontextmanager
async def running(simulator: Simulator, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[str]:
    """Run inside this process while the block runs; yields the base URL."""
    listener = _listen(host, port)
    name, bound = cast("tuple[str, int]", listener.getsockname()[:2])
    server = _EmbeddedServer(_config(simulator))
    served = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        yield f"http://{f'[{name}]' if ':' in name else name}:{bound}"
    finally:  # no task group: it would wrap what the block raises
        server.should_exit = True
        simulator.hang_up()
        await served


def _config(simulator: Simulator) -> uvicorn.Config:
    return uvicorn.Config(
        simulator,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
    )


def _listen(host: str, port: int) -> socket.socket:
    """Listening from the start: whoever connects early waits in the backlog."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # named in full, or asyncio leaves Nagle's delay on for every accepted connection
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
