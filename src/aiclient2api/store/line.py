"""The way to the server: bounded in number, cut off by a breaker while nobody answers, opened again by probes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.exceptions import (
    AskError,
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
    WatchError,
)
from redis.exceptions import TimeoutError as RedisTimeoutError

from aiclient2api.store.base import StoreUnavailable, StoreUnusable
from aiclient2api.store.breaker import Breaker
from aiclient2api.store.connection import Connections
from aiclient2api.store.master import NoMaster, UnknownName

T = TypeVar("T")
DOWN = (
    ReadOnlyError,
    BusyLoadingError,
    ClusterDownError,
    OutOfMemoryError,
    AuthenticationError,
    AuthorizationError,
    AskError,
    TryAgainError,
    RedisClusterException,
)
"""The server answers, but not as one that could be used: look for the master again at once."""
DOWN_WORDS = ("READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "OOM", "NOAUTH", "MISCONF", "NOREPLICAS")
FOREIGN_WORDS = ("WRONGTYPE", "value is not an integer", "hash value is not an integer", "would overflow")

NO_LOGIN = "the user or password is not accepted"
SENTINELS_LOGIN = "the sentinels do not accept the user or password (sentinel_username, sentinel_password)"
NOT_A_CLUSTER, NO_DATABASE = "is not a cluster, use redis://", "there is no database of this number"
REFUSALS = (
    (("db index is out of range",), NO_DATABASE),
    (("invalid db index",), NO_DATABASE),
    (("cluster support disabled",), NOT_A_CLUSTER),
    (("unknown command", "cluster"), NOT_A_CLUSTER),
    (("unknown command", "sentinel"), "is not a sentinel, use redis://"),
)
"""Words of the server's answer, and what they mean to the operator."""


class Line:
    """Runs exchanges with the server, `size` at a time. `check` decides whether an outage is over."""

    def __init__(
        self,
        connections: Connections,
        breaker: Breaker,
        check: Callable[[], Awaitable[None]],
        size: int,
    ) -> None:
        self._connections = connections
        self._breaker = breaker
        self._check = check
        self._places = asyncio.Semaphore(size)
        self._prober: asyncio.Task[None] | None = None
        self._is_closing = False
        self.on_return: list[Callable[[], None]] = []
        self.on_outage: list[Callable[[str], None]] = []

    @property
    def is_open(self) -> bool:
        """Whether the next call will be tried."""
        return not self._breaker.is_open

    async def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run an exchange. Raises StoreUnavailable, at once while the breaker is open."""
        if self._breaker.is_open:
            raise StoreUnavailable("the store is not available")
        return await self.attempt(work)

    async def attempt(self, work: Callable[[], Awaitable[T]]) -> T:
        """The same whatever the breaker says; what goes wrong with the server itself feeds it."""
        async with self._places:
            try:
                await self._connections.ready()
                return await work()
            except (TimeoutError, RedisTimeoutError) as error:
                self._breaker.timed_out()
                reason: BaseException = error
            except WatchError:
                raise
            except (RedisError, RedisClusterException, OSError) as error:
                if isinstance(error, ResponseError) and is_foreign(error):
                    raise
                await self._failed(error)
                reason = error
        if self._breaker.is_open and self._prober is None:
            self._tell(why(reason))
            self._prober = asyncio.ensure_future(self._probe_until_back())
        raise StoreUnavailable(f"the store does not answer ({why(reason)})") from reason

    async def _failed(self, error: BaseException) -> None:
        if isinstance(error, DOWN) or str(error).startswith(DOWN_WORDS):
            self._breaker.open()
            await self._connections.drop()
        else:
            self._breaker.failed()

    def _tell(self, reason: str) -> None:
        for tell in self.on_outage:
            tell(reason)

    async def _probe_until_back(self) -> None:
        """Look again and again, at most two seconds apart, until the store takes reads and writes."""
        while not self._is_closing:
            await asyncio.sleep(self._breaker.next_wait())
            try:
                await self._connections.drop()
                await self._check()
            except StoreUnavailable:
                continue
            except StoreUnusable as error:
                self._tell(str(error))
                continue
            except Exception as error:  # who looks no more would never see it come back
                self._tell(why(error))
                continue
            break
        if self._is_closing:
            return
        self._breaker.close()
        self._prober = None
        for back in self.on_return:
            back()

    async def close(self) -> None:
        """Stop looking, close every connection."""
        self._is_closing = True
        if self._prober is not None:
            self._prober.cancel()
            await asyncio.gather(self._prober, return_exceptions=True)
            self._prober = None
        await self._connections.close()


def is_foreign(error: ResponseError) -> bool:
    """Whether the value under a key is not of our making."""
    return any(word in str(error) for word in FOREIGN_WORDS)


def why(error: BaseException) -> str:
    """What went wrong, for people. Servers and redis-py quote commands with their values: that is left out."""
    text = str(error).partition(", with args beginning with")[0]
    _, quoted, answer = text.rpartition(" of pipeline caused error: ")
    if quoted:
        text = answer.strip("(),\"'")
    return f"{type(error).__name__}: {text[:120]}" if text else type(error).__name__


def refusal(error: BaseException | None) -> str | None:
    """What the operator has to mend, None for an outage that may pass."""
    if isinstance(error, NoMaster):
        return _refusal_of_sentinels(error)
    text = str(error)
    if isinstance(error, NoPermissionError) or text.startswith("NOPERM"):
        return "the user may not run the commands that are needed"
    if isinstance(error, AuthenticationError | AuthorizationError) or text.startswith(
        ("NOAUTH", "WRONGPASS")
    ):
        return NO_LOGIN
    if isinstance(error, InvalidResponse):
        is_alert = r'got "\x15"' in text  # the type of a TLS alert
        return (
            "speaks TLS, use rediss:// or ?tls=true" if is_alert else "does not speak the protocol of Redis"
        )
    lower = text.lower()
    return next((told for words, told in REFUSALS if all(word in lower for word in words)), None)


def _refusal_of_sentinels(error: NoMaster) -> str | None:
    if isinstance(error, UnknownName):
        return str(error)
    told = next((told for reason in error.reasons if (told := refusal(reason)) is not None), None)
    return SENTINELS_LOGIN if told == NO_LOGIN else told
