"""Clients that ask without a pause: a third of them for streams, every request over a connection of its own."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp

from tests.program import DEADLINE, until

BODY: dict[str, Any] = {
    "model": "claude/x",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hello"}],
}


class Load:
    """`urls` gives the addresses of now; a connection that is refused goes to the next one, nothing else does."""

    def __init__(self, urls: Callable[[], list[str]], key: str, clients: int = 6) -> None:
        self._urls = urls
        self._key = key
        self._clients = clients
        self._is_over = False
        self.answers: Counter[str] = Counter()
        """Request ids of complete answers."""
        self.statuses: Counter[int | str] = Counter()
        """Statuses, `cut` for answers that broke off, and the names of failures without a status."""
        self.failures: list[str] = []

    @property
    def done(self) -> int:
        """Requests that are over."""
        return self.statuses.total()

    def more(self, count: int) -> None:
        """Wait until so many requests more are over."""
        before = self.done
        until(lambda: self.done >= before + count)

    async def _ask(self, session: aiohttp.ClientSession, turn: int) -> None:
        is_stream = turn % 3 == 0
        for attempt in range(20):
            urls = self._urls()
            url = urls[(turn + attempt) % len(urls)]
            try:
                async with session.post(
                    f"{url}/v1/messages",
                    json={**BODY, "stream": is_stream},
                    headers={"x-api-key": self._key},
                ) as answer:
                    text = await answer.text()
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.01)
                continue
            except (aiohttp.ClientError, TimeoutError) as error:
                self.statuses[type(error).__name__] += 1
                self.failures.append(f"{url}: {error!r}")
                return
            is_whole = ("message_stop" if is_stream else '"end_turn"') in text
            self.statuses[answer.status if is_whole or answer.status != 200 else "cut"] += 1
            if is_whole and answer.status == 200:
                self.answers[answer.headers["x-request-id"]] += 1
            return
        self.statuses["nobody there"] += 1

    async def _client(self, session: aiohttp.ClientSession, number: int) -> None:
        turn = number
        while not self._is_over:
            turn += 1
            await self._ask(session, turn)

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        timeout = aiohttp.ClientTimeout(total=DEADLINE)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await asyncio.gather(*(self._client(session, number) for number in range(self._clients)))

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Ask while the block runs; all requests are over behind it."""
        failure: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(self._run())
            except BaseException as error:
                failure.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._is_over = True
            thread.join(DEADLINE)
        assert not thread.is_alive()
        assert failure == []


async def stream_many(url: str, key: str, count: int, begun: Callable[[], None]) -> list[bool]:
    """So many streams at once, and whether each came to its end; `begun` is called in a thread when all have content."""
    all_begun = asyncio.Event()
    waiting = count

    async def one(session: aiohttp.ClientSession) -> bool:
        nonlocal waiting
        text = b""
        headers = {"x-api-key": key}
        try:
            async with session.post(
                f"{url}/v1/messages", json={**BODY, "stream": True}, headers=headers
            ) as answer:
                async for part in answer.content.iter_any():
                    if not text:
                        waiting -= 1
                        if not waiting:
                            all_begun.set()
                    text += part
        except aiohttp.ClientError:
            return False
        return b"message_stop" in text

    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    timeout = aiohttp.ClientTimeout(total=DEADLINE)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        streams = [asyncio.ensure_future(one(session)) for _ in range(count)]
        async with asyncio.timeout(DEADLINE):
            await all_begun.wait()
        await asyncio.to_thread(begun)
        return await asyncio.gather(*streams)
