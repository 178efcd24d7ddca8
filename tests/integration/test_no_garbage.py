"""What a request made is gone with it: cycles would wait for the garbage collector, and its pauses are silences."""

from __future__ import annotations

import gc
import http.client
import json
from collections import Counter
from urllib.parse import urlsplit

import pytest

from tests.harness import KEY, Stack, four_pools, simulated
from tests.program import until

REQUESTS: dict[str, tuple[str, str, dict[str, object]]] = {
    "a relayed answer": ("/v1/chat/completions", "chat", {}),
    "a relayed stream": ("/v1/chat/completions", "chat", {"stream": True}),
    "a converted answer": ("/v1/messages", "chat", {"max_tokens": 99}),
    "a converted stream": ("/v1/messages", "chat", {"max_tokens": 99, "stream": True}),
}
TIMES = 5


def ask(stack: Stack, path: str, document: dict[str, object]) -> None:
    """One request on a connection of its own."""
    address = urlsplit(stack.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    connection.request("POST", path, json.dumps(document), headers)
    answer = connection.getresponse()
    assert answer.status == 200
    answer.read()
    connection.close()


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_leaves_no_cycle(name: str) -> None:
    path, pool, more = REQUESTS[name]
    document: dict[str, object] = {
        "model": f"{pool}/x",
        "messages": [{"role": "user", "content": "Hello"}],
        **more,
    }
    with simulated(four_pools) as (stack, _):
        ask(stack, path, document)
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
                ask(stack, path, document)
            until(lambda: stack.runtime.metrics.inflight == 0)
        finally:
            stack.call(end)

    assert [kind for kind in found if kind.startswith(("aiclient2api.server", "aiclient2api.gateway"))] == []
