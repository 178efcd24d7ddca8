"""One upstream call for the same request, however often a client sends it before it has its answer.

Agents and proxies repeat a call whose answer is late. With an `Idempotency-Key` the repetition waits for the first
one's answer instead of being paid twice. Answers are not kept: a repetition that comes after the end is a new request,
and another node does not know of it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from aiclient2api.errors import BadRequest, ErrorInfo
from aiclient2api.wire.http import WireRequest

T = TypeVar("T")
MAX_KEY: Final = 255
"""Characters of a key that counts; a longer one is refused."""

_REUSED: Final = ErrorInfo(
    kind="invalid",
    code="idempotency_key_reused",
    message="another request with this Idempotency-Key is under way",
    param="Idempotency-Key",
    should_retry=False,
)


class _Shared(Generic[T]):
    def __init__(self, place: tuple[str, str], task: asyncio.Task[T], digest: bytes) -> None:
        self.place = place
        self.task = task
        self.digest = digest
        self.waiting = 0


class SameRequests(Generic[T]):
    """Requests under way that carry a key, by tenant and key."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], _Shared[T]] = {}

    @property
    def waiting(self) -> int:
        """How many wait for their answer."""
        return sum(shared.waiting for shared in self._running.values())

    async def once(
        self, tenant: str, wire: WireRequest, begin: Callable[[], Awaitable[T]], joined: Callable[[], None]
    ) -> T:
        """The answer of `begin`, or of the same request that is under way, after a call of `joined`.

        The work goes on as long as anybody waits for it. Raises BadRequest where the key stands for another request.
        """
        key = wire.header("idempotency-key")
        if not key:
            return await begin()
        if len(key) > MAX_KEY:
            raise BadRequest(f"an Idempotency-Key has at most {MAX_KEY} characters")
        place, digest = (tenant, key), _digest(wire)
        shared = self._running.get(place)
        if shared is None:
            return await self._led(self._begin(place, digest, begin))
        if shared.digest != digest:
            raise BadRequest(info=_REUSED)
        joined()
        return await self._waited(shared)

    def _begin(self, place: tuple[str, str], digest: bytes, begin: Callable[[], Awaitable[T]]) -> _Shared[T]:
        task = asyncio.ensure_future(begin())
        shared = self._running[place] = _Shared(place, task, digest)
        task.add_done_callback(lambda _: self._over(shared))
        return shared

    def _over(self, shared: _Shared[T]) -> None:
        if self._running.get(shared.place) is shared:
            del self._running[shared.place]

    async def _led(self, shared: _Shared[T]) -> T:
        """For who began it: its exchange books the call, so it is not over before the call is."""
        try:
            return await self._waited(shared)
        except asyncio.CancelledError:
            # as long as others wait for it, or until it has heard that nobody does
            await asyncio.wait((shared.task,))
            raise

    async def _waited(self, shared: _Shared[T]) -> T:
        shared.waiting += 1
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.waiting -= 1
            if not shared.waiting and not shared.task.done():
                self._over(shared)  # who comes now must not wait for what is being cancelled
                shared.task.cancel()


def _digest(wire: WireRequest) -> bytes:
    """Which request it is, without keeping a word of it."""
    return hashlib.sha256(b"\0".join((wire.path.encode(), wire.query.encode(), wire.body))).digest()
