"""One of several worker processes: started by the supervisor with the number of its channel's descriptor."""

from __future__ import annotations

import asyncio
import faulthandler
import itertools
import os
import signal
import socket
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import msgspec

from aiclient2api.cli.main import told
from aiclient2api.cli.start import Gateway, assembled, run_loop
from aiclient2api.config.load import build
from aiclient2api.config.model import Config
from aiclient2api.errors import ConfigError
from aiclient2api.runtime import Process, Runtime, store_settings
from aiclient2api.server.siblings import Health
from aiclient2api.store.opening import open_store
from aiclient2api.telemetry import report
from aiclient2api.telemetry.log import JsonLog
from aiclient2api.telemetry.metrics import Metrics
from aiclient2api.telemetry.tally import SharedTally
from aiclient2api.workers.channel import Channel, opened
from aiclient2api.workers.messages import (
    Answer,
    Ask,
    Drain,
    Ping,
    Pong,
    Ready,
    Reload,
    Reloaded,
    Report,
    Retire,
    Start,
    ToWorker,
    What,
    Wish,
    Written,
)

PATIENCE: Final[dict[What, float]] = {"metrics": 4.0, "health": 1.0}
"""Seconds for the supervisor to ask everybody; then the worker speaks for itself alone."""


class Worker:
    """The gateway of this process, and what it says to its supervisor. It is the edge's `Siblings`."""

    def __init__(self, channel: Channel[ToWorker], start: Start) -> None:
        self._channel = channel
        self._start = start
        self._numbers = itertools.count(1)
        self._wishes: dict[int, asyncio.Future[bytes]] = {}
        self._gateway: Gateway

    async def run(self) -> int:
        """Serve until told to stop. Raises ConfigError."""
        start = self._start
        config = _config(start.written)
        log = JsonLog(time.time, level=config.log.level, marks={"worker": start.worker})
        async with AsyncExitStack() as stack:
            store = await open_store(store_settings(config), log.tell, joins=True)
            stack.push_async_callback(store.close)
            process = Process(store.store, log, Metrics(SharedTally(start.tally)), start.workers)
            runtime = Runtime(config, ephemeral=start.is_demo, process=process)
            sockets = [socket.socket(fileno=descriptor) for descriptor in start.sockets]
            self._gateway = Gateway(runtime, None, sockets, start.workers)
            self._gateway.app.siblings = self
            await stack.enter_async_context(assembled(self._gateway))
            hearing: list[asyncio.Task[None]] = []
            self._gateway.listener.on_ready = lambda: hearing.append(asyncio.ensure_future(self._serve()))
            await self._gateway.listener.serve()
            for task in hearing:
                task.cancel()
            self._channel.send(Report(number=0, what="metrics", body=self._report("metrics")))
        return 0

    async def _serve(self) -> None:
        """Say that we are ready, then do what we are told."""
        self._channel.send(Ready())
        while (message := await self._channel.receive()) is not None:
            self._take(message)
        self._gateway.runtime.log.event("error", "supervisor_gone")
        self._gateway.listener.drain(at_once=True)

    def _take(self, message: ToWorker) -> None:
        match message:
            case Start():
                return
            case Reload():
                self._channel.send(Reloaded(problems=self._reload(message.written)))
            case Drain():
                self._gateway.listener.drain(at_once=message.at_once)
            case Retire():
                self._gateway.listener.retire()
            case Ask():
                body = self._report(message.what)
                self._channel.send(Report(number=message.number, what=message.what, body=body))
            case Ping():
                self._channel.send(Pong())
            case Answer():
                wish = self._wishes.pop(message.number, None)
                if wish is not None and not wish.done():
                    wish.set_result(message.body)

    def _reload(self, written: Written) -> tuple[str, ...]:
        try:
            self._gateway.swap(_config(written))
        except ConfigError as error:
            return tuple(error.problems)
        return ()

    def _report(self, what: What) -> bytes:
        runtime = self._gateway.runtime
        match what:
            case "metrics":
                return report.encode(runtime.metrics.gauges())
            case "health":
                return runtime.services.status(is_draining=self._gateway.app.is_draining).encode()

    # ---- what clients want to know of all workers

    async def metrics(self) -> bytes | None:
        """See Siblings."""
        return await self._wish("metrics")

    async def health(self) -> Health | None:
        """See Siblings."""
        body = await self._wish("health")
        return None if body is None else msgspec.json.decode(body, type=Health)

    async def _wish(self, what: What) -> bytes | None:
        number = next(self._numbers)
        wish = self._wishes[number] = asyncio.get_running_loop().create_future()
        self._channel.send(Wish(number=number, what=what))
        try:
            async with asyncio.timeout(PATIENCE[what]):
                return await wish
        except TimeoutError:
            return None
        finally:
            self._wishes.pop(number, None)


def _config(written: Written) -> Config:
    """Built as the supervisor has built it. Raises ConfigError."""
    source = None if written.source is None else Path(written.source)
    return build(written.data, environ=os.environ, source=source)


async def _work(descriptor: int) -> int:
    channel = await opened(socket.socket(fileno=descriptor), msgspec.msgpack.Decoder(ToWorker))
    start = await channel.receive()
    return await Worker(channel, start).run() if isinstance(start, Start) else 1


def main() -> None:
    """The program."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # it is for the supervisor
    faulthandler.register(signal.SIGUSR1, all_threads=True)  # the supervisor asks where we hang
    sys.exit(told(lambda: run_loop(_work(int(sys.argv[1])))))


if __name__ == "__main__":
    main()
