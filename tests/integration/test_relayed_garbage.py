"""An event that is cut or is no JSON is not relayed, although most relayed events are not read."""

from __future__ import annotations

import threading

import httpx
import pytest

from aiclient2api.simulator.scenario import Fault, Rule
from aiclient2api.simulator.settings import SimulatorSettings
from tests.harness import Sections, Stack, serving, simulated
from tests.integration.test_relay import BODY, EVENTS, Upstream, one_account

TEXT = "one two three four five six seven eight nine ten eleven twelve"
PATHS = {
    "openai_chat": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/m:streamGenerateContent?alt=sse",
}
BODIES = {
    "openai_chat": {"model": "m", "stream": True, "messages": [{"role": "user", "content": TEXT}]},
    "openai_responses": {"model": "m", "stream": True, "input": TEXT},
    "anthropic": {
        "model": "m",
        "stream": True,
        "max_tokens": 99,
        "messages": [{"role": "user", "content": TEXT}],
    },
    "gemini": {"contents": [{"role": "user", "parts": [{"text": TEXT}]}]},
}
ENDS = {
    "openai_chat": b'data: {"error":',
    "openai_responses": b"event: response.failed",
    "anthropic": b"event: error",
    "gemini": b'data: {"error":',
}
FIRST_CONTENT = {"openai_chat": 1, "openai_responses": 4, "anthropic": 1, "gemini": 0}


def two_accounts(protocol: str, url: str) -> Sections:
    account = {
        "openai_chat": {"provider": "openai_compatible", "base_url": f"{url}/v1"},
        "openai_responses": {
            "provider": "openai",
            "base_url": f"{url}/v1",
            "protocol": "openai_responses",
        },
        "anthropic": {"provider": "anthropic_compatible", "base_url": url},
        "gemini": {"provider": "gemini_compatible", "base_url": url},
    }[protocol]
    return {
        "accounts": {name: {**account, "api_key": name, "pool": "pool"} for name in ("a", "b")},
        "models": {"m": {"targets": ["pool/m"]}},
    }


def relayed(stack: Stack, protocol: str) -> bytes:
    """All that arrives, whatever way it ends."""
    headers = {"authorization": f"Bearer {stack.key}"}
    seen = b""
    with httpx.stream("POST", stack.url + PATHS[protocol], json=BODIES[protocol], headers=headers) as answer:
        assert answer.status_code == 200
        try:
            for chunk in answer.iter_raw():
                seen += chunk
        except httpx.RemoteProtocolError:
            pass
    return seen


@pytest.mark.parametrize("protocol", PATHS)
def test_garbage_in_the_first_content_event_is_another_accounts_turn(protocol: str) -> None:
    fault = Fault(malformed_after_events=FIRST_CONTENT[protocol], malformed="broken_json")
    with simulated(lambda url: two_accounts(protocol, url)) as (stack, simulator):
        simulator.scenario.add(Rule(fault=fault, times=1))

        seen = relayed(stack, protocol)

        assert [request.key for request in simulator.requests] == ["a", "b"]
    assert ENDS[protocol] not in seen
    assert b"twelve" in seen


@pytest.mark.parametrize("protocol", PATHS)
def test_garbage_after_content_ends_the_stream_in_the_protocols_own_way(protocol: str) -> None:
    fault = Fault(malformed_after_events=8, malformed="broken_json")
    paced = SimulatorSettings(interval=0.02)  # so that content has been passed on
    with simulated(lambda url: two_accounts(protocol, url), paced) as (stack, simulator):
        simulator.scenario.add(Rule(fault=fault))

        seen = relayed(stack, protocol)

        assert len(simulator.requests) == 1
    assert b"one" in seen
    assert b"twelve" not in seen
    assert seen.count(ENDS[protocol]) == 1


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"], ids=["relayed", "converted"])
def test_what_came_before_a_bad_event_in_the_same_read_arrives(path: str) -> None:
    upstream = Upstream([b"".join(EVENTS[:5]), EVENTS[4] + b"event: content_block_delta\ndata: {broken\n\n"])
    upstream.gate = threading.Event()
    with serving(upstream.running(), one_account) as stack:
        seen = b""
        with (
            httpx.stream("POST", stack.url + path, content=BODY, headers={"x-api-key": stack.key}) as answer,
            pytest.raises(httpx.RemoteProtocolError),
        ):
            for chunk in answer.iter_raw():
                seen += chunk
                upstream.gate.set()

    assert seen.count("Héllo 🌍".encode()) == 2
    assert b"error" in seen.rstrip().rsplit(b"\n\n", 1)[-1]
