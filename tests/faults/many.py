"""Faulted streams by the thousand: raw connections on both sides of a gateway, and a count of every lie."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import cast
from urllib.parse import urlsplit

from msgspec import Struct, field

from tests.faults.asking import Question, Seen, read_http, request_bytes, told
from tests.faults.drawing import POOLS, Drawn, draw, nonce_of
from tests.faults.official import Heard
from tests.faults.rig import account
from tests.faults.script import Play
from tests.faults.server import BY_MODEL, FaultServer
from tests.faults.voices import text_of

PATIENCE = 20.0
MAX_EXAMPLES = 20
TIMEOUTS = {"connect": "10s", "headers": "10s", "first_content": "10s", "idle": "2s", "total": "10s", "total_stream": "60s"}  # fmt: skip


class Tally(Struct, kw_only=True):
    """What came of them. Everything in `lies` must be zero."""

    streams: int = 0
    seconds: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)
    lies: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    by_sdk: int = 0

    def add(self, drawn: Drawn, outcome: str, lies: list[str]) -> None:
        """Count one stream."""
        self.streams += 1
        name = f"{outcome} after {drawn.kind}"
        self.outcomes[name] = self.outcomes.get(name, 0) + 1
        for lie in lies:
            kind = lie.split(":")[0]
            self.lies[kind] = self.lies.get(kind, 0) + 1
            if len(self.examples) < MAX_EXAMPLES:
                self.examples.append(
                    f"#{drawn.number} {drawn.client}>{drawn.upstream} {'stream' if drawn.stream else 'unary'} "
                    f"{drawn.kind} at {drawn.at}: {lie}"
                )


def sections(url: str, accounts: int = 8) -> dict[str, object]:
    """A pool for each upstream protocol, with limits so wide that a thousand faults take no account out."""
    made = {
        f"{pool}-{number}": account(
            url, protocol, BY_MODEL, f"upstream-key-{number}", pool=pool, timeouts=TIMEOUTS, concurrency=1000
        )
        for protocol, pool in POOLS.items()
        for number in range(accounts)
    }
    return {"accounts": made, "log": {"level": "error"}, "policy": lenient()}


def lenient() -> dict[str, object]:
    """A policy under which faults have no consequences for the streams behind them."""
    never = 1_000_000_000
    return {
        "health": {"strikes": never, "samples": never, "host_failures": never, "overload_failures": never},
        "retries": {"budget_cap": float(never), "budget_floor": float(never), "unsafe": 5},
        "throttle": {"samples": never},
    }


class _Call(asyncio.Protocol):
    """One connection with one request."""

    def __init__(self, request: bytes, nonce: bytes, released: Callable[[str], None]) -> None:
        self.data = bytearray()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request, self._nonce, self._released = request, nonce, released
        self._is_released = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self.data += data
        if not self._is_released and self._nonce in self.data:
            self._is_released = True
            self._released(self._nonce.decode())

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        if not self.done.done():
            self.done.set_result(None)


async def call(question: Question, url: str, key: str, released: Callable[[str], None]) -> Seen:
    """Ask, cheaply."""
    seen = Seen()
    address = urlsplit(url)
    loop = asyncio.get_running_loop()
    request = request_bytes(question, url, key)
    _, made = await loop.create_connection(
        lambda: _Call(request, question.nonce.encode(), released), address.hostname or "", address.port or 80
    )
    handle = loop.call_later(PATIENCE, made.transport.abort)
    began = loop.time()
    await made.done
    seen.hung = loop.time() - began >= PATIENCE
    handle.cancel()
    read_http(bytes(made.data), seen)
    return seen


class Run:
    """Numbers of one seed through one gateway. The fault server has to run in this event loop."""

    def __init__(self, seed: int, url: str, key: str, server: FaultServer) -> None:
        self.tally = Tally()
        self.seed, self._url, self._key, self._server = seed, url, key, server

    async def all(self, numbers: Iterable[int], at_once: int) -> Tally:
        """Run them, so many at once."""
        began = time.monotonic()
        left = iter(numbers)

        async def work() -> None:
            for number in left:
                await self.one(draw(self.seed, number))

        await asyncio.gather(*(work() for _ in range(at_once)))
        self.tally.seconds += time.monotonic() - began
        return self.tally

    async def one(self, drawn: Drawn) -> None:
        """One stream."""
        nonce = nonce_of(drawn.number)
        seen = await call(drawn.question, self._url, self._key, self._server.release)
        outcome, lies = verdict(drawn, seen, self._server.hits[f"r-{drawn.number}"])
        self.tally.add(drawn, outcome, lies)
        self._server.forget(nonce)
        self._server.forget_label(f"r-{drawn.number}")


def plays(seed: int) -> Callable[[str], Play]:
    """What the fault server plays to the models of a seed."""
    return lambda label: draw(seed, int(label[2:])).play


def verdict(drawn: Drawn, seen: Seen, hits: int) -> tuple[str, list[str]]:
    """The outcome in a word, and every lie in it. The second call of a stream is answered well."""
    if seen.hung or not seen.status:
        return "nothing", ["no answer: hung" if seen.hung else "no answer: closed"]
    if seen.status != 200:
        return "refused", ["a needless refusal"] if drawn.harmless else []
    answer = told(drawn.client, seen, stream=drawn.stream)
    whole = text_of(nonce_of(drawn.number))
    lies = [f"odd bytes: {problem}" for problem in answer.problems]
    if not whole.startswith(answer.text):
        lies.append(f"text of another: {answer.text!r}")
    if seen.complete:
        if hits == 1 and not (drawn.harmless or drawn.doubtful):
            lies.append(f"false success: {seen.body[-80:]!r}")
        if answer.text != whole or answer.ends != 1 or answer.error:
            lies.append(f"silent truncation: {answer.text!r}, {answer.ends} ends, {answer.error}")
        return ("whole" if hits == 1 else "whole by another account"), lies
    if answer.ends and not drawn.past_end:
        lies.append("false success: an end in a stream that was broken off")
    if answer.error is None or not answer.error_is_last:
        lies.append("no error: a stream that was broken off without a word")
    if drawn.harmless:
        lies.append("a needless break: the upstream had come to its end")
    return "broken off", lies


def sdk_verdict(drawn: Drawn, heard: Heard, hits: int) -> tuple[str, list[str]]:
    """The same by what an SDK shows."""
    whole = text_of(nonce_of(drawn.number))
    if heard.error is not None:
        lies = [] if whole.startswith(heard.text) else [f"text of another: {heard.text!r}"]
        return "raised", lies + (["a needless refusal"] if drawn.harmless else [])
    lies = [] if heard.text == whole and heard.finished else [f"silent truncation: {heard.text!r} by SDK"]
    if hits == 1 and not (drawn.harmless or drawn.doubtful):
        lies.append("false success: by SDK")
    return "whole", lies
