"""Interpreters, or versions of the code, against each other: CPU of the gateway per request, in short turns.

python -m bench.pair PYTHON[:SOURCES] PYTHON[:SOURCES] ... [--turns 40] [--requests 60] [--pause 0.004]

One connection, one request after the other; SOURCES is a folder with `aiclient2api` in it, and whatever else is to
be found before the interpreter's own packages. Turns are short and alternate, so that other work on the machine hits
all alike. The low decile says what a turn costs that was disturbed little, the ratio is the median of the turns'.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from bench.contender import RIG_CORE, Contender, free_port, start, wait_until_open
from bench.ours import Program, serve
from bench.scenarios import SCENARIOS, Scenario

NAMES: Final = ("unary relay", "unary converted", "burst relay", "burst converted")
WARM_UP: Final = 50


class Side(NamedTuple):
    """One of those that are compared."""

    name: str
    gateway: Contender
    client: socket.socket


def main() -> None:
    """Run the turns and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.pair")
    parser.add_argument("programs", nargs="+", help="PYTHON[:SOURCES]; ratios are to the first")
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--requests", type=int, default=60, help="of one turn; a tenth for bursts")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two requests")
    parser.add_argument("--only", default="", help="words of a scenario's name")
    arguments = parser.parse_args()
    scenarios = [each for each in SCENARIOS if each.name in NAMES and arguments.only in each.name]
    with contextlib.ExitStack() as stack:
        sides = _sides(arguments.programs, stack)
        print("| scenario | program | low decile µs | median µs | ratio |\n|---|---|--:|--:|--:|")
        for scenario in scenarios:
            requests = max(arguments.requests // (10 if scenario.events else 1), 1)
            costs = _turns(scenario, sides, arguments.turns, requests, arguments.pause)
            for side in sides:
                mine, first = sorted(costs[side.name]), costs[sides[0].name]
                ratio = statistics.median(a / b for a, b in zip(costs[side.name], first, strict=True))
                low, median = mine[len(mine) // 10], statistics.median(mine)
                print(
                    f"| {scenario.name} | {side.name} | {low:.0f} | {median:.0f} | {ratio:.2f} |", flush=True
                )


def _sides(programs: list[str], stack: contextlib.ExitStack) -> list[Side]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    port = free_port()
    upstream: subprocess.Popen[bytes] = start([sys.executable, "-m", "bench.upstream", str(port)], RIG_CORE)
    stack.callback(upstream.kill)
    wait_until_open(port, upstream, "the upstream")
    sides: list[Side] = []
    for number, text in enumerate(programs):
        own = folder / str(number)
        own.mkdir()
        python, _, sources = text.partition(":")
        gateway = serve("ours", f"http://127.0.0.1:{port}", own, Program(python, sources))[0]
        stack.callback(gateway.stop)
        url = urlsplit(gateway.url)
        client = stack.enter_context(socket.create_connection((url.hostname, url.port), 60))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sides.append(Side(f"{number}: {Path(python).name}", gateway, client))
    return sides


def _turns(
    scenario: Scenario, sides: list[Side], turns: int, requests: int, pause: float
) -> dict[str, list[float]]:
    """Microseconds of CPU per request, of each turn."""
    costs: dict[str, list[float]] = {side.name: [] for side in sides}
    for side in sides:
        _turn(scenario, side, WARM_UP, 0.0)
    for number in range(turns):
        for side in sides if number % 2 else reversed(sides):
            costs[side.name].append(_turn(scenario, side, requests, pause))
    return costs


def _turn(scenario: Scenario, side: Side, requests: int, pause: float) -> float:
    body = scenario.body(side.gateway.prefix).encode()
    head = (
        f"POST {scenario.path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {side.gateway.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    before = _cpu(side.gateway)
    for _ in range(requests):
        side.client.sendall(head.encode() + body)
        _read_answer(side.client)
        time.sleep(pause)
    return (_cpu(side.gateway) - before) / requests


def _read_answer(client: socket.socket) -> None:
    """One whole answer. Raises RuntimeError for any that is not a 200."""
    answer = b""
    while True:
        read = client.recv(262_144)
        answer += read
        head, blank, body = answer.partition(b"\r\n\r\n")
        if not read or (blank and not head.startswith(b"HTTP/1.1 200")):
            raise RuntimeError(f"not an answer: {head[:200]!r}")
        _, announced, length = head.partition(b"content-length: ")
        if announced:
            if len(body) >= int(length.partition(b"\r\n")[0]):
                return
        elif answer.endswith(b"\r\n0\r\n\r\n"):
            return


def _cpu(gateway: Contender) -> float:
    """Microseconds of its processes so far; `/proc/PID/stat`, which the other benches read, counts in hundredths."""
    spent = 0
    for pid in gateway.pids():
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError):
                spent += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
    return spent / 1000


if __name__ == "__main__":
    main()
