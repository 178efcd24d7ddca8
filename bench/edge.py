"""`python -m bench.edge`: the HTTP server alone, with an application that does nothing, ours against uvicorn.

CPU of the server's process per unary request (16 connections, 1 KB body in, 1 KB out) and per write of 200 paced
streams, from the operating system's accounting. Each server runs in a process of its own; the load is `bench.load`.

python -m bench.edge pure: the same without sockets, in this process: what the server's own code costs, least of several
rounds, so that a busy machine disturbs it less.

python -m bench.edge slow: 500 slow clients beside one normal one, time until they are closed, latency of the other.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.contender import cpu_seconds

BODY = '{"model":"m","messages":[{"role":"user","content":"' + "x" * 900 + '"}]}'
ANSWER = b"{" + b" " * 1000 + b"}"
EVENTS, INTERVAL, STREAMS = 100, 0.02, 200
ROUNDS = 3
BURST = 5000
EVENT = b"data: " + b"x" * 180 + b"\n\n"


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Reads the body; answers at once, or with paced events when the path says `stream`."""
    while (await receive()).get("more_body"):
        pass
    if scope["path"] != "/stream":
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": ANSWER})
        return
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
    )
    for _ in range(EVENTS):
        await asyncio.sleep(INTERVAL)
        data = b'data: {"t":"%d "}\n\n' % (time.monotonic_ns() // 1000)
        await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


class Worded:
    """The application with the wording of refusals that the server asks for."""

    def __init__(self, served: Any) -> None:
        self._served = served

    def serve(self, client: Any) -> Any:
        """See Application."""
        return self._served({"path": client.asked.head.path}, client.receive, client.send)

    def refusal(self, head: Any, error: Exception) -> Any:
        """See Application."""
        from aiclient2api.wire.http import WireResponse

        return WireResponse(status=408)


async def idle(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The same paced loop without a write: what the application itself costs."""
    for _ in range(EVENTS):
        await asyncio.sleep(INTERVAL)


async def serve(kind: str) -> None:
    """Serve on a free port and print it."""
    from aiclient2api.server.listen import bind

    sockets = bind("127.0.0.1", 0)
    print(sockets[0].getsockname()[1], flush=True)
    if kind == "uvicorn":
        import uvicorn

        config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
        )
        await uvicorn.Server(config).serve(sockets)
        return
    from aiclient2api.server.http.acceptor import Acceptor
    from aiclient2api.server.http.connection import Connection
    from aiclient2api.server.http.edge import Edge
    from aiclient2api.server.http.settings import HttpSettings
    from aiclient2api.server.pressure import Pressure

    pressure = Pressure(None, lambda: 0.0)
    loop = asyncio.get_running_loop()
    edge = Edge(Worded(app), HttpSettings(), loop, pressure, print)  # pyright: ignore
    pressure.start(loop)
    Acceptor(sockets, lambda: Connection(edge), lambda: True, None, print).start()
    await asyncio.Event().wait()


@contextmanager
def server(kind: str) -> Iterator[tuple[str, int]]:
    """A server in a process of its own; its URL and process id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.edge", "serve", kind], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}", process.pid
    finally:
        process.kill()
        process.wait()


def load(url: str, path: str, *more: str) -> dict[str, float]:
    """One run of the load generator."""
    command = [sys.executable, "-m", "bench.load", url, "key", path, BODY, *more]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(kind: str) -> tuple[float, float]:
    """Microseconds of CPU per request and per written event (the paced loop's own cost included)."""
    with server(kind) as (url, pid):
        load(url, "/", "--seconds", "1")
        before = cpu_seconds(pid)
        figures = load(url, "/", "--seconds", "4")
        unary = (cpu_seconds(pid) - before) / figures["requests"] * 1e6
        load(url, "/stream", "--streams", "--connections", str(STREAMS))
        before = cpu_seconds(pid)
        load(url, "/stream", "--streams", "--connections", str(STREAMS))
        return unary, (cpu_seconds(pid) - before) / STREAMS / EVENTS * 1e6


async def loop_cost() -> None:
    """The paced loop of the streams without any server."""
    await asyncio.gather(*(idle({}, None, None) for _ in range(STREAMS)))


def compare() -> None:
    """Both servers, several rounds, medians."""
    import uvloop

    before = time.process_time()
    uvloop.run(loop_cost())
    own = (time.process_time() - before) / STREAMS / EVENTS * 1e6
    rows = {"lean": [measure("lean")], "uvicorn": [measure("uvicorn")]}
    for _ in range(ROUNDS - 1):
        for kind, found in rows.items():
            found.append(measure(kind))
    print(f"the paced loop itself: {own:.1f} µs per event")
    print(f"{'server':10} {'µs/request':>10} {'µs/event':>10} {'without the loop':>17}")
    for kind, found in rows.items():
        unary, event = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{kind:10} {unary:10.1f} {event:10.1f} {event - own:17.1f}")


class Sink(asyncio.Transport):
    """Takes everything and counts the writes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See asyncio."""
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def write(self, data: Any) -> None:
        """See asyncio."""
        self.writes += 1

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See asyncio."""

    def is_closing(self) -> bool:
        """See asyncio."""
        return False


def protocol(kind: str, served: Any) -> asyncio.Protocol:
    """One connection of a server."""
    if kind == "lean":
        from aiclient2api.server.http.connection import Connection
        from aiclient2api.server.http.edge import Edge
        from aiclient2api.server.http.settings import HttpSettings
        from aiclient2api.server.pressure import Pressure

        loop = asyncio.get_running_loop()
        return Connection(Edge(Worded(served), HttpSettings(), loop, Pressure(None, lambda: 0.0), print))  # pyright: ignore
    import uvicorn
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    from uvicorn.server import ServerState

    config = uvicorn.Config(
        served, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False
    )
    config.load()
    return HttpToolsProtocol(config, ServerState(), {})


async def burst(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Reads the body, then streams as fast as it can."""
    while (await receive()).get("more_body"):
        pass
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
    )
    for _ in range(BURST):
        await send({"type": "http.response.body", "body": EVENT, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def pure() -> None:
    """Microseconds per request (11 headers, 0.9 KB) and per streamed write, without any socket."""
    fields = "".join(f"X-Stainless-Field-{number}: some value\r\n" for number in range(9))
    request = f"POST / HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
    least: dict[str, list[float]] = {"lean": [1e9, 1e9], "uvicorn": [1e9, 1e9]}
    for _ in range(12):
        for kind, best in least.items():
            for place, served in enumerate((app, burst)):
                connection, sink = protocol(kind, served), Sink()
                connection.connection_made(sink)
                start = time.process_time()
                for _ in range(1000 if place == 0 else 1):
                    connection.data_received(request)
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                while place == 1 and sink.writes < BURST:
                    await asyncio.sleep(0)
                best[place] = min(best[place], (time.process_time() - start) / (1000, BURST)[place] * 1e6)
    for kind, (unary, event) in least.items():
        print(f"{kind:10} {unary:8.1f} µs per request {event:6.2f} µs per streamed write")


async def slow_clients(url: str, count: int) -> None:
    """Latency of a normal client alone and beside slow ones, and how long those are kept."""
    host, port = url.removeprefix("http://").split(":")
    request = f"POST / HTTP/1.1\r\nHost: x\r\ncontent-length: {len(BODY)}\r\n\r\n{BODY}".encode()

    async def normal(seconds: float) -> list[float]:
        reader, writer = await asyncio.open_connection(host, int(port))
        took: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            writer.write(request)
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(ANSWER))
            took.append(time.perf_counter() - start)
            await asyncio.sleep(0.002)
        writer.close()
        return sorted(took)

    async def slow(kind: int) -> float:
        reader, writer = await asyncio.open_connection(host, int(port))
        start = time.perf_counter()
        writer.write((b"", b"POST / HTTP/1.1\r\nX: ", request[:200])[kind])
        try:
            while await asyncio.wait_for(reader.read(65536), 30):
                pass
        except (OSError, TimeoutError):
            pass
        writer.close()
        return time.perf_counter() - start

    alone = await normal(5)
    crowd = [asyncio.ensure_future(slow(index % 3)) for index in range(count)]
    beside = await normal(8)
    kept = await asyncio.gather(*crowd)
    p99 = [values[int(len(values) * 0.99)] * 1000 for values in (alone, beside)]
    print(f"{count} slow clients: closed after {min(kept):.1f} to {max(kept):.1f} s")
    print(f"a normal request: p99 {p99[0]:.2f} ms alone, {p99[1]:.2f} ms beside them")


if __name__ == "__main__":
    import uvloop

    if sys.argv[1:2] == ["serve"]:
        uvloop.run(serve(sys.argv[2]))
    elif sys.argv[1:2] == ["pure"]:
        uvloop.run(pure())
    elif sys.argv[1:2] == ["slow"]:
        for name in ("lean", "uvicorn"):
            with server(name) as (address, _):
                print(name)
                uvloop.run(slow_clients(address, 500))
    else:
        compare()
