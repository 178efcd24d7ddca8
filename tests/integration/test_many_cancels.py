"""A thousand clients that leave, in every phase: nothing of them is left, and no account is blamed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes.turns import Turn, Turns, body, silent
from tests.harness import KEY, Sections, Stack, serving
from tests.integration.test_relay import EVENTS
from tests.program import until

AT_ONCE, ROUNDS = 50, 20
BODY = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Hi"}],"stream":true}'
REQUEST = (
    f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\ncontent-length: {len(BODY)}\r\n\r\n".encode()
    + BODY
)


def accounts(*names: str, **options: Any) -> Callable[[str], Sections]:
    """One target per name, in this order."""

    def sections(url: str) -> Sections:
        account = {"provider": "anthropic_compatible", "base_url": url, **options}
        return {
            "accounts": {name: {**account, "api_key": name, "pool": name} for name in names},
            "models": {"m": {"targets": [f"{name}/claude-x" for name in names]}},
        }

    return sections


async def leave_together(port: int, has_come_so_far: Callable[[], bool], *, reads: bool) -> None:
    """Clients that send a request, wait until all have come so far, and go."""
    clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(AT_ONCE)]
    for _, writer in clients:
        writer.write(REQUEST)
    async with asyncio.timeout(60):
        if reads:
            for reader, _ in clients:
                await reader.readuntil(b"H\xc3\xa9llo")
        while not has_come_so_far():
            await asyncio.sleep(0.002)
    for _, writer in clients:
        writer.transport.abort()


def inflight(stack: Stack) -> int:
    return sum(account.inflight for pool in stack.runtime.pools.values() for account in pool.accounts)


def cancel_a_thousand(
    stack: Stack, reached: Callable[[int], bool], *, reads: bool = False, kept: int = 0
) -> None:
    """`reached(n)`: whether n requests in all have come as far as they should."""
    services, port = stack.runtime.services, int(stack.url.rsplit(":", 1)[1])
    for number in range(ROUNDS):
        goal = (number + 1) * AT_ONCE
        asyncio.run(leave_together(port, lambda goal=goal: reached(goal), reads=reads))
        until(lambda: services.admission.inflight == kept and inflight(stack) == kept)
    assert stack.runtime.metrics.inflight == kept
    assert {a.state.status.value for pool in stack.runtime.pools.values() for a in pool.accounts} == {
        "healthy"
    }


PHASES: dict[str, tuple[Turn, bool]] = {
    "before the head": (silent(), False),
    "before the first content": (silent(EVENTS[0]), False),
    "in the stream": (silent(*EVENTS[:5]), True),
}


@pytest.mark.parametrize(("turn", "reads"), PHASES.values(), ids=PHASES.keys())
def test_a_thousand_leave_while_the_upstream_works(turn: Turn, reads: bool) -> None:
    upstream = Turns(a=[turn])
    with serving(upstream.running(), accounts("a")) as stack:
        cancel_a_thousand(stack, lambda goal: len(upstream.calls) >= goal, reads=reads)
        until(lambda: upstream.open == 0)


def test_a_thousand_leave_while_the_upstream_is_connected() -> None:
    """The upstream accepts and never answers the TLS handshake."""
    accepted = 0

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        while await reader.read(65_536):
            pass
        writer.close()

    class Mute:
        async def __aenter__(self) -> str:
            self._server = await asyncio.start_server(mute, "127.0.0.1", 0)
            return f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

        async def __aexit__(self, *_: object) -> None:
            self._server.close()

    sections = accounts("a", timeouts={"tls": "60s", "connect": "60s"})
    with serving(Mute(), sections) as stack:  # pyright: ignore[reportArgumentType]
        port, services = int(stack.url.rsplit(":", 1)[1]), stack.runtime.services
        for number in range(ROUNDS):
            before = accepted
            asyncio.run(leave_together(port, lambda before=before: accepted > before, reads=False))
            until(lambda: services.admission.inflight == 0 and inflight(stack) == 0)
            assert number < ROUNDS


def test_a_thousand_leave_while_another_account_is_asked() -> None:
    refusal = body(429, b'{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}')
    upstream = Turns(a=[refusal], b=[silent()])
    with serving(upstream.running(), accounts("a", "b")) as stack:
        port, services = int(stack.url.rsplit(":", 1)[1]), stack.runtime.services
        for number in range(ROUNDS):
            goal = (number + 1) * AT_ONCE
            asyncio.run(
                leave_together(port, lambda goal=goal: upstream.calls.count("b") >= goal, reads=False)
            )
            until(lambda: services.admission.inflight == 0 and inflight(stack) == 0)


def test_a_thousand_leave_the_queue() -> None:
    upstream = Turns(a=[silent()])
    patient = accounts("a", concurrency=1)
    # nobody is sent away before all have come, however slow the machine
    policy = {"policy": {"concurrency": {"wait": "60s"}}}
    with serving(upstream.running(), lambda url: {**patient(url), **policy}) as stack:
        services, port = stack.runtime.services, int(stack.url.rsplit(":", 1)[1])

        async def leave() -> None:
            reader, holder = await asyncio.open_connection("127.0.0.1", port)
            holder.write(REQUEST)
            async with asyncio.timeout(60):
                while not upstream.calls:
                    await asyncio.sleep(0.002)
            for _ in range(ROUNDS):
                await leave_together(port, lambda: services.admission.inflight > AT_ONCE, reads=False)
                async with asyncio.timeout(60):
                    while services.admission.inflight != 1:
                        await asyncio.sleep(0.002)
            assert (len(upstream.calls), inflight(stack)) == (1, 1)
            holder.transport.abort()
            await reader.read()

        asyncio.run(leave())
        until(lambda: services.admission.inflight == 0 and inflight(stack) == 0)
