"""What a request made is gone with it: cycles would wait for the garbage collector, and its pauses are silences."""

from __future__ import annotations

import gc
import http.client
import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from aiclient2api.simulator.scenario import Fault, Rule
from tests.harness import KEY, Stack, four_pools, simulated
from tests.program import until

REQUESTS: dict[str, tuple[str, str, dict[str, object]]] = {
    "a relayed answer": ("/v1/chat/completions", "chat", {}),
    "a relayed stream": ("/v1/chat/completions", "chat", {"stream": True}),
    "a converted answer": ("/v1/messages", "chat", {"max_tokens": 99}),
    "a converted stream": ("/v1/messages", "chat", {"max_tokens": 99, "stream": True}),
    "a stream of Responses": ("/v1/messages", "responses", {"max_tokens": 99, "stream": True}),
    "a stream of Claude": ("/v1/chat/completions", "claude", {"stream": True}),
    "a stream of Gemini": ("/v1/chat/completions", "gemini", {"stream": True}),
}
CHAT = "/v1/chat/completions"
OURS = ("aiclient2api.server", "aiclient2api.gateway", "aiclient2api.protocols", "aiclient2api.net")
TIMES = 5


FAULTS = {
    "a stream that is cut": Fault(cut_after_events=5),
    "a stream that is reset": Fault(reset=True, cut_after_events=5),
    "a stream with an error in it": Fault(error_event_after_events=5),
    "a stream that is not JSON": Fault(malformed_after_events=5, malformed="broken_json"),
}


def ask(stack: Stack, path: str, document: dict[str, object], status: int = 200) -> None:
    """One request on a connection of its own."""
    address = urlsplit(stack.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    connection.request("POST", path, json.dumps(document), headers)
    answer = connection.getresponse()
    assert answer.status == status
    with suppress(http.client.IncompleteRead):
        answer.read()
    connection.close()


def document_of(pool: str, more: dict[str, object]) -> dict[str, object]:
    return {"model": f"{pool}/x", "messages": [{"role": "user", "content": "Hello"}], **more}


def left_by(stack: Stack, work: Callable[[], None]) -> Counter[str]:
    """The kinds of objects that only the garbage collector can take away after `work`."""
    found = Counter[str]()

    def begin() -> None:
        gc.collect()
        gc.disable()

    def end() -> None:
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        gc.set_debug(0)
        found.update(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.garbage)
        gc.garbage.clear()
        gc.enable()

    stack.call(begin)
    try:
        for _ in range(TIMES):
            work()
        until(lambda: stack.runtime.metrics.inflight == 0)
    finally:
        stack.call(end)
    return Counter({kind: count for kind, count in found.items() if kind.startswith(OURS)})


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_leaves_no_cycle(name: str) -> None:
    path, pool, more = REQUESTS[name]
    document = document_of(pool, more)
    with simulated(four_pools) as (stack, _):
        ask(stack, path, document)

        assert left_by(stack, lambda: ask(stack, path, document)) == {}


@pytest.mark.parametrize("pool", ["chat", "claude"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_stream_leaves_no_cycle(name: str, pool: str) -> None:
    document = document_of(pool, {"stream": True})
    with simulated(four_pools) as (stack, simulator):
        simulator.scenario.add(Rule(fault=FAULTS[name]))
        ask(stack, CHAT, document)

        assert left_by(stack, lambda: ask(stack, CHAT, document)) == {}


@pytest.mark.parametrize(
    ("pool", "fault", "status"),
    [("chat", 500, 502), ("chat", 400, 400), ("chat", 413, 413), ("claude", 429, 429), ("claude", 400, 400)],
)
def test_a_failed_attempt_leaves_no_cycle(pool: str, fault: int, status: int) -> None:
    document = document_of(pool, {})
    with simulated(four_pools) as (stack, simulator):
        simulator.scenario.add(Rule(fault=Fault(status=fault)))
        ask(stack, CHAT, document, status)

        assert left_by(stack, lambda: ask(stack, CHAT, document, status)) == {}


def test_a_refused_request_leaves_no_cycle() -> None:
    document = document_of("claude", {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]})
    with simulated(four_pools) as (stack, _):
        ask(stack, CHAT, document, 400)

        assert left_by(stack, lambda: ask(stack, CHAT, document, 400)) == {}
