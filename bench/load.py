"""The load generator: raw connections, requests from a template, figures as JSON on stdout.

python -m bench.load URL KEY PATH BODY --connections N --seconds S        unary, closed loop
python -m bench.load URL KEY PATH BODY --connections N --streams          one stream per connection
BODY is the request's, or `-` for standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from typing import cast
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_STAMP = re.compile(rb'"(\d{9,17}) "')
MAX_GAP = 200_000
"""Microseconds of silence that a user notices."""


class Client(asyncio.Protocol):
    """One keep-alive connection that repeats a request until the time is over, or runs one stream."""

    def __init__(self, request: bytes, until: float, *, once: bool) -> None:
        self.latencies: list[float] = []
        self.events: list[float] = []
        self.gaps = 0
        """Silences of a stream over 200 ms, from its first event on."""
        self.ends: list[float] = []
        self.first: float | None = None
        """Seconds from the request to the first delta: what a user sees, whatever headers came before."""
        self.bytes = 0
        self.errors = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._until = until
        self._once = once
        self._buffer = b""
        self._status = b""
        self._sent = 0.0
        self._seen = 0.0
        self._tail = b""
        self._left = sys.maxsize
        """Bytes of a stream that are still to come, where its head tells their number."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop has its own classes
        self._send()

    def _send(self) -> None:
        self._buffer = b""
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._once:
            self._stream(data)
            return
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._buffer, 0, head)
        if length is None or len(self._buffer) < head + 4 + int(length[1]):
            return
        self.errors += not self._buffer.startswith(b"HTTP/1.1 200")
        self.latencies.append(time.perf_counter() - self._sent)
        if time.perf_counter() < self._until:
            self._send()
        else:
            self._finish()

    def _stream(self, data: bytes) -> None:
        now = time.monotonic_ns() // 1000
        if not self._seen:
            self.errors += not data.startswith(b"HTTP/1.1 200")
            head = data.find(b"\r\n\r\n") + 4
            length = _LENGTH.search(data, 0, head)
            if length is not None:
                self._left = head + int(length[1])
        elif now - self._seen > MAX_GAP:
            self.gaps += 1
        self._seen = now
        self._left -= len(data)
        data = self._tail + data
        end = 0
        for match in _STAMP.finditer(data):
            if self.first is None:
                self.first = time.perf_counter() - self._sent
            self.events.append((now - int(match[1])) / 1e6)
            end = match.end()
        self._tail = data[max(end, len(data) - 24) :]
        if self._left <= 0 or data.endswith(b"0\r\n\r\n"):
            self._finish()

    def _finish(self) -> None:
        self.ends.append(time.perf_counter())
        self._transport.close()
        if not self.done.done():
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        if not self.done.done():
            self.errors += 1
            self.done.set_result(None)


def percentile(values: list[float], share: float) -> float:
    """A value of the sorted list, 0 when it is empty."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


async def run(arguments: argparse.Namespace) -> dict[str, float]:
    """Run the load and return the figures (seconds)."""
    url = urlsplit(arguments.url)
    body = sys.stdin.buffer.read() if arguments.body == "-" else arguments.body.encode()
    request = (
        f"POST {arguments.path} HTTP/1.1\r\nhost: {url.netloc}\r\nauthorization: Bearer {arguments.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    clients: list[Client] = []
    for number in range(arguments.connections):
        await asyncio.sleep(start + arguments.ramp * number / arguments.connections - time.perf_counter())
        client = Client(request, start + arguments.seconds, once=arguments.streams)
        await loop.create_connection(lambda client=client: client, url.hostname, url.port)
        clients.append(client)
    await asyncio.gather(*(client.done for client in clients))
    latencies = [value for client in clients for value in client.latencies]
    events = [value for client in clients for value in client.events]
    firsts = [client.first for client in clients if client.first is not None]
    return {
        "seconds": time.perf_counter() - start,
        "requests": len(latencies) or sum(1 for client in clients if client.ends),
        "events": len(events),
        "errors": sum(client.errors for client in clients),
        "latency_p50": percentile(latencies, 0.5),
        "latency_p99": percentile(latencies, 0.99),
        "event_p50": percentile(events, 0.5),
        "event_p99": percentile(events, 0.99),
        "first_p50": percentile(firsts, 0.5),
        "first_p99": percentile(firsts, 0.99),
        "gaps": sum(client.gaps for client in clients),
        "own_cpu": time.process_time(),
    }


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser()
    for name in ("url", "key", "path", "body"):
        parser.add_argument(name)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--streams", action="store_true")
    parser.add_argument(
        "--ramp", type=float, default=0.0, help="seconds over which the connections are opened"
    )
    import uvloop

    print(json.dumps(uvloop.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()
