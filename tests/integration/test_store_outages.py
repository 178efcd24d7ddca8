"""Redis goes away in five ways while two hundred streams run on two workers: clients notice nothing, counts are exact."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from aiclient2api.simulator.settings import SimulatorSettings
from aiclient2api.store import keys
from tests.program import DEADLINE, simulating, until
from tests.store.clusters import replicated
from tests.store.servers import VALKEY, Server, free_port, running
from tests.workers.load import BODY
from tests.workers.rig import KEY, fleet, sections

STREAMS, UNARY = 200, 60
PACED = SimulatorSettings(events=40, interval=0.05)


class Outage(NamedTuple):
    """A store at `url` that goes `away` and comes `back`; `left` has the counts then."""

    url: str
    away: Callable[[], None]
    back: Callable[[], None]
    left: Callable[[], Server]


def _set(server: Server, name: str, value: str) -> None:
    with server.admin() as client:
        client.config_set(name, value)


@contextmanager
def outage(kind: str) -> Iterator[Outage]:
    """One of the ways."""
    if kind == "failed over":
        with replicated() as servers:

            def master_dies() -> None:
                with servers.master.admin() as client:
                    client.wait(1, 5000)
                servers.master.kill()

            yield Outage(servers.url, master_dies, lambda: None, lambda: servers.replica)
        return
    with running(VALKEY, "appendonly yes", "appendfsync always") as server:

        def replicate(host: str, port: str) -> None:
            with server.admin() as client:
                client.replicaof(host, port)

        ways: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
            "paused": (server.pause, server.resume),
            "killed": (server.kill, server.start),
            "out of memory": (lambda: _set(server, "maxmemory", "1"), lambda: _set(server, "maxmemory", "0")),
            "read-only": (
                lambda: replicate("127.0.0.1", str(free_port())),
                lambda: replicate("NO", "ONE"),
            ),
        }
        yield Outage(server.url, *ways[kind], lambda: server)


async def streams(url: str, begun: Callable[[], None]) -> list[tuple[int, bool]]:
    """Status and whether it came to its end, of every stream and every request beside them."""
    first = asyncio.Event()
    waiting = STREAMS

    async def one(session: aiohttp.ClientSession, *, is_stream: bool) -> tuple[int, bool]:
        nonlocal waiting
        text = b""
        body = {**BODY, "stream": is_stream, "max_tokens": 1000}
        try:
            async with session.post(f"{url}/v1/messages", json=body, headers={"x-api-key": KEY}) as answer:
                async for part in answer.content.iter_any():
                    if not text and is_stream:
                        waiting -= 1
                        if not waiting:
                            first.set()
                    text += part
        except BaseException:
            first.set()  # it will be told below, instead of being waited for
            raise
        return answer.status, (b"message_stop" if is_stream else b'"stop_reason":"') in text

    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    timeout = aiohttp.ClientTimeout(total=4 * DEADLINE)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        running_ones = [asyncio.ensure_future(one(session, is_stream=True)) for _ in range(STREAMS)]
        await first.wait()
        await asyncio.to_thread(begun)
        beside = [await one(session, is_stream=False) for _ in range(UNARY)]
        return [*beside, *await asyncio.gather(*running_ones)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["paused", "killed", "out of memory", "read-only", "failed over"])
def test_two_hundred_streams_notice_nothing_and_counts_are_exact(tmp_path: Path, kind: str) -> None:
    with outage(kind) as store, simulating(PACED) as (simulator, url):
        given: dict[str, Any] = {
            **sections(url, 2 * STREAMS),
            "store": {"url": store.url, "data_dir": str(tmp_path / "data")},
            "secrets": {"key": "a secret for this store"},
        }
        with fleet(tmp_path, given) as gateway:

            def counted() -> int:
                with store.left().admin() as client:
                    return sum(
                        int(number)
                        for account in given["accounts"]
                        for number in client.hvals(keys.account_counters(account))
                    )

            seen = asyncio.run(streams(gateway.url, store.away))
            until(lambda: gateway.program.events("store_lost"))
            store.back()
            until(lambda: counted() >= STREAMS + UNARY)

            assert set(seen) == {(200, True)}
            assert counted() == len(seen) == len(simulator.requests)
            assert gateway.program.stop() == 0
            assert counted() == len(seen)
