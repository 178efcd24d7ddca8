"""What one unary request costs in opcodes and calls of Python functions: figures that no busy machine disturbs.

python -m bench.opcodes [WORDS OF A SCENARIO] [--rows 40] [--requests 200] [--varied]

The gateway runs with everything switched on and traces itself while the requests are sent, one after the other on one
connection. Functions that did not run equally often for every request are the background's and left out. A call
costs as much as some ten opcodes, and entering a comprehension is one; so is each time that a coroutine goes on. Two
runs differ by about 1 %.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from bench.contender import RIG_CORE, Contender, free_port, start, wait_until_open
from bench.ours import Program, serve
from bench.scenarios import SCENARIOS, Scenario

NAMES: Final = ("unary relay", "unary converted")
WARM_UP: Final = 300
SWITCH: Final = signal.SIGRTMIN + 3
"""Tells the gateway to begin, and then to end and write down what it counted."""
PLACE: Final = "BENCH_OPCODES"
"""Where it writes: a variable of the gateway's environment."""
BACKGROUND: Final = ("redis/", "aiclient2api/store/", "asyncio/", "_weakrefset")
"""The request path itself uses nothing of asyncio that is written in Python."""
SECONDS: Final = 30.0
"""How long the gateway may take to write down what it counted."""
TOLERANCE: Final = 0.02


class Row(NamedTuple):
    """What one function took in all requests."""

    opcodes: int
    calls: int
    name: str
    file: str


def main() -> None:
    """Count, and print a table per scenario."""
    parser = argparse.ArgumentParser(prog="python -m bench.opcodes")
    parser.add_argument("scenario", nargs="*", help="words of its name; all unary ones without")
    parser.add_argument("--rows", type=int, default=40, help="functions that are printed")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--varied", action="store_true", help="no request has the head of the one before")
    arguments = parser.parse_args()
    wanted = " ".join(arguments.scenario)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        counts = folder / "counts"
        os.environ[PLACE] = str(counts)
        port = free_port()
        upstream: subprocess.Popen[bytes] = start(
            [sys.executable, "-m", "bench.upstream", str(port)], RIG_CORE
        )
        stack.callback(upstream.kill)
        wait_until_open(port, upstream, "the upstream")
        gateway = serve("ours", f"http://127.0.0.1:{port}", folder, Program(module="bench.opcodes"))[0]
        stack.callback(gateway.stop)
        for scenario in SCENARIOS:
            if scenario.name in NAMES and wanted in scenario.name:
                _print(scenario.name, _counted(scenario, gateway, counts, arguments), arguments)


def _counted(scenario: Scenario, gateway: Contender, counts: Path, arguments: argparse.Namespace) -> list[Row]:
    pid, requests = gateway.pids()[0], arguments.requests
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc)
    headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}

    def ask(times: int) -> None:
        for number in range(times):
            if arguments.varied:
                headers["traceparent"] = f"00-{number:032x}-{number:016x}-01"
            connection.request("POST", scenario.path, scenario.body(gateway.prefix), headers)
            response = connection.getresponse()
            response.read()
            if response.status != 200:
                raise RuntimeError(f"status {response.status}")

    ask(WARM_UP)
    os.kill(pid, SWITCH)
    ask(requests)
    os.kill(pid, SWITCH)
    ask(1)  # a gateway that sleeps in its event loop sees a signal when something happens
    until = time.monotonic() + SECONDS
    while not counts.exists():
        if time.monotonic() > until:
            raise RuntimeError("the gateway has not written what it counted")
        time.sleep(0.05)
    rows = [Row(*row) for row in json.loads(counts.read_text())]
    counts.unlink()
    return [
        row for row in rows if _is_of_requests(row.calls / requests) and not row.file.startswith(BACKGROUND)
    ]


def _is_of_requests(calls: float) -> bool:
    """Whether it ran equally often for every request; the end of the last one may be missing."""
    return round(calls) >= 1 and abs(calls - round(calls)) <= TOLERANCE


def _print(name: str, rows: list[Row], arguments: argparse.Namespace) -> None:
    requests: int = arguments.requests
    opcodes, calls = sum(row.opcodes for row in rows), sum(row.calls for row in rows)
    print(f"{name}: {opcodes / requests:.0f} opcodes, {calls / requests:.0f} calls, {len(rows)} functions")
    for row in sorted(rows, reverse=True)[: arguments.rows]:
        print(f"{row.opcodes / requests:8.1f} {row.calls / requests:6.2f}  {row.name}  {row.file}")


def trace() -> None:
    """In the gateway: count from one signal to the next."""
    opcodes: dict[CodeType, int] = {}
    calls: dict[CodeType, int] = {}

    def tracer(frame: FrameType, event: str, _: Any) -> Any:
        code = frame.f_code
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
            calls[code] = calls.get(code, 0) + 1
        elif event == "opcode":
            opcodes[code] = opcodes.get(code, 0) + 1
        return tracer

    def switch(*_: object) -> None:
        if sys.gettrace() is None:
            opcodes.clear()
            calls.clear()
            sys.settrace(tracer)
            return
        sys.settrace(None)
        rows = [(count, calls.get(code, 0), code.co_qualname, _file(code)) for code, count in opcodes.items()]
        place = Path(os.environ[PLACE])
        place.with_suffix(".new").write_text(json.dumps(rows))
        place.with_suffix(".new").rename(place)

    signal.signal(SWITCH, switch)


def _file(code: CodeType) -> str:
    path = code.co_filename
    library = f"{sysconfig.get_path('stdlib')}/"
    for folder in ("site-packages/", "src/", library):
        if folder in path:
            return path.rpartition(folder)[2]
    return path


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        from aiclient2api.cli.main import main as command

        trace()
        command()
    else:
        main()
