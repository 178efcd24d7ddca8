"""`python -m bench.transport`: CPU of the upstream client alone, both transports beside each other, one event loop.

Unary calls over kept-alive connections, and reads of paced streams (one event per read). The upstream is a process of
its own. `floor` does the same with a bare protocol that looks for the end of the answer and does nothing else: what
the event loop and the system calls cost whoever parses. Figures are medians of rounds that take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import cast
from urllib.parse import urlsplit

import uvloop

from aiclient2api.net.lean import LeanTransport
from aiclient2api.net.pooled import PooledTransport
from aiclient2api.net.transport import Call, Timeouts, Transport

HEADERS = (
    ("authorization", "Bearer sk-0123456789012345678901234567890123456789"),
    ("content-type", "application/json"),
    ("user-agent", "aiclient2api"),
    ("accept", "text/event-stream, application/json"),
)
CONCURRENCY = 16
STREAMS, EVENTS, INTERVAL_MS = 200, 50, 20
Figures = tuple[float, float]
"""CPU seconds, and how many of the thing there were."""


def _call(url: str, body: bytes) -> Call:
    return Call(url=url, method="POST", headers=HEADERS, body=body, pool="bench", timeouts=Timeouts())


def _body(model: str, *, stream: bool = False) -> bytes:
    streamed = b',"stream":true' if stream else b""
    return b'{"model":"%b"%b,"messages":[{"role":"user","content":"Say hello."}]}' % (
        model.encode(),
        streamed,
    )


async def unary(transport: Transport, url: str, calls: int) -> Figures:
    """Calls one after the other on each of a few connections."""
    call = _call(url, _body("unary"))

    async def work(count: int) -> None:
        for _ in range(count):
            stream = await transport.send(call)
            await stream.read(100_000)
            await stream.release(1.0)

    await asyncio.gather(*(work(5) for _ in range(CONCURRENCY)))
    before = time.process_time()
    await asyncio.gather(*(work(calls // CONCURRENCY) for _ in range(CONCURRENCY)))
    return time.process_time() - before, calls // CONCURRENCY * CONCURRENCY


async def paced(transport: Transport, url: str, _calls: int) -> Figures:
    """Streams at the same time, an event at a time."""
    call = _call(url, _body(f"paced-{EVENTS}-{INTERVAL_MS}", stream=True))
    reads = 0

    async def work() -> None:
        nonlocal reads
        stream = await transport.send(call)
        await begun.wait()
        while await stream.receive():
            reads += 1
        await stream.release(1.0)

    begun = asyncio.Barrier(STREAMS + 1)
    working = [asyncio.ensure_future(work()) for _ in range(STREAMS)]
    await begun.wait()
    before = time.process_time()
    await asyncio.gather(*working)
    return time.process_time() - before, reads


class _Bare(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self._request = request
        self._more: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self) -> asyncio.Future[bytes]:
        self._transport.write(self._request)
        return self.more()

    def more(self) -> asyncio.Future[bytes]:
        self._more = asyncio.get_running_loop().create_future()
        return self._more

    def data_received(self, data: bytes) -> None:
        if not self._more.done():
            self._more.set_result(data)

    def close(self) -> None:
        self._transport.close()


async def _bare(url: str, body: bytes) -> _Bare:
    parts = urlsplit(url)
    head = f"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    _, bare = await asyncio.get_running_loop().create_connection(
        lambda: _Bare(head + body), parts.hostname, parts.port
    )
    return bare


async def unary_floor(url: str, calls: int) -> Figures:
    """The same without HTTP."""
    connections = [await _bare(url, _body("unary")) for _ in range(CONCURRENCY)]

    async def work(bare: _Bare, count: int) -> None:
        for _ in range(count):
            await bare.ask()

    before = time.process_time()
    await asyncio.gather(*(work(bare, calls // CONCURRENCY) for bare in connections))
    spent = time.process_time() - before
    for bare in connections:
        bare.close()
    return spent, calls // CONCURRENCY * CONCURRENCY


async def paced_floor(url: str, _calls: int) -> Figures:
    """The same without HTTP."""
    body = _body(f"paced-{EVENTS}-{INTERVAL_MS}", stream=True)
    connections = [await _bare(url, body) for _ in range(STREAMS)]
    reads = 0

    async def work(bare: _Bare) -> None:
        nonlocal reads
        data = await bare.ask()
        while not data.endswith(b"0\r\n\r\n"):
            data = await bare.more()
            reads += 1

    before = time.process_time()
    await asyncio.gather(*(work(bare) for bare in connections))
    spent = time.process_time() - before
    for bare in connections:
        bare.close()
    return spent, reads


async def _with(make: Callable[[dict[str, int]], Transport], scenario: str, url: str, calls: int) -> Figures:
    transport = make({"bench": STREAMS})
    try:
        return await (unary if scenario == "unary call" else paced)(transport, url, calls)
    finally:
        await transport.close()


async def _floor(scenario: str, url: str, calls: int) -> Figures:
    return await (unary_floor if scenario == "unary call" else paced_floor)(url, calls)


async def run(url: str, calls: int, rounds: int) -> None:
    """Measure and print."""
    contestants: dict[str, Callable[[str], Awaitable[Figures]]] = {
        "floor": lambda scenario: _floor(scenario, url, calls),
        "lean": lambda scenario: _with(LeanTransport, scenario, url, calls),
        "aiohttp": lambda scenario: _with(PooledTransport, scenario, url, calls),
    }
    for scenario in ("unary call", "stream read"):
        taken: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(rounds):
            for name, measure in contestants.items():
                spent, count = await measure(scenario)
                taken[name].append(spent / count * 1e6)
        medians = {name: statistics.median(values) for name, values in taken.items()}
        for name, value in medians.items():
            over = value - medians["floor"]
            print(f"{scenario:12} {name:8} {value:7.1f} µs CPU {over:+7.1f} µs over the floor")


def main() -> None:
    """Parse, start the upstream, run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    upstream = subprocess.Popen(
        [sys.executable, "-m", "bench.upstream", "0"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert upstream.stdout is not None
        port = int(upstream.stdout.readline())
        uvloop.run(run(f"http://127.0.0.1:{port}/v1/chat/completions", arguments.calls, arguments.rounds))
    finally:
        upstream.kill()
        upstream.wait()


if __name__ == "__main__":
    main()
