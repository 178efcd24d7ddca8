"""`aiclient2api serve` as a program of its own, and a simulator for it to talk to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.serve import running
from aiclient2api.simulator.settings import SimulatorSettings

SERVER: dict[str, Any] = {"port": 0, "drain": "2s", "drain_notice": "0ms"}
"""The section that tests begin with; the fixture `each_server` says which HTTP server it is."""
DEADLINE = 60.0
"""Seconds until a test gives up; nothing here takes a tenth of it."""


def until(condition: Callable[[], object]) -> None:
    """Wait for an observable change; real processes and sockets have no injected clock."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        threading.Event().wait(0.005)


class Program:
    """A running gateway and what it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, config: Path) -> None:
        self.process = process
        self.config = config
        self._folder = folder

    @property
    def stdout(self) -> str:
        """Everything written to stdout."""
        return (self._folder / "stdout").read_text("utf-8")

    @property
    def stderr(self) -> str:
        """Everything written to stderr."""
        return (self._folder / "stderr").read_text("utf-8")

    @property
    def url(self) -> str:
        """The address it printed."""
        return self.stdout.splitlines()[0].split()[-1]

    @property
    def printed_key(self) -> str | None:
        """The client key it printed because it is new."""
        lines = [line for line in self.stdout.splitlines() if line.startswith("client key: sk-")]
        return lines[0].split()[2] if lines else None

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines of one kind."""
        whole, _, _ = self.stderr.rpartition("\n")  # the last line may still be on its way
        lines = (json.loads(line) for line in whole.splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == name]

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)


def environment(folder: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment in which no key and no file of the developer's own is found."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "SYSTEMROOT") if name in os.environ}
    return {**kept, "HOME": str(folder), **(extra or {})}


def command(*arguments: str) -> list[str]:
    """The program's command line."""
    return [sys.executable, "-m", "aiclient2api", *arguments]


def run(
    folder: Path, *arguments: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(folder, environ),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def write_config(folder: Path, sections: Mapping[str, Any]) -> Path:
    """A configuration file with a free port and a data directory inside the folder."""
    server = {**SERVER, **sections.get("server", {})}
    data = {"store": {"data_dir": str(folder / "data")}, **sections, "server": server}
    path = folder / "gateway.yaml"
    path.write_text(json.dumps(data), "utf-8")
    return path


@contextmanager
def serving_program(
    folder: Path,
    sections: Mapping[str, Any] | None,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Program]:
    """The gateway with a configuration, or without any (`sections` None), until the block ends."""
    config = folder / "gateway.yaml" if sections is None else write_config(folder, sections)
    given = [] if sections is None else ["--config", str(config)]
    with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command("serve", *given, *arguments),
            cwd=folder,
            env=environment(folder, environ),
            stdout=stdout,
            stderr=stderr,
        )
    program = Program(process, folder, config)
    try:
        until(lambda: program.stdout.count("\n") or process.poll() is not None)
        assert process.poll() is None, program.stderr
        yield program
    finally:
        process.kill()
        process.wait()


@contextmanager
def simulating(settings: SimulatorSettings | None = None) -> Iterator[tuple[Simulator, str]]:
    """A simulator on a loopback port, in a thread with its own event loop."""
    simulator = Simulator(settings or SimulatorSettings())
    ready = threading.Event()
    found: list[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        async with running(simulator) as url:
            found.append((url, asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),), daemon=True)
    thread.start()
    assert ready.wait(DEADLINE)
    url, loop, stop = found[0]
    try:
        yield simulator, url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(DEADLINE)
