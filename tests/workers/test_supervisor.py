"""The supervisor with processes that do nothing but say they are ready, so that it can be looked at closely."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from aiclient2api.workers.child import Child, spawn
from aiclient2api.workers.messages import Reload, Start, Written
from aiclient2api.workers.supervisor import Supervisor
from aiclient2api.workers.watchdog import watch
from tests.program import DEADLINE

WORKER = """
import asyncio, faulthandler, signal, socket, sys, time
import msgspec
from aiclient2api.workers.channel import opened
from aiclient2api.workers.messages import Drain, Ping, Pong, Ready, Reload, Reloaded, Retire, ToWorker

async def main():
    channel = await opened(socket.socket(fileno=int(sys.argv[1])), msgspec.msgpack.Decoder(ToWorker))
    start = await channel.receive()
    if start.written.data.get("fails"):
        return 3
    faulthandler.register(signal.SIGUSR1)
    channel.send(Ready())
    if start.written.data.get("quits"):
        return 3
    while (message := await channel.receive()) is not None:
        if isinstance(message, Reload):
            channel.send(Reloaded(problems=tuple(message.written.data.get("problems", ()))))
        elif isinstance(message, Ping):
            if start.worker == 2 and start.written.data.get("hangs"):
                time.sleep(3600)
            channel.send(Pong())
        elif not (isinstance(message, Drain | Retire) and start.written.data.get("deaf")):
            return 0
    return 0

sys.exit(asyncio.run(main()))
"""


class Rig:
    """A supervisor, what it told, and what its workers are started with."""

    def __init__(
        self, drain: float, patience: float = 20.0, data: Mapping[str, object] | None = None
    ) -> None:
        self.told: list[tuple[str, dict[str, object]]] = []
        self.data: Mapping[str, object] = data or {}
        self.supervisor = Supervisor(2, self._launch, self._tell, drain, patience)
        self.status: asyncio.Task[int]

    def _tell(self, level: str, name: str, /, **fields: object) -> None:
        self.told.append((name, fields))

    @property
    def names(self) -> Counter[str]:
        return Counter(name for name, _ in self.told)

    async def _launch(self, number: int) -> Child:
        with tempfile.TemporaryFile() as memory:
            written = Written(data=dict(self.data))
            start = Start(worker=number, workers=2, sockets=(), tally=memory.fileno(), written=written)
            child = await spawn([sys.executable, "-c", WORKER], start)
        if self.data.get("quits"):  # nothing is heard of it before it has ended
            with contextlib.suppress(ChildProcessError):  # the loop's watcher was faster
                os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        return child

    @property
    def pids(self) -> dict[int, int]:
        return {number: child.pid for number, child in self.supervisor.workers.items()}

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                assert not self.status.done(), self.told
                await asyncio.sleep(0.005)

    async def all_ready(self) -> None:
        await self.until(
            lambda: len(self.pids) == 2 and all(c.is_ready for c in self.supervisor.workers.values())
        )


@asynccontextmanager
async def supervised(
    drain: float = 5.0, patience: float = 20.0, data: Mapping[str, object] | None = None
) -> AsyncIterator[Rig]:
    rig = Rig(drain, patience, data)
    rig.status = asyncio.ensure_future(rig.supervisor.run())
    try:
        await rig.all_ready()
        yield rig
    finally:
        rig.supervisor.stop()
        async with asyncio.timeout(DEADLINE):
            status = await rig.status
    assert status == 0
    assert rig.supervisor.alive == set()


async def test_a_restart_of_all_and_a_death_at_the_same_time_leave_one_worker_in_each_place() -> None:
    async with supervised() as rig:
        before = rig.pids
        os.kill(before[2], signal.SIGKILL)
        rig.supervisor.roll()
        await rig.until(lambda: rig.names["rolling_restart_done"] and rig.names["worker_died"])
        await rig.all_ready()
        await rig.until(lambda: len(rig.supervisor.alive) == 2)

        assert set(rig.supervisor.workers.values()) == rig.supervisor.alive
        assert not set(before.values()) & set(rig.pids.values())


async def test_a_rolling_restart_with_workers_that_do_not_start_is_given_up() -> None:
    async with supervised() as rig:
        before = rig.pids
        rig.data = {"fails": True}
        rig.supervisor.roll()
        await rig.until(lambda: rig.names["rolling_restart_given_up"])
        await rig.until(lambda: len(rig.supervisor.alive) == 2)

        assert rig.pids == before


async def test_a_rolling_restart_with_workers_that_die_as_soon_as_they_are_ready_is_given_up() -> None:
    async with supervised() as rig:
        before = rig.pids
        rig.data = {"quits": True}
        rig.supervisor.roll()
        await rig.until(lambda: rig.names["rolling_restart_given_up"] or rig.names["rolling_restart_done"])
        await rig.until(lambda: len(rig.supervisor.alive) == 2)

        assert rig.pids == before


async def test_a_worker_that_cannot_take_a_configuration_is_replaced() -> None:
    async with supervised() as rig:
        before = rig.pids
        done = asyncio.Event()
        rig.supervisor.reload(Reload(written=Written(data={"problems": ["no"]})), done.set)
        async with asyncio.timeout(DEADLINE):
            await done.wait()

        assert rig.names["worker_reload_failed"] == 2
        assert not set(before.values()) & set(rig.pids.values())


async def test_a_worker_that_does_not_end_is_killed() -> None:
    rig = Rig(drain=-4.9)  # so that nothing is left of the grace
    rig.data = {"deaf": True}
    rig.status = asyncio.ensure_future(rig.supervisor.run())
    await rig.all_ready()
    rig.supervisor.stop()
    async with asyncio.timeout(DEADLINE):
        assert await rig.status == 0

    assert rig.names["worker_killed"] == 2
    assert {fields["status"] for name, fields in rig.told if name == "worker_left"} == {-9}


async def test_workers_that_never_get_ready_end_the_start_with_their_status() -> None:
    rig = Rig(drain=5.0)
    rig.data = {"fails": True}
    async with asyncio.timeout(DEADLINE):
        assert await rig.supervisor.run() == 3
    assert rig.supervisor.alive == set()


async def test_a_worker_whose_event_loop_stands_still_is_replaced_and_says_where_it_stood(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with supervised(patience=2.0, data={"hangs": True}) as rig:
        before = rig.pids
        rig.data = {}
        await rig.until(lambda: rig.names["worker_died"])
        await rig.until(lambda: rig.pids.get(2) not in (None, before[2]))
        await rig.all_ready()

        # others may be late where the machine is loaded
        hung = [
            fields for name, fields in rig.told if name == "worker_hung" and fields["worker_pid"] == before[2]
        ]
        assert hung == [{"worker": 2, "worker_pid": before[2], "seconds": 2.0}]
        os.kill(rig.pids[1], 0)  # the other one goes on
    assert "in main" in capfd.readouterr().err


async def test_a_worker_is_given_up_for_its_silence_and_only_once() -> None:
    asked: list[int] = []

    class Silent:
        def __init__(self, *, is_ready: bool, lived: float) -> None:
            self.is_ready, self.lived = is_ready, lived
            self.unanswered = 0

        def ping(self) -> None:
            self.unanswered += 1
            asked.append(self.unanswered)

    hung: list[object] = []
    silent = Silent(is_ready=True, lived=10.0)
    starting = Silent(is_ready=False, lived=59.0)
    stuck = Silent(is_ready=False, lived=61.0)
    watching = asyncio.ensure_future(watch(lambda: [silent, starting, stuck], hung.append, 0.05))
    async with asyncio.timeout(DEADLINE):
        while len(hung) < 2:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)  # it is not asked again
    watching.cancel()

    assert (hung, asked) == ([stuck, silent], [1, 2, 3, 4, 5])


async def test_a_replaced_worker_that_does_not_end_is_killed_when_its_time_is_over() -> None:
    async with supervised(drain=0.1, data={"deaf": True}) as rig:
        before = rig.pids
        rig.data = {}
        rig.supervisor.roll()
        await rig.until(lambda: rig.names["worker_killed"] == 2)
        await rig.until(lambda: len(rig.supervisor.alive) == 2)

        killed = {fields["worker_pid"] for name, fields in rig.told if name == "worker_killed"}
        assert killed == set(before.values())
        assert not rig.names["worker_died"], "nobody is missed"
