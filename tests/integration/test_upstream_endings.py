"""How an upstream's answer begins and ends, byte by byte, and what client and account make of it."""

from __future__ import annotations

import json
import threading
from functools import partial
from typing import Any

import httpx
import pytest

from tests.harness import Sections, Stack, serving
from tests.integration.test_relay import BODY, EVENTS, Upstream, one_account, post
from tests.program import until
from tests.protocols.exchanges import chat, message, response

STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
ERROR = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'


def status(stack: Stack) -> str:
    (account,) = next(iter(stack.runtime.pools.values())).accounts
    return account.state.status.value


def outcomes(stack: Stack) -> set[str]:
    return {labels[-1] for labels in stack.runtime.metrics.requests.values}


def broken_stream(stack: Stack, upstream: Upstream, path: str = "/v1/messages") -> tuple[bytes, str]:
    """All that arrives of a stream that is broken off, and its request id."""
    seen = b""
    with (
        httpx.stream("POST", stack.url + path, content=BODY, headers={"x-api-key": stack.key}) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        for chunk in answer.iter_raw():
            seen += chunk
            if upstream.gate is not None:
                upstream.gate.set()
    return seen, answer.headers["x-request-id"]


def test_a_first_event_larger_than_any_prelude_is_content() -> None:
    text = b"x" * 1_000_000
    big = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%s"}}\n\n'
    pieces = [*EVENTS[:3], big % text, *EVENTS[5:]]
    upstream = Upstream(pieces)
    with serving(upstream.running(), one_account) as stack:
        answer = post(stack, BODY)

    assert answer.content == b"".join(pieces)


def patient_account(url: str) -> Sections:
    """An account whose bodies may end late, however busy the machine is."""
    sections = one_account(url)
    return {"accounts": {"a": {**sections["accounts"]["a"], "timeouts": {"eof": "20s"}}}}


def is_over(stack: Stack, upstream: Upstream, count: int) -> bool:
    """Whether so many answers were passed on and their ends sent."""
    return stack.runtime.metrics.inflight == 0 and upstream.ends == count


def test_a_late_end_of_the_body_is_no_departed_client_and_costs_no_connection() -> None:
    upstream = Upstream(list(EVENTS))
    upstream.end_gate = threading.Event()
    with serving(upstream.running(), patient_account) as stack:
        for count in (1, 2, 3):
            upstream.end_gate.clear()
            assert post(stack, BODY).content == b"".join(EVENTS)
            upstream.end_gate.set()
            until(partial(is_over, stack, upstream, count))
            assert sum(stack.runtime.metrics.requests.values.values()) == count
            httpx.get(f"{stack.url}/healthz", timeout=60)  # what came before it has been read
        assert outcomes(stack) == {"ok"}

    assert upstream.connections == 1


def test_an_error_with_a_terminal_behind_it_is_no_complete_answer() -> None:
    upstream = Upstream([b"".join(EVENTS[:5]), ERROR + STOP])
    upstream.gate = threading.Event()
    with serving(upstream.running(), one_account) as stack:
        seen, request_id = broken_stream(stack, upstream)

        assert b"message_stop" not in seen
        told = json.loads(seen.rstrip().rsplit(b"data: ", 1)[1])
        assert told["error"]["type"] == "overloaded_error"
        assert told["request_id"] == request_id


def test_an_error_known_before_the_first_byte_has_its_real_status() -> None:
    upstream = Upstream([b"".join(EVENTS[:5]) + ERROR])
    with serving(upstream.running(), one_account) as stack:
        answer = post(stack, BODY)

    assert answer.status_code == 529


def test_a_folded_answer_is_bounded_too() -> None:
    delta = EVENTS[4].replace("Héllo 🌍".encode(), b"x" * 10_000)

    def bounded(url: str) -> Sections:
        return {**one_account(url), "limits": {"answer": "100KiB"}}

    upstream = Upstream([*EVENTS[:3], *([delta] * 5000), *EVENTS[5:]])
    with serving(upstream.running(), bounded) as stack:
        body = {"model": "claude/claude-x", "messages": [{"role": "user", "content": "x"}]}
        answer = post(stack, json.dumps(body).encode(), "/v1/chat/completions")

        assert answer.status_code == 502
        assert upstream.written < 20_000_000


def chat_account(url: str) -> Sections:
    account = {"provider": "openai_compatible", "base_url": f"{url}/v1", "api_key": "k", "pool": "claude"}
    return {"accounts": {"a": account}}


def test_tool_arguments_cut_by_the_clients_own_limit_blame_nobody() -> None:
    chunk = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%s,"finish_reason":%s}]}\n\n'
    call = b'{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\\"a\\": 1"}}]}'
    upstream = Upstream([chunk % (call, b"null"), chunk % (b"{}", b'"length"'), b"data: [DONE]\n\n"])
    upstream.gate = threading.Event()
    with serving(upstream.running(), chat_account) as stack:
        for _ in range(4):
            upstream.gate.clear()
            seen, _ = broken_stream(stack, upstream)
            assert b"incomplete" in seen
        assert status(stack) == "healthy"


def test_our_own_connection_limit_blames_nobody() -> None:
    def narrow(url: str) -> Sections:
        sections = dict(one_account(url))
        sections["accounts"]["a"]["timeouts"] = {"connect": "100ms"}
        return {**sections, "providers": {"anthropic_compatible": {"connections": 1}}}

    upstream = Upstream([b"".join(EVENTS[:5]), b"".join(EVENTS[5:])])
    upstream.gate = threading.Event()
    with serving(upstream.running(), narrow) as stack:
        with httpx.stream(
            "POST", f"{stack.url}/v1/messages", content=BODY, headers={"x-api-key": stack.key}
        ) as running:
            chunks = running.iter_raw()
            next(chunks)

            second = post(stack, BODY)

            assert second.status_code == 529
            upstream.gate.set()
        assert status(stack) == "healthy"


def test_a_terminal_event_without_its_blank_line_ends_the_answer() -> None:
    upstream = Upstream([*EVENTS[:-1], EVENTS[-1].rstrip(b"\n")])
    with serving(upstream.running(), one_account) as stack:
        answer = post(stack, BODY)
        until(lambda: outcomes(stack) == {"ok"})

    assert answer.content == b"".join(EVENTS)


def one_of_each(url: str) -> Sections:
    """An account for each protocol, in a pool of its name."""
    settings: dict[str, dict[str, Any]] = {
        "openai_chat": {"provider": "openai_compatible"},
        "openai_responses": {"provider": "openai_compatible", "protocols": ["openai_responses"]},
        "anthropic": {"provider": "anthropic_compatible"},
        "gemini": {"provider": "gemini_compatible"},
    }
    common = {"base_url": url, "api_key": "k"}
    return {"accounts": {name: {**common, **own, "pool": name} for name, own in settings.items()}}


CALLED = {"id": "call_1", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}
UNARY: dict[str, tuple[str, dict[str, Any]]] = {
    "openai_chat": (
        "/v1/chat/completions",
        {"model": "openai_chat/m", "messages": [{"role": "user", "content": "Hi"}]},
    ),
    "openai_responses": ("/v1/responses", {"model": "openai_responses/m", "input": "Hi"}),
    "anthropic": (
        "/v1/messages",
        {"model": "anthropic/m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
    ),
    "gemini": (
        "/v1beta/models/gemini/m:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]},
    ),
}


@pytest.mark.parametrize("body", [b"{}", b'{"code":500,"msg":"busy"}'])
@pytest.mark.parametrize("protocol", UNARY)
def test_words_of_its_own_with_status_200_are_no_answer_even_to_a_relay(protocol: str, body: bytes) -> None:
    path, asked = UNARY[protocol]
    upstream = Upstream([body], "application/json")
    with serving(upstream.running(), one_of_each) as stack:
        answer = post(stack, json.dumps(asked).encode(), path)

    assert answer.status_code == (503 if protocol == "gemini" else 502)


def test_an_answer_that_is_made_in_the_background_is_neither_empty_nor_broken() -> None:
    body = b'{"id":"resp_1","object":"response","status":"queued","output":[],"usage":null}'
    path, asked = UNARY["openai_responses"]
    upstream = Upstream([body], "application/json")
    with serving(upstream.running(), one_of_each) as stack:
        answer = post(stack, json.dumps({**asked, "background": True}).encode(), path)

    assert answer.content == body
    assert len(upstream.bodies) == 1


def streamed(protocol: str) -> tuple[str, dict[str, Any]]:
    """As `UNARY`, for a stream."""
    path, asked = UNARY[protocol]
    if protocol == "gemini":
        return path.replace(":generateContent", ":streamGenerateContent?alt=sse"), asked
    return path, {**asked, "stream": True}


def test_an_empty_streamed_answer_is_delivered_when_nobody_else_can_be_asked() -> None:
    end = b'data: {"candidates":[{"finishReason":"STOP","index":0}]}\n\n'
    upstream = Upstream([end])
    path, asked = streamed("gemini")
    with serving(upstream.running(), one_of_each) as stack:
        answer = post(stack, json.dumps(asked).encode(), path)

    assert answer.status_code == 200
    assert answer.content == end


WHOLES: dict[str, dict[str, Any]] = {
    "openai_chat": chat({"content": "Hello", "tool_calls": [CALLED]}, "tool_calls"),
    "openai_responses": response(
        [
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Hello", "annotations": []}],
            }
        ],
        status="completed",
    ),
    "anthropic": message([{"type": "text", "text": "Hello"}], "end_turn"),
}


@pytest.mark.parametrize("client", UNARY)
@pytest.mark.parametrize("upstream", WHOLES)
def test_a_whole_answer_to_a_client_that_wants_a_stream_is_told_as_one(client: str, upstream: str) -> None:
    path, asked = streamed(client)
    body = json.dumps(asked).replace(f"{client}/m", f"{upstream}/m").encode()
    server = Upstream([json.dumps(WHOLES[upstream]).encode()], "application/json")
    with serving(server.running(), one_of_each) as stack:
        answer = post(stack, body, path.replace(f"{client}/m", f"{upstream}/m"))

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert b"Hello" in answer.content
    assert any(
        end in answer.content for end in (b"[DONE]", b"response.completed", b"message_stop", b'"STOP"')
    )
    assert (b'"get_time"' in answer.content) == (upstream == "openai_chat")


@pytest.mark.parametrize("upstream", WHOLES)
def test_an_indented_whole_answer_is_told_in_events_of_one_line(upstream: str) -> None:
    """OpenAI and Google indent their whole answers."""
    path, asked = streamed(upstream)
    told = WHOLES[upstream] | {"metadata": {"a": "b"}, "tools": [{"type": "web_search"}]}
    server = Upstream([json.dumps(told, indent=2).encode()], "application/json")
    with serving(server.running(), one_of_each) as stack:
        answer = post(stack, json.dumps(asked).encode(), path)

    assert answer.status_code == 200
    lines = [line for line in answer.content.splitlines() if line and not line.startswith(b"event: ")]
    for line in lines:
        assert line.startswith(b"data: ")
        assert line == b"data: [DONE]" or json.loads(line.removeprefix(b"data: "))


def test_a_whole_answer_of_a_chat_server_is_told_with_all_that_it_has_and_nothing_else() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": {"a": 1.50}}}
    told = chat({"content": "Hello", "reasoning_content": "Hm.", "tool_calls": [call]}, "tool_calls")
    told |= {
        "id": "of-its-own",
        "service_tier": "on_demand",
        "x_server": {"id": 7},
        "usage": {"prompt_tokens": 1},
    }
    path, asked = streamed("openai_chat")
    server = Upstream([json.dumps(told).encode()], "application/json")
    with serving(server.running(), one_of_each) as stack:
        answer = post(stack, json.dumps({**asked, "stream_options": {"include_usage": True}}).encode(), path)

    chunks = [json.loads(line[6:]) for line in answer.content.splitlines() if line.startswith(b"data: {")]
    beside = {
        "id": "of-its-own",
        "service_tier": "on_demand",
        "x_server": {"id": 7},
        "object": "chat.completion.chunk",
    }
    assert all(beside.items() <= chunk.items() for chunk in chunks)
    assert [chunk.get("usage") for chunk in chunks] == [None, None, {"prompt_tokens": 1}]
    begun, ended = (chunk["choices"] for chunk in chunks[:2])
    said = call | {"index": 0, "function": {"name": "f", "arguments": '{"a": 1.5}'}}
    message = {"role": "assistant", "content": "Hello", "reasoning_content": "Hm.", "tool_calls": [said]}
    assert begun == [{"index": 0, "delta": message, "finish_reason": None}]
    assert ended == [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]


def test_half_of_a_whole_answer_is_told_as_no_stream() -> None:
    path, asked = streamed("openai_chat")
    server = Upstream([json.dumps(chat({"content": "Hello"}, None)).encode()], "application/json")
    with serving(server.running(), one_of_each) as stack:
        answer = post(stack, json.dumps(asked).encode(), path)

    assert answer.status_code == 502


def test_a_request_that_only_the_upstream_understands_gets_its_whole_answer_too() -> None:
    path, asked = streamed("openai_chat")
    server = Upstream([json.dumps(chat({"content": "Hello"}, "stop")).encode()], "application/json")
    with serving(server.running(), one_of_each) as stack:
        answer = post(stack, json.dumps({**asked, "tools": "of its own"}).encode(), path)

    assert answer.status_code == 200
    assert b"Hello" in answer.content
    assert b"[DONE]" in answer.content
