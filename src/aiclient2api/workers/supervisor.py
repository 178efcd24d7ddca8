"""Keeps N workers running: starts them, starts them again when they die, replaces them one after the other, stops them.

All of them accept from sockets that the supervisor has bound, so a connection that waits while one worker goes is
taken by another. Workers end when the supervisor does, however it ends: their channel tells them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Final, Literal, Protocol

from aiclient2api.workers.backoff import Backoff
from aiclient2api.workers.child import Child
from aiclient2api.workers.messages import Reload
from aiclient2api.workers.watchdog import START_SECONDS, Watched, watch

RELOAD_SECONDS: Final = 30.0
STANDS: Final = 1.0
"""Seconds for which a new worker has to live before the one that it replaces goes."""
GRACE: Final = 5.0
"""Seconds beyond its time after which a worker that has not ended is killed."""
PATIENCE: Final = 20.0
"""Seconds without a sign of life after which a worker is replaced."""
LAST_WORDS: Final = 0.5
"""Seconds for a worker that hangs to say where."""
HURRIED: Final = 1.0
"""Seconds that a second signal leaves."""


class Told(Protocol):
    """Takes what happens; see `telemetry.log.JsonLog.event`."""

    def __call__(self, level: Literal["info", "warning", "error"], name: str, /, **fields: object) -> None:
        """One event."""
        ...


class Supervisor:
    """`launch` starts the worker of a number; `drain` in seconds. The callbacks are set before `run`."""

    def __init__(
        self,
        count: int,
        launch: Callable[[int], Awaitable[Child]],
        told: Told,
        drain: float,
        patience: float = PATIENCE,
    ) -> None:
        """`patience` with a worker that gives no sign of life, in seconds; 0 for ever."""
        self.workers: dict[int, Child] = {}
        """Who serves now, by number."""
        self.alive: set[Child] = set()
        """Also who is about to take a place, and who only finishes what is running."""
        self.on_ready: Callable[[], None] = lambda: None
        """All workers are ready for the first time."""
        self.on_end: Callable[[Child, int], None] = lambda _, __: None
        """A worker has ended, with this status."""
        self.is_stopping = False
        self._launch = launch
        self._told = told
        self._drain = drain
        self._patience = patience
        self._backoffs = {number: Backoff() for number in range(1, count + 1)}
        self._watches: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._killing: asyncio.TimerHandle | None = None
        self._changes: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._has_been_ready = False
        self._status = 0

    # ---- life

    async def run(self) -> int:
        """Until `stop` and the last worker's end. The exit status: 0, or that of a worker that never got ready."""
        self._go(self._begin(), self._tasks)
        self._go(self._change(), self._tasks)
        if self._patience > 0:
            self._go(watch(self._serving, self._hung, self._patience), self._tasks)
        await self._stop.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*self._watches, return_exceptions=True)
        if self._killing is not None:
            self._killing.cancel()
        return self._status

    async def _begin(self) -> None:
        for number in self._backoffs:
            self.workers[number] = await self._born(number)
        if all(await asyncio.gather(*(child.up for child in self.workers.values()))):
            self._has_been_ready = True
            self.on_ready()

    async def _born(self, number: int) -> Child:
        child = await self._launch(number)
        self.alive.add(child)
        self._told("info", "worker_started", worker=number, worker_pid=child.pid)
        self._go(self._watch(child), self._watches)
        if self.is_stopping:
            child.drain(at_once=True)
        return child

    async def _watch(self, child: Child) -> None:
        status = await child.run()
        self.alive.discard(child)
        self.on_end(child, status)
        is_at_work = self.workers.get(child.number) is child
        if is_at_work:
            del self.workers[child.number]
        if self.is_stopping or not is_at_work:
            self._told("info", "worker_left", worker=child.number, worker_pid=child.pid, status=status)
        elif not self._has_been_ready and not child.is_ready:
            self._status = status if status > 0 else 1
            self.stop(at_once=True)
        else:
            self._go(self._again(child, status), self._tasks)

    async def _again(self, child: Child, status: int) -> None:
        backoff = self._backoffs[child.number]
        pause = backoff.died(child.lived)
        place = {"worker": child.number, "worker_pid": child.pid}
        self._told("error", "worker_died", **place, status=status, pause=pause)
        if backoff.is_flapping:
            self._told("error", "worker_keeps_dying", worker=child.number, in_a_row=backoff.deaths)
        await asyncio.sleep(pause)
        while child.number not in self.workers:
            try:
                new = await self._born(child.number)
            except OSError as error:
                self._told("error", "worker_does_not_start", worker=child.number, reason=str(error))
                await asyncio.sleep(backoff.died(0.0))
                continue
            if child.number in self.workers:  # a rolling restart was faster
                new.drain(at_once=True)
            else:
                self.workers[child.number] = new

    def _serving(self) -> Collection[Child]:
        return list(self.workers.values())

    def _hung(self, child: Watched) -> None:
        """Its clients get an end at last, and its place a successor."""
        assert isinstance(child, Child)
        place = {"worker": child.number, "worker_pid": child.pid}
        self._told("error", "worker_hung", **place, seconds=self._patience)
        child.tell_where()
        asyncio.get_running_loop().call_later(LAST_WORDS, child.kill)

    # ---- changes, one at a time

    async def _change(self) -> None:
        while True:
            work = await self._changes.get()
            try:
                await work()
            except Exception as error:  # what serves goes on serving
                self._told("error", "change_failed", type=type(error).__name__, reason=str(error)[:200])

    def reload(self, message: Reload, done: Callable[[], None]) -> None:
        """Have all workers serve another configuration, then call `done`. One that cannot is replaced."""
        self._changes.put_nowait(lambda: self._reload(message, done))

    async def _reload(self, message: Reload, done: Callable[[], None]) -> None:
        replies = {child: child.reload(message) for child in self.workers.values()}
        if replies:
            await asyncio.wait(replies.values(), timeout=RELOAD_SECONDS)
        for child, reply in replies.items():
            if reply.cancelled():
                continue  # it died; its successor has the new configuration
            problems = reply.result() if reply.done() else ("no answer",)
            if problems:
                self._told("error", "worker_reload_failed", worker=child.number, problems=problems)
                if self.workers.get(child.number) is child:
                    await self._replace(child.number)
        done()

    def roll(self) -> None:
        """Replace every worker by a new process, one after the other: the new one is ready before the old one goes."""
        self._changes.put_nowait(self._roll)

    async def _roll(self) -> None:
        self._told("info", "rolling_restart_began", workers=len(self._backoffs))
        for number in self._backoffs:
            if not await self._replace(number):
                self._told("error", "rolling_restart_given_up", worker=number)
                return
        self._told("info", "rolling_restart_done", workers=len(self._backoffs))

    async def _replace(self, number: int) -> bool:
        """Whether a new worker serves in this place."""
        new = await self._born(number)
        await asyncio.wait((new.up,), timeout=START_SECONDS)
        if new.is_ready:
            await asyncio.wait((new.over,), timeout=STANDS)
        if not new.is_ready or new.over.done():
            new.kill()
            return False
        old = self.workers.get(number)
        self.workers[number] = new
        if old is not None:
            old.retire()
            asyncio.get_running_loop().call_later(self._drain + GRACE, self._overdue, old)
        return True

    # ---- the end

    def stop(self, *, at_once: bool = False) -> None:
        """Have everybody drain; `at_once` without notice. A second call hurries."""
        seconds = HURRIED if self.is_stopping else self._drain
        is_hurried, self.is_stopping = self.is_stopping, True
        if self._killing is not None:
            self._killing.cancel()
        self._killing = asyncio.get_running_loop().call_later(seconds + GRACE, self._kill)
        for child in self.alive:
            child.drain(at_once=at_once or is_hurried)
        self._stop.set()

    def _kill(self) -> None:
        for child in self.alive:
            self._overdue(child)

    def _overdue(self, child: Child) -> None:
        if child in self.alive:
            self._told("error", "worker_killed", worker=child.number, worker_pid=child.pid)
            child.kill()

    def _go(self, work: Coroutine[None, None, None], tasks: set[asyncio.Task[None]]) -> None:
        task = asyncio.ensure_future(work)
        tasks.add(task)
        task.add_done_callback(lambda task: self._over(task, tasks))

    def _over(self, task: asyncio.Task[None], tasks: set[asyncio.Task[None]]) -> None:
        tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._told("error", "supervisor_failed", type=type(error).__name__, reason=str(error)[:200])
            self._status = 1
            self.stop(at_once=True)
