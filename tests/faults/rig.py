"""One gateway and one fault server for all cells of a test run, each cell with a pool of its own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from tests.faults.addresses import Addresses, addresses
from tests.faults.asking import Question, Seen, ask
from tests.faults.catalogue import HEALTHY
from tests.faults.cells import Cell
from tests.faults.judge import raw_problems, sdk_problems
from tests.faults.official import Sdks, sdks
from tests.faults.refusals import CANARY
from tests.faults.script import Play
from tests.faults.server import FaultServer
from tests.faults.voices import RESPONSES
from tests.harness import KEY, Sections, Stack, serving
from tests.program import until

AT_ONCE = 16
SHORT = {
    "connect": "2500ms",
    "dns": "1200ms",
    "tls": "1200ms",
    "write": "1200ms",
    "headers": "1200ms",
    "first_content": "1200ms",
    "idle": "1200ms",
    "semantic_idle": "1500ms",
    "total": "1800ms",
    "total_stream": "30s",
}
"""A fiftieth of the defaults, for accounts whose upstream falls silent."""
LONG = dict.fromkeys(SHORT, "15s")
"""For all others, however busy the machine is."""


def account(url: str, protocol: str, label: str, key: str, **more: object) -> dict[str, object]:
    """An account whose upstream is at `url`/`label`."""
    base = f"{url}/{label}"
    common: dict[str, object] = {"api_key": key, "timeouts": LONG, **more}
    match protocol:
        case "openai_chat":
            return {"provider": "openai_compatible", "base_url": f"{base}/v1", **common}
        case "openai_responses":
            return {"provider": "openai", "base_url": f"{base}/v1", "protocol": RESPONSES, **common}
        case "anthropic":
            return {"provider": "anthropic_compatible", "base_url": base, **common}
        case _:
            return {"provider": "gemini_compatible", "base_url": base, **common}


def pool_of(cell: Cell, places: Addresses) -> dict[str, object]:
    """The cell's accounts: the bad one first, then the spare one."""
    label, protocol = cell.label, cell.upstream
    url = places.urls[cell.fault.where]
    limits = {"timeouts": SHORT} if cell.fault.times_out else {}
    trust = {"ca": str(places.ca)} if url.startswith("https") else {}
    accounts = {
        f"{label}.a": account(
            url, protocol, label, f"sk-{CANARY}-a{len(label)}", pool=label, **limits, **trust
        )
    }
    if cell.spare:
        good = places.urls["server"]
        accounts[f"{label}.b"] = account(good, protocol, f"ok.{label}", f"sk-{CANARY}-b", pool=label)
    return dict(accounts)


class Rig:
    """A running gateway with a pool for every cell."""

    def __init__(self, stack: Stack, server: FaultServer, clients: Sdks) -> None:
        self.stack = stack
        self.server = server
        self._sdks = clients
        self._numbers = itertools.count(1)
        self._threads = ThreadPoolExecutor(AT_ONCE)

    def observe(self, cells: Sequence[Cell]) -> dict[Cell, list[str]]:
        """Run all cells at once; the complaints about each."""
        return asyncio.run(self._observe(cells))

    async def _observe(self, cells: Sequence[Cell]) -> dict[Cell, list[str]]:
        # a connection that was warmed up is for its own cell: another one beside it would take it
        slots = asyncio.Semaphore(1 if any(cell.fault.warm_ups for cell in cells) else AT_ONCE)

        async def one(cell: Cell) -> tuple[Cell, list[str]]:
            async with slots:
                return cell, await self._run(cell)

        return dict(await asyncio.gather(*(one(cell) for cell in cells)))

    async def _run(self, cell: Cell) -> list[str]:
        nonce = f"n-{next(self._numbers):010x}"
        question = Question(
            protocol=cell.client,
            model=f"{cell.label}/{cell.label}",  # failures of a model count for all accounts of its provider
            nonce=nonce,
            stream=cell.stream,
            padding=cell.fault.padding,
            tools=cell.fault.tools,
        )
        for _ in range(cell.fault.warm_ups):
            before = await self._ask(question)
            if before.status != 200:
                return [f"the request before it failed: {before}"]
            await asyncio.to_thread(self.settle_pool, cell.label)
        if cell.judge == "raw":
            found = raw_problems(cell, nonce, await self._ask(question))
        else:
            loop = asyncio.get_running_loop()
            heard = await loop.run_in_executor(self._threads, self._sdks.ask, question, self.release)
            found = sdk_problems(cell, nonce, heard)
        return found + self._aftermath(cell, nonce)

    async def _ask(self, question: Question) -> Seen:
        return await ask(question, self.stack.url, KEY, self.release)

    def release(self, nonce: str) -> None:
        """Tell the fault server that the client has seen content."""
        self.stack.loop.call_soon_threadsafe(self.server.release, nonce)

    def _aftermath(self, cell: Cell, nonce: str) -> list[str]:
        """What happened upstream, and what the account's state is now."""
        found: list[str] = []
        low, high = cell.fault.hits
        hits = self.server.hits[cell.label]
        if not low <= hits <= high:
            found.append(f"{hits} calls of the bad account, not {low} to {high}")
        if cell.code in ("M", "P", "C") and self.server.hits[f"ok.{cell.label}"]:
            found.append("the spare account was asked")
        if self.server.hits["trap"]:
            found.append("a redirect was followed")
        wanted = cell.fault.status_after
        status = self._status(cell.label)
        if wanted and status not in wanted:
            found.append(f"the account is {status}, not {' or '.join(wanted)}")
        return found

    def _status(self, label: str) -> str:
        """The bad account's state: its own, or that of the one model."""
        account = self.stack.runtime.pools[label].accounts[0]
        overlay = account.overlays.get(label)
        own = account.state.status.value
        return overlay.status.value if own == "healthy" and overlay is not None else own

    def settle_pool(self, name: str) -> None:
        """The pool's connections are free again."""
        label = self.stack.runtime.pools[name].accounts[0]
        until(lambda: not label.inflight)
        self.stack.call(
            lambda: None
        )  # whatever follows the end of the lease in the same turn of the loop is over

    def settle(self) -> None:
        """Everything is as before: no request, no attempt, no task is left."""
        runtime = self.stack.runtime
        until(lambda: runtime.metrics.inflight == 0)
        until(lambda: not any(a.inflight for pool in runtime.pools.values() for a in pool.accounts))

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()


class _Upstreams:
    """Opens the addresses inside the gateway's loop and keeps them for the configuration."""

    def __init__(self, server: FaultServer, folder: Path) -> None:
        self._server, self._folder = server, folder
        self.places: Addresses | None = None
        self.unhandled: list[dict[str, Any]] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """See addresses."""
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.unhandled.append(context))
        async with addresses(self._server, self._folder) as places:
            self.places = places
            yield places.urls["server"]


@contextmanager
def rig(cells: Sequence[Cell], folder: Path) -> Iterator[Rig]:
    """A gateway for these cells. At the end nothing may be left over or have gone wrong unnoticed."""
    plays: dict[str, Play] = {cell.label: cell.play for cell in cells}
    server = FaultServer(lambda label: plays.get(label, HEALTHY))
    upstreams = _Upstreams(server, folder)

    def sections(_url: str) -> Sections:
        assert upstreams.places is not None
        accounts: dict[str, object] = {}
        for cell in cells:
            accounts |= pool_of(cell, upstreams.places)
        # all cells share their upstream's address, which must not suffer for the failures of others
        policy = {"health": {"host_failures": 1_000_000_000}}
        return {"accounts": accounts, "log": {"level": "error"}, "policy": policy}

    with serving(upstreams.running(), sections) as stack, sdks(stack.url, KEY) as clients:
        # upstreams and gateway share one loop here: its lag says nothing about the gateway's load
        stack.call(stack.gateway.app.pressure.stop)
        made = Rig(stack, server, clients)
        try:
            yield made
        finally:
            made.close()
    assert upstreams.unhandled == []
