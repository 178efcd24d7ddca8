"""What client keys and their limits cost, in CPU time: `python -m bench.limits`."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable
from statistics import median

from aiclient2api.gateway.exchange import Exchange
from aiclient2api.keys.limiter import KeyLimiter, Use
from aiclient2api.keys.record import KeyHash, KeyRecord, encode
from aiclient2api.keys.ring import ClientKey, KeyLimits
from aiclient2api.keys.sharing import UseSharing
from aiclient2api.keys.stored import SharedClientKeys
from aiclient2api.protocols.conversion import Inbound
from aiclient2api.protocols.registry import converters
from aiclient2api.store import keys
from aiclient2api.store.base import Add, PutFields
from aiclient2api.store.memory import MemoryStore
from aiclient2api.wire.http import WireRequest

REQUESTS = 2000
ROUNDS = 7
NODES = 4
BODY = b'{"model":"m","messages":[{"role":"user","content":"%s"}],"max_tokens":100}' % (b"word " * 200)


def cost(work: Callable[[], object]) -> float:
    """CPU seconds."""
    began = time.process_time()
    work()
    return time.process_time() - began


def request(limits: KeyLimits | None) -> float:
    """Microseconds to reserve, to make the headers and to settle, for one Chat request of 1 KiB."""
    chat = next(each for each in converters() if each.name == "openai_chat")
    inbound = Inbound(chat, WireRequest(path="/v1/chat/completions", body=BODY), tenant="t")
    limiter = KeyLimiter(time.time, random.random)
    limiter.nodes = lambda: NODES
    key = ClientKey(name="t", hash=b"", limits=limits)

    def work(exchanges: list[Exchange]) -> None:
        for exchange in exchanges:
            limiter.reserve(key, inbound, exchange)
            limiter.ended(exchange)

    rounds = [
        [Exchange(request_id=str(n), protocol="openai_chat", started=0.0) for n in range(REQUESTS)]
        for _ in range(ROUNDS)
    ]
    return median(cost(lambda some=some: work(some)) for some in rounds) / REQUESTS * 1e6


def exchange(count: int) -> float:
    """Milliseconds for one node of four to tell and hear, with so many keys in use on each."""
    store = MemoryStore(time.monotonic)
    sharings: list[tuple[KeyLimiter, UseSharing]] = []
    for number in range(NODES):
        limiter = KeyLimiter(time.time, random.random)
        for index in range(count):
            use = limiter.uses[f"key-{index}"] = Use(KeyLimits(requests=60))
            use.roll(int(time.time() // 60))
            use.take(10)
        sharings.append((limiter, UseSharing(store, f"node-{number}", limiter, time.monotonic)))

    def work(limiter: KeyLimiter, sharing: UseSharing) -> None:
        limiter.changes += 1
        asyncio.run(sharing.exchange())

    each = [cost(lambda pair=pair: work(*pair)) for _ in range(ROUNDS) for pair in sharings]
    return median(each) * 1e3


def hearing(count: int) -> tuple[float, float]:
    """Milliseconds to read so many keys at start, and to hear of one change among them."""
    store = MemoryStore(time.monotonic)
    node = SharedClientKeys(store, time.monotonic, None, print)

    def put(records: list[KeyRecord]) -> None:
        values = {record.name: encode(record) for record in records}
        writes = [PutFields(keys.client_keys(), values), Add(keys.client_keys_version(), 1)]
        asyncio.run(store.apply(writes))

    put(
        [
            KeyRecord(name=f"key-{n}", rev=1, hashes=(KeyHash(hash=secrets.token_hex(32)),), rpm=60)
            for n in range(count)
        ]
    )
    first = cost(lambda: asyncio.run(node.hear()))
    put([KeyRecord(name="key-5", rev=2, disabled=True)])
    return first * 1e3, cost(lambda: asyncio.run(node.hear())) * 1e3


def main() -> None:
    """Print the table."""
    print(f"a request of a key without limits   {request(None):8.2f} us")
    print(f"with rpm                            {request(KeyLimits(requests=10**9)):8.2f} us")
    limits = KeyLimits(requests=10**9, tokens=10**12, concurrency=10**6)
    print(f"with rpm, tpm and concurrency       {request(limits):8.2f} us")
    for count in (100, 5000):
        print(f"telling and hearing, {count:>5} keys      {exchange(count):8.2f} ms")
    first, change = hearing(10_000)
    print(f"reading 10,000 keys at start        {first:8.2f} ms")
    print(f"hearing of one change among them    {change:8.2f} ms")


if __name__ == "__main__":
    main()
