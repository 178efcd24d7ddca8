"""`make bench`: CPU of the gateway process per request and per stream event, from the operating system's accounting.

Upstream and load generator share the second core. A run whose load generator used more than 90 % of its time is
reported as saturated and its figure is not to be trusted.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

KEY = "bench-client-key"
MESSAGES = '"messages":[{"role":"user","content":"Say hello."}]'
CHAT, CLAUDE = "/v1/chat/completions", "/v1/messages"


class Scenario(NamedTuple):
    """One row of the table; `events` per stream, 0 for unary calls."""

    name: str
    path: str
    body: str
    connections: int
    events: int = 0


def _body(model: str, *, claude: bool = False, stream: bool = False) -> str:
    extra = ',"max_tokens":99' if claude else ""
    streamed = ',"stream":true' if stream else ""
    return f'{{"model":"up/{model}"{extra}{streamed},{MESSAGES}}}'


SCENARIOS = [
    Scenario("unary relay", CHAT, _body("unary"), 16),
    Scenario("unary converted", CLAUDE, _body("unary", claude=True), 16),
    Scenario("burst relay", CHAT, _body("burst-200", stream=True), 400, 203),
    Scenario("burst converted", CLAUDE, _body("burst-200", claude=True, stream=True), 400, 203),
    Scenario("500 paced relay", CHAT, _body("paced-100-50", stream=True), 500, 100),
    Scenario("500 paced converted", CLAUDE, _body("paced-100-50", claude=True, stream=True), 500, 100),
]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int) -> float:
    """Resident memory."""
    return (
        int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        * os.sysconf("SC_PAGE_SIZE")
        / 2**20
    )


@contextmanager
def gateway() -> Iterator[tuple[str, int]]:
    """The gateway in front of the upstream, each a process; yields its URL and process id."""
    upstream = subprocess.Popen(
        [sys.executable, "-m", "bench.upstream", "0"], stdout=subprocess.PIPE, text=True
    )
    assert upstream.stdout is not None
    address = f"http://127.0.0.1:{upstream.stdout.readline().strip()}/v1"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "aiclient2api.yaml")
        config.write_text(
            json.dumps(
                {
                    "keys": [{"name": "bench", "key": KEY}],
                    "store": {"data_dir": folder},
                    "accounts": {
                        "up": {
                            "provider": "openai_compatible",
                            "base_url": address,
                            "api_key": "none",
                            "pool": "up",
                            "concurrency": 5000,
                        }
                    },
                    "limits": {"streams_per_worker": 5000},
                }
            ),
            encoding="utf-8",
        )
        command = [
            sys.executable,
            "-m",
            "aiclient2api",
            "serve",
            "--config",
            str(config),
            "--port",
            str(port),
        ]
        served = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 0.2).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}", served.pid
        finally:
            served.kill()
            upstream.kill()
            served.wait()
            upstream.wait()


def main() -> None:
    """Run every scenario whose name contains the argument and print a table."""
    wanted = " ".join(sys.argv[1:])
    columns = (
        "scenario",
        "CPU µs/req",
        "µs/event",
        "req/s",
        "p50 ms",
        "p99 ms",
        "first p99",
        "RSS MiB",
        "notes",
    )
    print(_ROW.format(*columns))  # a table is what this command is for
    for scenario in SCENARIOS:
        if wanted in scenario.name:
            with gateway() as (url, pid):
                _load(scenario, url)
                before = cpu_seconds(pid)
                figures = _load(scenario, url)
                print(_row(scenario, figures, cpu_seconds(pid) - before, rss_mib(pid)))


def _load(scenario: Scenario, url: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.load", url, KEY, scenario.path, scenario.body]
    command += ["--connections", str(scenario.connections)]
    command += ["--streams"] if scenario.events else ["--seconds", "5"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


_ROW = "{:22} {:>10} {:>9} {:>8} {:>8} {:>8} {:>9} {:>8}  {}"


def _row(scenario: Scenario, figures: dict[str, float], cpu: float, rss: float) -> str:
    requests = int(figures["requests"])
    micro = cpu / max(1, requests) * 1e6
    is_paced = figures["events"] > 0
    p50, p99 = ("event_p50", "event_p99") if is_paced else ("latency_p50", "latency_p99")
    notes = [f"{int(figures['errors'])} errors"] if figures["errors"] else []
    if is_paced and figures["events"] != requests * scenario.events:
        notes.append(f"lost {requests * scenario.events - int(figures['events'])} events")
    if figures["own_cpu"] > 0.9 * figures["seconds"]:
        notes.append("SATURATED load generator")
    return _ROW.format(
        scenario.name,
        f"{micro:.0f}",
        f"{micro / scenario.events:.1f}" if scenario.events else "",
        f"{requests / figures['seconds']:.0f}",
        f"{figures[p50] * 1000:.2f}",
        f"{figures[p99] * 1000:.2f}",
        f"{figures['first_p99'] * 1000:.1f}",
        f"{rss:.0f}",
        ", ".join(notes),
    )


if __name__ == "__main__":
    main()
