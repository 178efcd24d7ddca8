"""Bounds: how much an account carries at once, how much this worker does, and what is told when it is too much."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import pytest

from tests.harness import KEY, Stack, serving
from tests.program import until

ANSWER = b'{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"Hi"}],"usage":{"input_tokens":1,"output_tokens":2}}'
REPLY = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
    len(ANSWER),
    ANSWER,
)


class Gate:
    """An upstream that answers one request for each `open`, and counts what it holds."""

    def __init__(self) -> None:
        self.held = 0
        self.peak = 0
        self._places = asyncio.Semaphore(0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(
                    next(line for line in head.lower().split(b"\r\n") if b"content-length" in line).split(
                        b":"
                    )[1]
                )
                await reader.readexactly(length)
                self.held += 1
                self.peak = max(self.peak, self.held)
                await self._places.acquire()
                self.held -= 1
                writer.write(REPLY)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def open(self, places: int = 1) -> None:
        for _ in range(places):
            self._places.release()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()


@contextmanager
def gated(accounts: int = 1, **sections: Any) -> Iterator[tuple[Stack, Gate, ThreadPoolExecutor]]:
    """A gateway whose accounts carry two requests each."""
    gate = Gate()

    def config(url: str) -> dict[str, Any]:
        entry = {"provider": "anthropic_compatible", "base_url": url, "pool": "claude", "concurrency": 2}
        named = {f"a{index}": {**entry, "api_key": f"k{index}"} for index in range(accounts)}
        return {"accounts": named, **sections}

    with serving(gate.running(), config) as stack, ThreadPoolExecutor(8) as threads:
        yield stack, gate, threads
        stack.call(lambda: gate.open(100))


PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/claude/x:generateContent",
}


def post(stack: Stack, protocol: str = "anthropic") -> httpx.Response:
    body = {"model": "claude/x", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}
    return httpx.post(stack.url + PATHS[protocol], json=body, headers={"x-api-key": KEY}, timeout=20)


def test_requests_over_an_accounts_limit_wait_for_a_place() -> None:
    with gated() as (stack, gate, threads):
        answers = [threads.submit(post, stack) for _ in range(5)]
        until(lambda: stack.runtime.metrics.inflight == 5)
        for left in (5, 4, 3, 2, 1):
            until(lambda left=left: stack.runtime.metrics.inflight == left and gate.held == min(left, 2))
            assert stack.runtime.pools["claude"].accounts[0].inflight == min(left, 2)
            stack.call(gate.open)

        assert [answer.result().status_code for answer in answers] == [200] * 5
        assert gate.peak == 2


def test_a_full_account_passes_requests_on_to_the_next() -> None:
    with gated(accounts=2) as (stack, gate, threads):
        answers = [threads.submit(post, stack) for _ in range(4)]
        until(lambda: gate.held == 4)
        assert [account.inflight for account in stack.runtime.pools["claude"].accounts] == [2, 2]
        stack.call(lambda: gate.open(4))

        assert {answer.result().status_code for answer in answers} == {200}


def test_a_wait_that_is_too_long_ends_with_a_clear_error() -> None:
    """The wait is two seconds, and it is the only test that takes them."""
    with gated() as (stack, gate, threads):
        held = [threads.submit(post, stack) for _ in range(2)]
        until(lambda: gate.held == 2)
        answer = post(stack)
        stack.call(lambda: gate.open(2))

        assert answer.status_code == 529
        assert answer.json()["error"]["type"] == "overloaded_error"
        assert answer.headers["x-should-retry"] == "true"
        assert {one.result().status_code for one in held} == {200}


def test_a_client_that_leaves_the_queue_takes_no_place() -> None:
    with gated() as (stack, gate, threads):
        held = [threads.submit(post, stack) for _ in range(2)]
        until(lambda: gate.held == 2)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{stack.url}/v1/messages",
                json={"model": "claude/x", "max_tokens": 9, "messages": []},
                headers={"x-api-key": KEY},
                timeout=0.2,
            )
        until(lambda: stack.runtime.metrics.inflight == 2)
        stack.call(lambda: gate.open(2))
        assert {one.result().status_code for one in held} == {200}
        stack.call(gate.open)
        assert post(stack).status_code == 200
        assert gate.peak == 2


OVERLOADED = {
    "openai_chat": (503, {"type": "server_error", "code": "overloaded"}),
    "openai_responses": (503, {"type": "server_error", "code": "overloaded"}),
    "anthropic": (529, {"type": "overloaded_error"}),
    "gemini": (503, {"status": "UNAVAILABLE", "code": 503}),
}


def test_a_full_worker_says_overloaded_in_each_protocols_form(each_server: str) -> None:
    with gated(limits={"streams_per_worker": 2}) as (stack, gate, threads):
        held = [threads.submit(post, stack) for _ in range(2)]
        until(lambda: gate.held == 2)
        answers = {protocol: post(stack, protocol) for protocol in OVERLOADED}
        assert httpx.get(f"{stack.url}/healthz").status_code == 200
        assert httpx.get(f"{stack.url}/v1/models", headers={"x-api-key": KEY}).status_code == 503
        stack.call(lambda: gate.open(10))
        assert {one.result().status_code for one in held} == {200}
        assert post(stack).status_code == 200, "a place is free again"

    for protocol, (status, members) in OVERLOADED.items():
        answer = answers[protocol]
        assert answer.status_code == status, protocol
        assert members.items() <= answer.json()["error"].items()
        assert 1 <= int(answer.headers["retry-after"]) <= 3
        assert answer.headers["x-should-retry"] == "true"
    details = answers["gemini"].json()["error"]["details"]
    assert any(detail["@type"].endswith("RetryInfo") for detail in details)
