"""A gateway under measurement: how it is started, which processes are its own, what they cost."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Final

from bench.scenarios import Scenario

GATEWAY_CORE, RIG_CORE = 0, 1
"""The gateway has a core of its own; upstream, load generator and store share the other."""
START_SECONDS: Final = 90.0


class Contender:
    """One running gateway. `prefix` stands before the model's name, `key` is the client's."""

    def __init__(
        self,
        name: str,
        url: str,
        process: subprocess.Popen[bytes] | None,
        *,
        key: str = "none",
        prefix: str = "",
        can: Callable[[Scenario], bool] = lambda scenario: not scenario.converts,
        beside: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.url = url
        self.key = key
        self.prefix = prefix
        self.can = can
        self._process = process
        self._beside = beside
        """Names of child processes that are not the gateway's own work: its private store."""

    def pids(self) -> list[int]:
        """The process and its descendants, without what runs beside it."""
        return [] if self._process is None else list(self._family(self._process.pid))

    def _family(self, pid: int) -> Iterable[int]:
        yield pid
        for child in self._children(pid):
            name = Path(f"/proc/{child}/comm").read_text(encoding="utf-8").strip()
            if not name.startswith(self._beside or ("\0",)):
                yield from self._family(child)

    def _children(self, pid: int) -> Iterable[int]:
        for task in Path(f"/proc/{pid}/task").iterdir():
            yield from map(int, (task / "children").read_text(encoding="ascii").split())

    def move_beside(self) -> None:
        """Have what is not the gateway's own work done on the rig's core."""
        if self._process is None or (os.cpu_count() or 1) == 1:
            return
        for pid in set(self._children(self._process.pid)) - set(self.pids()):
            for task in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(task.name), {RIG_CORE})

    def cpu(self) -> float:
        """Seconds of user and system time of all its processes so far."""
        return sum(cpu_seconds(pid) for pid in self.pids())

    def rss(self) -> float:
        """Resident bytes of all its processes."""
        page = os.sysconf("SC_PAGE_SIZE")
        return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page for pid in self.pids())

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start(
    command: list[str], core: int, *, env: Mapping[str, str] | None = None, log: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """A process on one core, or free to choose when there is only one."""

    def pin() -> None:
        if (os.cpu_count() or 1) > 1:
            os.sched_setaffinity(0, {core})

    silent = subprocess.DEVNULL
    return subprocess.Popen(
        command,
        stdout=log or silent,
        stderr=log or silent,
        env=dict(os.environ) | dict(env or {}),
        preexec_fn=pin,
    )


def wait_until_open(port: int, process: subprocess.Popen[bytes], name: str) -> None:
    """Raise RuntimeError when the process ends or does not listen in time."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with status {process.returncode} instead of listening")
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    process.kill()
    raise RuntimeError(f"{name} does not listen after {START_SECONDS:.0f} s")
