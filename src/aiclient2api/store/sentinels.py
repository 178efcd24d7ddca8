"""Connections to the master that sentinels name. All are asked, and the server that they name is asked too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from redis.asyncio.connection import SSLConnection
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoPermissionError, ResponseError

from aiclient2api.store.commands import Command
from aiclient2api.store.exchange import Client, raise_first
from aiclient2api.store.master import Answer, NoMaster, Place, UnknownName, chosen, read

GRACE: Final = 0.05
"""Seconds that the others have behind the first answer: a request that needs the store has 0.1."""
SILENCE: Final = 5.0
"""Seconds for which one that was late is asked, but not waited for."""
MEMORY: Final = 30.0
"""Seconds for which no earlier epoch is believed than one that was heard of; sentinels tell each other every two."""
NO_NAME: Final = "no such master"


class Sentinels(Sentinel):
    """Asks all sentinels at once. `seconds` for the answer of one; `now` in seconds."""

    def __init__(
        self,
        hosts: Sequence[Place],
        options: Mapping[str, Any],
        seconds: float,
        *,
        grace: float = GRACE,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`options` of a connection to a sentinel."""
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            list(hosts), sentinel_kwargs=dict(options)
        )
        self._clients = [Client(sentinel.connection_pool, seconds) for sentinel in self.sentinels]
        self._seconds = seconds
        self.grace = grace
        """Seconds, see GRACE."""
        self._now = now
        self._asked: dict[int, asyncio.Task[Answer]] = {}
        """Questions under way: none is asked twice at a time."""
        self._silent_until: dict[int, float] = {}
        self._believed: Answer | None = None
        self._heard, self._heard_at = 0, 0.0
        """The highest epoch, and when somebody last told it."""
        self.on_outdated: list[Callable[[], None]] = []
        """Told when what was believed is not true any more."""

    async def discover_master(self, service_name: str) -> Place:
        """Where the master is. Raises NoMaster."""
        self._believed = await self._look(service_name)
        return self._believed.place

    @property
    def named(self) -> Place | None:
        """The master, as far as that is known."""
        return None if self._believed is None else self._believed.place

    async def _look(self, name: str) -> Answer:
        tasks = [self._ask(index, name) for index in range(len(self._clients))]
        now = self._now()
        awaited = [task for index, task in enumerate(tasks) if self._silent_until.get(index, 0.0) <= now]
        await self._gather(awaited or tasks)
        for index, task in enumerate(tasks):
            if task in awaited and not task.done():
                self._silent_until[index] = now + SILENCE
        if not any(_is_answered(task) for task in tasks):
            await self._gather(tasks)
        over = [task for task in tasks if task.done() and not task.cancelled()]
        answers = [task.result() for task in over if task.exception() is None]
        if not answers:
            raise self._nobody(name, [error for task in over if (error := task.exception()) is not None])
        return chosen(name, answers, self._heard if now - self._heard_at < MEMORY else 0)

    async def _gather(self, tasks: Sequence[asyncio.Task[Answer]]) -> None:
        """Until all have answered; behind the first answer for a short time only."""
        clock = asyncio.get_running_loop().time
        pending, until = set(tasks), None
        while pending:
            left = None if until is None else max(0.0, until - clock())
            done, pending = await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            if until is None and any(map(_is_answered, done)):
                until = clock() + self.grace

    def _ask(self, index: int, name: str) -> asyncio.Task[Answer]:
        task = self._asked.get(index)
        if task is None or task.done():  # what it said is of before; its callback is still to run
            task = self._asked[index] = asyncio.ensure_future(self._question(self._clients[index], name))
            task.add_done_callback(lambda task: self._answered(index, task))
        return task

    async def _question(self, client: Client, name: str) -> Answer:
        questions: list[Command] = [
            ("SENTINEL", "MASTER", name),
            ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name),
        ]
        async with asyncio.timeout(self._seconds), client.session() as session:
            replies = await session.exchange(questions)
        raise_first(replies)
        state, named = replies
        return read(state, named)

    def _answered(self, index: int, task: asyncio.Task[Answer]) -> None:
        """Also of those that nobody waits for any more."""
        if self._asked.get(index) is task:
            del self._asked[index]
        if task.cancelled() or task.exception() is not None:
            return
        answer = task.result()
        self._silent_until.pop(index, None)
        if answer.epoch >= self._heard or self._now() - self._heard_at >= MEMORY:
            self._heard, self._heard_at = answer.epoch, self._now()
        if self._believed is not None and answer.outdates(self._believed):
            self._believed = None
            for tell in self.on_outdated:
                tell()

    def _nobody(self, name: str, errors: Sequence[BaseException]) -> NoMaster:
        unknown = [error for error in errors if NO_NAME in str(error).lower()]
        if 2 * len(unknown) > len(self._clients):
            return UnknownName(f"the sentinels know no master named {name!r}", errors)
        first = sorted(errors, key=lambda error: not isinstance(error, ResponseError))[:1]
        why = f" ({type(first[0]).__name__})" if first else ""
        return NoMaster(f"no sentinel names the master {name!r}{why}", errors)

    async def drop(self) -> None:
        """Close the connections to sentinels."""
        for client in self._clients:
            await client.drop()

    async def close(self) -> None:
        """Stop asking."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.drop()


def _is_answered(task: asyncio.Task[Answer]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


class MasterPool(SentinelConnectionPool):
    """Connections to a master; those to one that is not master any more are not used again."""

    def __init__(self, name: str, sentinels: Sentinels, **options: Any) -> None:
        is_tls = options.pop("ssl", False)
        kind = MasterConnectionOverTls if is_tls else MasterConnection
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            name, sentinels, connection_class=kind, **options
        )
        self.age = 0
        """How many masters there were."""
        self._name = name
        self._sentinels = sentinels
        self._place: Place | None = None
        sentinels.on_outdated.append(self._outdated)

    def _outdated(self) -> None:
        self._place = None
        self.age += 1

    async def get_master_address(self) -> Place:
        """Where a new connection goes."""
        place = await self._sentinels.discover_master(self._name)
        if place != self._place:
            self._place = place
            self.age += 1
        return place


class MasterConnection(SentinelManagedConnection):
    """One to a server that said itself, when the connection was made, that it is master."""

    connection_pool: MasterPool
    _age = 0

    async def connect_to(self, address: Place) -> None:
        """Connect, and ask. Raises RedisError."""
        self._age = self.connection_pool.age
        await super().connect_to(address)  # pyright: ignore[reportUnknownMemberType]
        try:
            await self._ask_role()
        except BaseException:
            await self.disconnect(nowait=True)
            raise

    async def _ask_role(self) -> None:
        await self.send_command("ROLE", check_health=False)
        try:
            reply = cast(Sequence[object], await self.read_response())
        except ResponseError as error:
            if isinstance(error, NoPermissionError) or "unknown command" in str(error).lower():
                return  # the sentinels' word has to do
            raise
        if reply[0] != b"master":
            raise Disconnected("the sentinels name a server that is no master (any more)")

    def should_reconnect(self) -> bool:
        """Whether it leads to a former master."""
        return self._age != self.connection_pool.age or super().should_reconnect()


class MasterConnectionOverTls(MasterConnection, SSLConnection):
    """The same over TLS."""
