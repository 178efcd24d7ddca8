"""`make bench`: what a request and a stream event cost this gateway and others, measured in the same run.

python -m bench [WORDS OF A SCENARIO] [--of direct,ours,ours-redis,nginx,...] [--rounds 5] [--report FILE]

CPU is that of all processes of a gateway, from the operating system's accounting; the gateway has one core, upstream
and load generator the other. A run in which that one was busy for more than 90 % of the time is said to be saturated.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final, NamedTuple

from bench.contender import RIG_CORE, Contender, cpu_seconds, free_port, start, wait_until_open
from bench.ours import VARIANTS, Program, serve
from bench.peers import PEERS, install
from bench.report import report
from bench.scenarios import SCENARIOS, Scenario

BUSY: Final = 0.9
"""Share of a run's time at which the rig, not the gateway, is the limit."""
SAMPLE_SECONDS: Final = 0.2
RAMP: Final = 2.0
"""Seconds over which paced streams begin: the first token of the last is measured beside all others."""


class Figures(NamedTuple):
    """One measured run: microseconds of CPU, seconds of time, bytes of memory."""

    cpu: float
    seconds: float
    load: dict[str, float]
    rss: float
    """Above what the gateway had before the run, at its highest."""
    is_saturated: bool


def main() -> None:
    """Run what is asked for and print the report."""
    arguments = _arguments()
    wanted = " ".join(arguments.scenario)
    scenarios = [scenario for scenario in SCENARIOS if wanted in scenario.name]
    version = Program(arguments.python).version()
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        upstream, address = _upstream()
        stack.callback(upstream.kill)
        contenders = [Contender("direct", address, None)] if "direct" in arguments.of else []
        for name in arguments.of:
            if name != "direct":
                contenders += _started(name, address, Path(folder), arguments, stack)
        runs: dict[tuple[str, str], list[Figures]] = {}
        for number in range(arguments.rounds):
            for scenario in scenarios:
                for contender in contenders:
                    if contender.can(scenario):
                        print(f"round {number + 1}: {scenario.name}: {contender.name}", file=sys.stderr)
                        runs.setdefault((scenario.name, contender.name), []).append(
                            measure(scenario, contender, upstream.pid)
                        )
        text = report(scenarios, [contender.name for contender in contenders], runs, sys.argv[1:], version)
    print(text)
    if arguments.report:
        arguments.report.write_text(text, encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("scenario", nargs="*", help="words of its name; all scenarios without")
    parser.add_argument(
        "--of",
        type=_names,
        default=["direct", "ours"],
        help=f"direct, {', '.join(VARIANTS)}, {', '.join(PEERS)}",
    )
    parser.add_argument("--rounds", type=int, default=1, help="medians are printed")
    parser.add_argument("--report", type=Path)
    parser.add_argument(
        "--python", default=sys.executable, help="our gateway's interpreter, of an environment that has it"
    )
    parser.add_argument("--environments", type=Path, default=Path(tempfile.gettempdir(), "bench-peers"))
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = set(names) - {"direct", *VARIANTS, *PEERS}
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return names


def _upstream() -> tuple[subprocess.Popen[bytes], str]:
    port = free_port()
    process = start([sys.executable, "-m", "bench.upstream", str(port)], RIG_CORE)
    wait_until_open(port, process, "the upstream")
    return process, f"http://127.0.0.1:{port}"


def _started(
    name: str, upstream: str, folder: Path, arguments: argparse.Namespace, stack: contextlib.ExitStack
) -> list[Contender]:
    own = folder / name
    own.mkdir()
    if name in PEERS:
        contender = PEERS[name](upstream, own, install(name, arguments.environments))
        stack.callback(contender.stop)
        return [contender]
    gateway, *beside = serve(name, upstream, own, Program(arguments.python))
    for other in beside:
        stack.callback(other.stop)
    stack.callback(gateway.stop)
    return [gateway]


def measure(scenario: Scenario, contender: Contender, upstream: int) -> Figures:
    """One run after one that warms up. Memory is compared with what was there before both."""
    above = contender.rss()
    _load(scenario, contender, seconds=1.0)
    before, rig = contender.cpu(), cpu_seconds(upstream)
    highest = [contender.rss()]
    over = threading.Event()

    def sample() -> None:
        while not over.wait(SAMPLE_SECONDS):
            highest.append(contender.rss())

    sampling = threading.Thread(target=sample)
    sampling.start()
    began = time.perf_counter()
    try:
        load = _load(scenario, contender, seconds=scenario.seconds)
    finally:
        over.set()
        sampling.join()
    seconds = time.perf_counter() - began
    busy = load["own_cpu"] + cpu_seconds(upstream) - rig
    return Figures(
        cpu=(contender.cpu() - before) * 1e6,
        seconds=load["seconds"],
        load=load,
        rss=max(highest) - above,
        is_saturated=busy > BUSY * seconds,
    )


def _load(scenario: Scenario, contender: Contender, *, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.load", contender.url, contender.key, scenario.path, "-"]
    command += ["--connections", str(scenario.connections)]
    command += ["--streams"] if scenario.events else ["--seconds", str(seconds)]
    if scenario.is_paced:
        command += ["--ramp", str(RAMP)]
    body = scenario.body(contender.prefix).encode()
    pinned = ["taskset", "-c", str(RIG_CORE), *command]
    done = subprocess.run(pinned, input=body, check=True, capture_output=True, timeout=120)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
