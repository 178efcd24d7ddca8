"""One of eight accounts dies under load: what the clients notice must be nothing."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from tests.faults.catalogue import HEALTHY
from tests.faults.fleet import complaint, gateway, many
from tests.faults.rig import SHORT, account
from tests.faults.server import FaultServer
from tests.faults.voices import PROTOCOLS
from tests.faults.ways import REFUSED, WAYS

ACCOUNTS = 8


class Dying:
    """A pool of eight for every way; the first account of each has an address of its own."""

    def __init__(self) -> None:
        self.dead: set[str] = set()
        self.server = FaultServer(lambda label: WAYS[self.way(label)] if label in self.dead else HEALTHY)

    @staticmethod
    def way(label: str) -> str:
        """The way of a label."""
        return list(WAYS)[int(label.removeprefix("way-").partition(".")[0])]

    def sections(self, url: str, mortal: dict[int, str]) -> dict[str, Any]:
        """The configuration."""
        accounts: dict[str, Any] = {}
        for way in range(len(WAYS)):
            for number in range(ACCOUNTS):
                label = f"way-{way}.{number}"
                base = url if number else mortal[way]
                accounts[label] = account(
                    base, PROTOCOLS[way % 4], label, f"upstream-{label}", pool=f"way-{way}", timeouts=SHORT
                )
        return {"accounts": accounts}

    async def run(self, requests: int, at_once: int) -> dict[str, list[str]]:
        """So many requests for each way; the account dies after a quarter of them. The complaints by way."""
        found: dict[str, list[str]] = {}
        async with AsyncExitStack() as stack:
            url = await stack.enter_async_context(self.server.running())
            doors = {way: self.server.running() for way in range(len(WAYS))}
            mortal = {way: await door.__aenter__() for way, door in doors.items()}
            program = await stack.enter_async_context(gateway(self.sections(url, mortal)))
            for way, name in enumerate(WAYS):

                async def die(way: int = way, name: str = name) -> None:
                    self.dead.add(f"way-{way}.0")
                    if name == REFUSED:
                        await doors[way].__aexit__(None, None, None)

                dying: list[asyncio.Task[None]] = []

                def before(number: int, dying: list[asyncio.Task[None]] = dying, die: Any = die) -> None:
                    if number == requests // 4:
                        dying.append(asyncio.ensure_future(die()))

                done = await many(program.url, f"way-{way}/model-{way}", requests, at_once, before=before)
                await asyncio.gather(*dying)
                assert self.server.hits[f"way-{way}.0"], f"{name}: the account was never asked"
                found[name] = [text for question, seen in done if (text := complaint(question, seen))]
            for door in (doors[way] for way, name in enumerate(WAYS) if name != REFUSED):
                await door.__aexit__(None, None, None)
        return found
