"""F61: a client repeats a call that is under way, with its `Idempotency-Key`: the upstream is called once."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.serve import running
from aiclient2api.simulator.settings import SimulatorSettings
from tests.harness import KEY, Stack, four_pools, serving
from tests.program import until

PROMPT = [{"role": "user", "content": "Hello"}]
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai_chat": ("/v1/chat/completions", {"messages": PROMPT}),
    "openai_responses": ("/v1/responses", {"input": "Hello"}),
    "anthropic": ("/v1/messages", {"messages": PROMPT, "max_tokens": 99}),
    "gemini": (
        "/v1beta/models/{model}:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
    ),
}


class Gate:
    """Stands before an upstream and holds its answers back until it is open."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self.is_open = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        async with running(self._simulator) as url:
            host, _, port = url.removeprefix("http://").partition(":")
            self._address = host, int(port)
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            async with server:
                yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, out = await asyncio.open_connection(*self._address)
        await asyncio.gather(self._copy(reader, out, held=False), self._copy(there, writer, held=True))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, held: bool) -> None:
        try:
            while data := await reader.read(65_536):
                if held:
                    await self.is_open.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()


@pytest.fixture
def trio() -> Iterator[tuple[Stack, Simulator, Gate]]:
    simulator = Simulator(SimulatorSettings())
    gate = Gate(simulator)
    with serving(gate.running(), four_pools) as stack:
        yield stack, simulator, gate


def ask(stack: Stack, protocol: str, pool: str, **headers: str) -> httpx.Response:
    path, body = REQUESTS[protocol]
    model = f"{pool}/x"
    content = json.dumps(body if "{model}" in path else {"model": model, **body})
    sent = {"authorization": f"Bearer {KEY}", "content-type": "application/json", **headers}
    return httpx.post(stack.url + path.format(model=model), content=content, headers=sent, timeout=60)


@pytest.mark.parametrize("pool", ["chat", "claude"])
@pytest.mark.parametrize("protocol", REQUESTS)
def test_the_upstream_is_called_once_and_everybody_is_answered(
    trio: tuple[Stack, Simulator, Gate], protocol: str, pool: str
) -> None:
    stack, simulator, gate = trio
    with ThreadPoolExecutor(3) as threads:
        calls = [threads.submit(ask, stack, protocol, pool, **{"idempotency-key": "once"}) for _ in range(3)]
        until(lambda: stack.runtime.services.same.waiting == 3 and len(simulator.requests) == 1)
        stack.call(gate.is_open.set)
        answers = [call.result() for call in calls]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.content for answer in answers}) == 1
    assert sorted(answer.headers.get("x-a2-joined", "") for answer in answers) == ["", "1", "1"]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 3
    assert len(simulator.requests) == 1
    assert (
        sum(amount for labels, amount in stack.runtime.metrics.attempts.values.items() if "ok" in labels) == 1
    )


def test_a_reload_in_between_is_no_reason_for_a_second_call(trio: tuple[Stack, Simulator, Gate]) -> None:
    stack, simulator, gate = trio
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(ask, stack, "anthropic", "chat", **{"idempotency-key": "once"})
        until(lambda: len(simulator.requests) == 1)
        stack.call(lambda: stack.gateway.swap(stack.runtime.config))
        second = threads.submit(ask, stack, "anthropic", "chat", **{"idempotency-key": "once"})
        until(lambda: stack.runtime.services.same.waiting == 2 or len(simulator.requests) == 2)
        stack.call(gate.is_open.set)

        assert [call.result().status_code for call in (first, second)] == [200, 200]
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("protocol", REQUESTS)
def test_another_request_with_the_same_key_is_refused_in_the_clients_form(
    trio: tuple[Stack, Simulator, Gate], protocol: str
) -> None:
    stack, simulator, gate = trio
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(ask, stack, protocol, "chat", **{"idempotency-key": "once"})
        until(lambda: len(simulator.requests) == 1)
        second = ask(stack, protocol, "claude", **{"idempotency-key": "once"})
        stack.call(gate.is_open.set)

        assert first.result().status_code == 200
    assert second.status_code == 400
    assert "Idempotency-Key" in second.text
    assert len(simulator.requests) == 1


def test_without_a_key_everybody_has_a_call_of_their_own(trio: tuple[Stack, Simulator, Gate]) -> None:
    stack, simulator, gate = trio
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(ask, stack, "openai_chat", "chat") for _ in range(2)]
        until(lambda: len(simulator.requests) == 2)
        stack.call(gate.is_open.set)

        assert [call.result().status_code for call in calls] == [200, 200]


@pytest.mark.parametrize("headers", ["", "idempotency-key: once\r\n"], ids=["without a key", "with a key"])
def test_a_call_that_its_only_client_left_is_booked_as_left(
    trio: tuple[Stack, Simulator, Gate], headers: str
) -> None:
    stack, simulator, gate = trio
    body = json.dumps({"model": "chat/x", "messages": PROMPT})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {KEY}\r\n{headers}"
    url = httpx.URL(stack.url)
    with socket.create_connection((url.host, url.port)) as client:
        client.sendall(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        until(lambda: len(simulator.requests) == 1)
    metrics = stack.runtime.metrics
    try:
        until(lambda: metrics.attempts.values)
    finally:
        stack.call(gate.is_open.set)

    assert [amount for labels, amount in metrics.attempts.values.items() if "abandoned" in labels] == [1]
