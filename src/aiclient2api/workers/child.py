"""One worker as the supervisor sees it: a process, a channel, and what it said."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec

from aiclient2api.workers import channel
from aiclient2api.workers.channel import Channel
from aiclient2api.workers.messages import (
    Ask,
    Drain,
    FromWorker,
    Ping,
    Pong,
    Ready,
    Reload,
    Reloaded,
    Report,
    Retire,
    Start,
    What,
    Wish,
)

T = TypeVar("T")
_DECODER: Final = msgspec.msgpack.Decoder(FromWorker)


class Child:
    """A worker that was started. `wished` is called for what its clients want to know of all workers."""

    def __init__(
        self, number: int, process: asyncio.subprocess.Process, channel: Channel[FromWorker]
    ) -> None:
        self.number = number
        self.pid = process.pid
        self.began = time.monotonic()
        self.up: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """True when it serves, False when it has ended before."""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """It has ended."""
        self.wished: Callable[[Wish], None] = lambda _: None
        self.unanswered = 0
        """See Watched."""
        self.last_words: bytes | None = None
        """The latest report for the metrics."""
        self._process = process
        self._channel = channel
        self._reports: dict[int, asyncio.Future[bytes]] = {}
        self._reloads: list[asyncio.Future[tuple[str, ...]]] = []

    @property
    def is_ready(self) -> bool:
        """Whether it has said that it serves."""
        return self.up.done() and self.up.result()

    @property
    def lived(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.began

    async def run(self) -> int:
        """Listen to it until it has ended; its exit status, negative for a signal."""
        while (message := await self._channel.receive()) is not None:
            self._take(message)
        status = await self._process.wait()
        self._channel.close()
        _settle(self.up, False)
        _settle(self.over, None)
        for future in (*self._reports.values(), *self._reloads):
            future.cancel()
        return status

    def _take(self, message: FromWorker) -> None:
        match message:
            case Ready():
                _settle(self.up, True)
            case Reloaded():
                if self._reloads:
                    _settle(self._reloads.pop(0), message.problems)
            case Report():
                if message.what == "metrics":
                    self.last_words = message.body
                if (future := self._reports.pop(message.number, None)) is not None:
                    _settle(future, message.body)
            case Wish():
                self.wished(message)
            case Pong():
                self.unanswered = 0

    def send(self, message: object) -> None:
        """Tell it something."""
        self._channel.send(message)

    def ping(self) -> None:
        """See Watched."""
        self.unanswered += 1
        self._channel.send(Ping())

    def ask(self, number: int, what: What) -> asyncio.Future[bytes]:
        """Have it report; cancelled when it dies."""
        future = self._reports[number] = asyncio.get_running_loop().create_future()
        self._channel.send(Ask(number=number, what=what))
        return future

    def forget(self, number: int) -> None:
        """Nobody waits for this report any more."""
        if (future := self._reports.pop(number, None)) is not None:
            future.cancel()

    def reload(self, message: Reload) -> asyncio.Future[tuple[str, ...]]:
        """Have it serve another configuration: what is wrong with it; cancelled when it dies."""
        future: asyncio.Future[tuple[str, ...]] = asyncio.get_running_loop().create_future()
        self._reloads.append(future)
        self._channel.send(message)
        return future

    def drain(self, *, at_once: bool) -> None:
        """Have it stop; a second time, hurry. Who does not serve yet has nothing to finish."""
        if self.is_ready:
            self._channel.send(Drain(at_once=at_once))
        else:
            self._signal(signal.SIGTERM)

    def retire(self) -> None:
        """Have it finish what is running, and nothing else."""
        self._channel.send(Retire())

    def tell_where(self) -> None:
        """Have it write to its stderr what it is busy with."""
        self._signal(signal.SIGUSR1)

    def kill(self) -> None:
        """Without a word."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            self._process.send_signal(number)


def _settle(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


async def spawn(command: Sequence[str], start: Start) -> Child:
    """Start a worker: the command gets the number of its channel's descriptor as one more argument. Raises OSError.

    It lives in a session of its own, so that a terminal's Ctrl-C reaches the supervisor only.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *command,
                str(theirs.fileno()),
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *start.sockets, start.tally),
                start_new_session=True,
            )
        end = await channel.opened(ours, _DECODER)
    except BaseException:
        ours.close()
        raise
    end.send(start)
    return Child(start.worker, process, end)
