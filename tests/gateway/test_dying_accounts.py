"""Ten thousand requests while one of eight accounts dies in each of twenty ways: no client sees any of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from aiclient2api.accounts.account import Account, AccountSettings
from aiclient2api.accounts.pool import AccountPool
from aiclient2api.errors import TimedOut, Unreachable, UpstreamError, UpstreamFailed
from aiclient2api.gateway.attempt import Attempts
from aiclient2api.gateway.carried import Carried, Traces
from aiclient2api.gateway.dispatch import Dispatcher
from aiclient2api.gateway.exchange import Exchange
from aiclient2api.gateway.pins import Pins
from aiclient2api.gateway.upstream import Live
from aiclient2api.net.transport import Timeouts
from aiclient2api.protocols.carrier import Carrier
from aiclient2api.protocols.conversion import Inbound
from aiclient2api.protocols.factory import ConverterFactory
from aiclient2api.protocols.profile import DEFAULT_PROFILE, ModelProfile
from aiclient2api.protocols.registry import converters
from aiclient2api.providers.api_key import ApiKeyProvider
from aiclient2api.providers.credentials import Credentials, Secret
from aiclient2api.routing.table import Member, RouteTable
from aiclient2api.store.memory import MemoryStore
from aiclient2api.store.write_behind import WriteBehind
from aiclient2api.wire.http import WireRequest
from tests.fakes.accounts import Clock
from tests.fakes.scripted import JSON, Script, ScriptedTransport, cut

NAMES = "abcdefgh"
CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%s,"finish_reason":%s}]}\n\n'
ROLE = CHUNK % (b'{"role":"assistant","content":""}', b"null")
HELLO = CHUNK % (b'{"content":"Hello"}', b"null")
STOP = CHUNK % (b"{}", b'"stop"')
DONE = b"data: [DONE]\n\n"
HTML = (("content-type", "text/html"),)


def fine() -> Script:
    return Script(ROLE + HELLO, STOP + DONE)


def error(status: int, body: bytes = b"{}", **headers: str) -> Callable[[], Script]:
    sent = (*JSON, *((name.replace("_", "-"), value) for name, value in headers.items()))
    return lambda: Script(body, status=status, headers=sent)


WAYS: dict[str, Callable[[], Script | UpstreamError]] = {
    "refused": lambda: Unreachable("refused"),
    "reset while sending": lambda: UpstreamFailed("reset", sent=False),
    "reset after sending": lambda: UpstreamFailed("reset"),
    "no headers": lambda: TimedOut("silent"),
    "401": error(401),
    "402": error(402),
    "403": error(403),
    "429 for two seconds": error(429, retry_after="2"),
    "429 for days": error(429, retry_after="1587827"),
    "quota": error(429, b'{"error":{"message":"q","type":"insufficient_quota","code":"insufficient_quota"}}'),
    "500": error(500),
    "502 html": lambda: Script(b"<html>", status=502, headers=HTML),
    "503": error(503),
    "504": error(504),
    "524": error(524),
    "200 html": lambda: Script(b"<html>", headers=HTML),
    "204": lambda: Script(status=204),
    "empty": Script,
    "cut after the prelude": lambda: Script(ROLE, cut()),
    "no first token": lambda: Script(ROLE, TimedOut("silent")),
    "error event": lambda: Script(ROLE, b'data: {"error":{"message":"x","type":"server_error"}}\n\n'),
    "broken JSON": lambda: Script(b"data: {broken\n\n"),
}


class Bench:
    """The real dispatcher over eight accounts, each at a host of its own."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.transport = ScriptedTransport(dict.fromkeys(NAMES, fine))
        factory = ConverterFactory(converters(), Carrier({1: b"k" * 32}, 1))
        self.converter = factory["openai_chat"]
        self.pool = AccountPool(
            "main", [self._account(name) for name in NAMES], now=self.clock, random=lambda: 0.5
        )
        store = MemoryStore(self.clock)
        writes = WriteBehind(store)
        self.dispatcher = Dispatcher(
            RouteTable({}, [Member("main", "openai")], {}),
            {"main": self.pool},
            factory,
            Attempts(self.transport, {name: Timeouts() for name in NAMES}, 2**20),
            Traces(Pins(store, writes), Carried(store, writes, self.clock)),
        )
        self.dispatcher.sleep = self._sleep

    async def _sleep(self, _seconds: float) -> None:
        await asyncio.sleep(0)

    def _account(self, name: str) -> Account:
        provider = ApiKeyProvider(
            protocols=("openai_chat",),
            base_url=f"http://{name}/v1",
            credentials=Credentials(Secret("upstream-key")),
            auth="authorization",
            profiles=lambda _model, _protocol: DEFAULT_PROFILE,
        )
        return Account(name, "openai", provider, AccountSettings())

    async def ask(self) -> bytes:
        """A streamed answer, as a client gets it."""
        body = b'{"model":"main/m","stream":true,"messages":[{"role":"user","content":"Hi"}]}'
        wire = WireRequest(path="/v1/chat/completions", body=body)
        inbound = Inbound(self.converter, wire, "tests")
        exchange = Exchange(request_id="r", protocol="openai_chat", started=self.clock.now)
        live = await self.dispatcher.open(inbound, exchange)
        assert isinstance(live, Live)
        parts: list[bytes] = []

        def keep(data: bytes, _is_last: bool) -> bool:
            parts.append(data)
            return True

        await live.pour(keep)
        await live.finish()
        return b"".join(parts)


@pytest.mark.parametrize("way", WAYS)
async def test_no_client_sees_that_one_of_eight_accounts_dies(way: str) -> None:
    bench = Bench()
    whole = ROLE + HELLO + STOP + DONE
    for number in range(500):
        if number == 50:
            bench.transport.scripts["c"] = WAYS[way]
        bench.clock.now += 0.05

        assert await bench.ask() == whole

    assert bench.transport.calls["c"] >= 7
    dead = bench.transport.calls["c"] - 50 / 8
    assert dead <= 25, "an account that fails is soon left alone"
    assert all(account.inflight == 0 for account in bench.pool.accounts)


@pytest.mark.parametrize("way", WAYS)
async def test_the_account_that_died_is_the_only_one_that_is_out(way: str) -> None:
    bench = Bench()
    bench.transport.scripts["c"] = WAYS[way]
    for _ in range(120):  # the account's turn comes 15 times
        bench.clock.now += 0.001
        await bench.ask()

    now = bench.clock.now
    assert bench.pool.accounts[2].obstacle("m", now) is not None
    assert [one.name for one in bench.pool.accounts if one.obstacle("m", now) is None] == list("abdefgh")


def test_there_are_twenty_ways_and_ten_thousand_requests() -> None:
    assert len(WAYS) * 500 >= 10_000


class OfNoUse(Bench):
    """Its provider has a bug."""

    def _account(self, name: str) -> Account:
        def profile(_model: str, _protocol: str) -> ModelProfile:
            raise ValueError("a bug of the provider's")

        provider = ApiKeyProvider(
            protocols=("openai_chat",),
            base_url=f"http://{name}/v1",
            credentials=Credentials(Secret("upstream-key")),
            auth="authorization",
            profiles=profile,
        )
        return Account(name, "openai", provider, AccountSettings(concurrency=1))


async def test_a_provider_with_a_bug_keeps_no_account_busy() -> None:
    bench = OfNoUse()
    for _ in range(2 * len(NAMES)):
        with pytest.raises(ValueError, match="a bug of the provider's"):
            await bench.ask()

    assert [one.inflight for one in bench.pool.accounts] == [0] * len(NAMES)
