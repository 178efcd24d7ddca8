"""A stream that has nothing to say yet: signs of life, failover behind them, and an end that tells the truth."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from tests.fakes.raw_server import Connection
from tests.fakes.turns import Turn, Turns, after, begin, body, chunk, silent, stream
from tests.harness import Sections, Stack, serving
from tests.integration.test_relay import EVENTS

SAID = [{"role": "user", "content": "x"}]
HEARTBEAT = {"first": "50ms", "every": "50ms"}
PATHS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai_chat": ("/v1/chat/completions", {"model": "m", "messages": SAID, "stream": True}),
    "openai_responses": ("/v1/responses", {"model": "m", "input": "x", "stream": True}),
    "anthropic": ("/v1/messages", {"model": "m", "max_tokens": 9, "messages": SAID, "stream": True}),
    "gemini": (
        "/v1beta/models/m:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "x"}]}]},
    ),
    "gemini array": (
        "/v1beta/models/m:streamGenerateContent",
        {"contents": [{"role": "user", "parts": [{"text": "x"}]}]},
    ),
}
PINGS = dict.fromkeys(PATHS, b"\n") | {"anthropic": b'event: ping\ndata: {"type":"ping"}\n\n'}
LAST = {
    "openai_chat": b"[DONE]",
    "openai_responses": b"response.completed",
    "anthropic": b"message_stop",
    "gemini": b"finishReason",
    "gemini array": b"finishReason",
}


def accounts(*names: str, **timeouts: str) -> Any:
    """Accounts of one pool behind the model name `m`, the first one asked first."""

    def sections(url: str) -> Sections:
        account = {"provider": "anthropic_compatible", "base_url": url, "timeouts": timeouts}
        return {
            "server": {"port": 0, "drain": "2s", "heartbeat": HEARTBEAT},
            "accounts": {name: {**account, "api_key": name, "pool": name} for name in names},
            "models": {"m": {"targets": [f"{name}/claude-x" for name in names]}},
        }

    return sections


def ask(stack: Stack, protocol: str) -> httpx.Response:
    path, request = PATHS[protocol]
    return httpx.post(stack.url + path, json=request, headers={"x-api-key": stack.key}, timeout=60)


def last_event(answer: httpx.Response) -> bytes:
    return answer.content.rstrip().rpartition(b"\n\n")[2]


def broken(stack: Stack, protocol: str) -> tuple[bytes, httpx.Response]:
    """All that arrives of a stream that is broken off."""
    path, request = PATHS[protocol]
    seen = b""
    headers = {"x-api-key": stack.key}
    with (
        httpx.stream("POST", stack.url + path, json=request, headers=headers, timeout=60) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        for piece in answer.iter_raw():
            seen += piece
    return seen, answer


LATE: Turn = after(0.3, stream(*EVENTS))


@pytest.mark.parametrize("protocol", PATHS)
def test_a_client_sees_signs_of_life_and_then_the_whole_answer(protocol: str) -> None:
    with serving(Turns(a=[LATE]).running(), accounts("a")) as stack:
        answer = ask(stack, protocol)

        assert answer.status_code == 200
        assert answer.content.startswith(PINGS[protocol])
        assert "Héllo 🌍".encode() in answer.content
        assert LAST[protocol] in last_event(answer)
        assert "x-a2-target" not in answer.headers, "nobody knew yet who would answer"


@pytest.mark.parametrize("protocol", PATHS)
def test_another_account_may_answer_behind_the_signs_of_life(protocol: str) -> None:
    upstream = Turns(a=[after(0.3, body(500, b"{}"))], b=[stream(*EVENTS)])
    with serving(upstream.running(), accounts("a", "b")) as stack:
        answer = ask(stack, protocol)

        assert answer.content.startswith(PINGS[protocol])
        assert LAST[protocol] in last_event(answer)
        assert upstream.calls == ["a", "b"]


@pytest.mark.parametrize("protocol", PATHS)
def test_when_all_fail_behind_the_signs_of_life_the_error_is_in_the_stream(protocol: str) -> None:
    upstream = Turns(a=[after(0.3, body(500, b"{}"))])
    with serving(upstream.running(), accounts("a")) as stack:
        seen, answer = broken(stack, protocol)

        assert answer.status_code == 200
        told = seen[len(PINGS[protocol]) :]
        assert b"error" in told and LAST[protocol] not in told
        assert stack.runtime.metrics.inflight == 0


def test_a_beating_array_is_valid_json() -> None:
    with serving(Turns(a=[after(0.3, body(500, b"{}"))]).running(), accounts("a")) as stack:
        seen, _ = broken(stack, "gemini array")

    assert json.loads(seen)[0]["error"]["code"] == 503


@pytest.mark.parametrize("protocol", PATHS)
def test_a_pause_in_the_answer_is_filled_too(protocol: str) -> None:
    async def with_a_pause(connection: Connection) -> None:
        await begin(connection)
        await chunk(connection, b"".join(EVENTS[:5]))
        await asyncio.sleep(0.3)
        await chunk(connection, b"".join(EVENTS[5:]))
        await connection.send(b"0\r\n\r\n")

    with serving(Turns(a=[with_a_pause]).running(), accounts("a")) as stack:
        answer = ask(stack, protocol)

        assert not answer.content.startswith(PINGS[protocol])
        assert answer.content.count(PINGS[protocol]) >= 1
        assert LAST[protocol] in last_event(answer)
        assert answer.headers["x-a2-target"] == "a/claude-x"


def signs_of_life(pause: Sequence[bytes]) -> int:
    """Of a Chat client's stream whose upstream sends these within the answer, 20 ms apart."""

    async def with_a_pause(connection: Connection) -> None:
        await begin(connection)
        await chunk(connection, b"".join(EVENTS[:5]))
        for piece in pause:
            await asyncio.sleep(0.02)
            if piece:
                await chunk(connection, piece)
        await chunk(connection, b"".join(EVENTS[5:]))
        await connection.send(b"0\r\n\r\n")

    with serving(Turns(a=[with_a_pause]).running(), accounts("a")) as stack:
        answer = ask(stack, "openai_chat")

        assert LAST["openai_chat"] in last_event(answer)
        return sum(len(lines) - 2 for lines in re.findall(rb"\n{3,}", answer.content))


def test_what_is_nothing_to_the_client_is_no_sign_of_life() -> None:
    assert signs_of_life([b": quiet\n\n"] * 20) >= 1
    assert signs_of_life([b""] * 20) >= 1
    assert signs_of_life([]) == 0


def test_a_unary_client_gets_nothing_before_its_answer() -> None:
    with serving(Turns(a=[LATE]).running(), accounts("a")) as stack:
        answer = httpx.post(
            f"{stack.url}/v1/chat/completions",
            json={"model": "m", "messages": SAID},
            headers={"x-api-key": stack.key},
            timeout=60,
        )

    assert answer.json()["choices"][0]["message"]["content"] == "Héllo 🌍"


def test_an_upstream_that_stays_silent_is_replaced_behind_the_signs_of_life() -> None:
    upstream = Turns(a=[silent(EVENTS[0])], b=[stream(*EVENTS)])
    with serving(upstream.running(), accounts("a", "b", first_content="300ms")) as stack:
        answer = ask(stack, "anthropic")

        assert answer.content.startswith(PINGS["anthropic"])
        assert answer.content.count(b"event: message_start") == 1
        assert upstream.calls == ["a", "b"]
