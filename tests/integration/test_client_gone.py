"""When the client leaves, the upstream call is closed: in every phase, in every mode, and nothing leaks."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from aiclient2api.simulator.app import Simulator
from aiclient2api.simulator.scenario import Fault, Match, Rule
from aiclient2api.simulator.settings import SimulatorSettings
from tests.harness import KEY, Sections, Stack, four_pools, simulated
from tests.program import until


@pytest.fixture(scope="module")
def pair(server_name: str) -> Iterator[tuple[Stack, Simulator]]:
    settings = SimulatorSettings(events=2000, interval=0.01)
    with simulated(lambda url: {**four_pools(url), "server": {"http": server_name}}, settings) as (
        stack,
        simulator,
    ):
        simulator.scenario.add(Rule(fault=Fault(delay=30), match=Match(prompt="wait for the head")))
        simulator.scenario.add(
            Rule(fault=Fault(stall_after_events=1), match=Match(prompt="wait for content"))
        )
        yield stack, simulator


def request(protocol: str, pool: str, prompt: str, *, stream: bool) -> bytes:
    streamed = ',"stream":true' if stream else ""
    match protocol:
        case "openai_chat":
            path, body = (
                "/v1/chat/completions",
                f'{{"model":"{pool}/x","messages":[{{"role":"user","content":"{prompt}"}}]{streamed}}}',
            )
        case "openai_responses":
            path, body = "/v1/responses", f'{{"model":"{pool}/x","input":"{prompt}"{streamed}}}'
        case "anthropic":
            path = "/v1/messages"
            body = f'{{"model":"{pool}/x","max_tokens":9999,"messages":[{{"role":"user","content":"{prompt}"}}]{streamed}}}'
        case _:
            method = "streamGenerateContent?alt=sse" if stream else "generateContent"
            path = f"/v1beta/models/{pool}/x:{method}"
            body = f'{{"contents":[{{"role":"user","parts":[{{"text":"{prompt}"}}]}}]}}'
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def inflight(stack: Stack) -> int:
    return sum(account.inflight for pool in stack.runtime.pools.values() for account in pool.accounts)


PHASES = {
    "before the upstream's head": ("wait for the head", False),
    "before the head of a stream": ("wait for the head", True),
    "behind the head, before content": ("wait for content", True),
    "while it is folded": ("Hello", False),
    "in the stream": ("Hello", True),
}


CLIENTS = ("openai_chat", "openai_responses", "anthropic", "gemini")
SAME = {("openai_chat", "chat"), ("anthropic", "claude")}
CASES = [
    pytest.param(phase, protocol, pool, id=f"{phase}-{protocol}-{pool}")
    for phase in PHASES
    for protocol in CLIENTS
    for pool in ("chat", "claude")
    if not (
        phase == "while it is folded" and (protocol, pool) in SAME
    )  # a relayed unary answer is not folded
]


@pytest.mark.parametrize(("phase", "protocol", "pool"), CASES)
def test_the_upstream_is_closed(pair: tuple[Stack, Simulator], phase: str, protocol: str, pool: str) -> None:
    stack, simulator = pair
    prompt, stream = PHASES[phase]
    requests, closed = len(simulator.requests), simulator.closed_early
    host, port = stack.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(request(protocol, pool, prompt, stream=stream))
        until(lambda: len(simulator.requests) > requests)
        if phase == "in the stream":
            assert b"200 OK" in client.recv(65536)

    until(lambda: simulator.closed_early > closed)
    until(lambda: inflight(stack) == 0 and stack.runtime.services.admission.inflight == 0)
    assert simulator.open_streams == 0
    assert stack.runtime.metrics.inflight == 0


def test_the_second_attempt_is_closed_when_the_client_leaves_in_it() -> None:
    with simulated(two_accounts) as (stack, simulator):
        simulator.scenario.add(Rule(fault=Fault(status=500), times=1))
        simulator.scenario.add(Rule(fault=Fault(delay=30)))
        host, port = stack.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(request("anthropic", "claude", "Hello", stream=True))
            until(lambda: len(simulator.requests) == 2)

        until(lambda: inflight(stack) == 0)
        until(lambda: simulator.open_streams == 0)
        assert len(simulator.requests) == 2


def two_accounts(url: str) -> Sections:
    one = {"provider": "anthropic_compatible", "base_url": url, "pool": "claude"}
    return {"accounts": {name: {**one, "api_key": f"key-of-{name}"} for name in ("a", "b")}}


def test_a_client_that_leaves_while_it_sends_its_body_reaches_nobody(pair: tuple[Stack, Simulator]) -> None:
    stack, simulator = pair
    requests = len(simulator.requests)
    host, port = stack.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(request("anthropic", "claude", "Hello", stream=False)[:-10])
        until(lambda: stack.runtime.services.admission.inflight == 1)

    until(lambda: stack.runtime.services.admission.inflight == 0)
    assert len(simulator.requests) == requests


def test_the_account_is_not_blamed(pair: tuple[Stack, Simulator]) -> None:
    stack, _ = pair

    assert {a.state.status.value for pool in stack.runtime.pools.values() for a in pool.accounts} == {
        "healthy"
    }
