"""What a gateway says to its store, and what that costs: commands a second by kind, idle and under load; opcodes per verb.

python -m bench.background [VARIANT …] [--seconds 5]      variants of `bench.ours`; without any: the store's verbs alone

Commands are the server's own count. Opcodes are those of Python's, which do not depend on how busy the machine is.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

from redis import Redis
from tests.store.servers import running

from aiclient2api.store.address import parse
from aiclient2api.store.base import AddFields, Put
from aiclient2api.store.redis import RedisStore
from bench.__main__ import _load, _upstream
from bench.ours import VARIANTS, serve
from bench.scenarios import SCENARIOS

_UNARY: Final = next(scenario for scenario in SCENARIOS if scenario.name == "unary relay")


def _commands(server: Redis) -> dict[str, int]:
    found: dict[str, Any] = server.info("commandstats")  # pyright: ignore[reportAssignmentType]
    return {
        name.removeprefix("cmdstat_"): each["calls"] for name, each in found.items() if name != "cmdstat_info"
    }


def told(variant: str, seconds: float) -> None:
    """Print what one variant says, and its CPU."""
    upstream, address = _upstream()
    with tempfile.TemporaryDirectory() as folder:
        gateway, *beside = serve(variant, address, Path(folder))
        own = next(Path(folder).glob("data/**/socket"), None)
        server = Redis.from_url(beside[0].url) if beside else Redis(unix_socket_path=str(own))
        time.sleep(3.0)  # what a start costs is not meant
        works: dict[str, Callable[[], float]] = {
            "idle": lambda: time.sleep(seconds) or 0.0,
            "warm": lambda: _load(_UNARY, gateway, seconds=1.0)["requests"],
            "load": lambda: _load(_UNARY, gateway, seconds=seconds)["requests"],
        }
        for name, work in works.items():
            before, cpu, began = _commands(server), gateway.cpu(), time.monotonic()
            requests = work()
            spent, cpu = time.monotonic() - began, gateway.cpu() - cpu
            rates = {kind: (count - before.get(kind, 0)) / spent for kind, count in _commands(server).items()}
            kinds = ", ".join(f"{kind} {rate:.1f}" for kind, rate in sorted(rates.items()) if rate)
            per = f"{requests / spent:.0f} requests/s, " if requests else ""
            print(f"{variant}, {name}: {per}CPU {cpu / spent * 1e3:.1f} ms/s, ", end="")
            print(f"{sum(rates.values()):.0f} commands/s: {kinds}")
        for one in (*beside, gateway):
            one.stop()
    upstream.kill()


async def _opcodes(work: Callable[[], Awaitable[object]]) -> int:
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    for _ in range(3):
        await work()
    sys.settrace(trace)
    try:
        await asyncio.ensure_future(work())  # type: ignore[arg-type]
    finally:
        sys.settrace(None)
    return count


async def verbs(url: str) -> None:
    """Print the opcodes of a read, a write, and a batch of counts for one account and for 500."""
    store = RedisStore(parse(url), timeout=5.0)
    number = 0

    async def batch(accounts: int) -> None:
        nonlocal number
        number += 1
        marker = f"a2:v1:{{bench}}:{number}"
        counts = [AddFields(f"a2:v1:{{bench}}:count:{each}", {"gpt-4o ok": 1}) for each in range(accounts)]
        assert await store.apply([*counts, Put(marker, b"1", 5.0)], {marker: None})

    works: dict[str, Callable[[], Awaitable[object]]] = {
        "get": lambda: store.get("a2:v1:x"),
        "apply, one value": lambda: store.apply([Put("a2:v1:x", b"1")]),
        "guarded apply, one account": lambda: batch(1),
        "guarded apply, 500 accounts": lambda: batch(500),
    }
    for name, work in works.items():
        print(f"{name}: {await _opcodes(work)} opcodes")
    await store.close()


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.background")
    parser.add_argument("variants", nargs="*", help=", ".join(VARIANTS))
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    for variant in arguments.variants:
        told(variant, arguments.seconds)
    if not arguments.variants:
        with running() as server:
            asyncio.run(verbs(server.url))


if __name__ == "__main__":
    main()
