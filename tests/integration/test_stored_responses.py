"""A stored response lives on one account: what continues it goes there and nowhere else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.harness import KEY, Stack, serving

UNKNOWN = b'{"error":{"message":"Previous response not found.","type":"invalid_request_error","param":"previous_response_id","code":"previous_response_not_found"}}'


class Storing:
    """A Responses upstream that keeps each account's responses apart, as the provider does."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []
        self.failing: dict[str, int] = {}

    def answer(self, key: str, body: dict[str, Any]) -> tuple[int, str, bytes]:
        previous = body.get("previous_response_id")
        self.asked.append((key, previous))
        if key in self.failing:
            return (
                self.failing[key],
                "application/json",
                b'{"error":{"message":"no","type":"x","code":null,"param":null}}',
            )
        if previous is not None and not previous.startswith(f"resp_{key}_"):
            return 400, "application/json", UNKNOWN
        response = {
            "id": f"resp_{key}_{len(self.asked)}",
            "object": "response",
            "status": "completed",
            "model": body["model"],
            "output": [
                {
                    "type": "message",
                    "id": "msg_1",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
                }
            ],
            "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        }
        if not body.get("stream"):
            return 200, "application/json", json.dumps(response).encode()
        events = [
            {
                "type": "response.created",
                "sequence_number": 0,
                "response": {**response, "output": [], "status": "in_progress"},
            },
            {
                "type": "response.output_text.delta",
                "sequence_number": 1,
                "item_id": "msg_1",
                "output_index": 0,
                "content_index": 0,
                "delta": "Hi",
            },
            {"type": "response.completed", "sequence_number": 2, "response": response},
        ]
        return (
            200,
            "text/event-stream",
            "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events).encode(),
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                status, content_type, content = self.answer(
                    headers["authorization"].removeprefix("bearer "), body
                )
                writer.write(
                    f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {len(content)}\r\n\r\n".encode()
                    + content
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()


@pytest.fixture
def pair() -> Iterator[tuple[Stack, Storing]]:
    def sections(url: str) -> dict[str, Any]:
        account = {"provider": "openai", "base_url": url, "protocol": "openai_responses", "pool": "r"}
        chat = {"provider": "openai_compatible", "base_url": url, "api_key": "chat", "pool": "chat"}
        named = {name: {**account, "api_key": name} for name in ("a", "b")}
        return {"accounts": {**named, "chat": chat}, "models": {"m": {"targets": ["r/gpt-x", "chat/x"]}}}

    upstream = Storing()
    with serving(upstream.running(), sections) as stack:
        yield stack, upstream


def ask(stack: Stack, previous: str | None = None, model: str = "r/gpt-x", **more: Any) -> httpx.Response:
    body: dict[str, Any] = {"model": model, "input": "Hello", **more}
    if previous is not None:
        body["previous_response_id"] = previous
    return httpx.post(f"{stack.url}/v1/responses", json=body, headers={"authorization": f"Bearer {KEY}"})


def streamed_id(answer: httpx.Response) -> str:
    data = next(line for line in answer.text.splitlines() if line.startswith("data: "))
    return json.loads(data.removeprefix("data: "))["response"]["id"]


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
def test_a_conversation_stays_on_the_account_that_began_it(pair: tuple[Stack, Storing], stream: bool) -> None:
    stack, upstream = pair
    answers = [ask(stack, stream=stream) for _ in range(2)]  # round robin begins one on each account
    began = [key for key, _ in upstream.asked]
    for _ in range(3):
        for index, key in enumerate(began):
            previous = streamed_id(answers[index]) if stream else answers[index].json()["id"]
            answers[index] = ask(stack, previous, stream=stream)
            assert answers[index].status_code == 200, answers[index].text
            assert upstream.asked[-1] == (key, previous)

    assert set(began) == {"a", "b"}


def test_no_other_account_is_asked_when_that_one_fails(pair: tuple[Stack, Storing]) -> None:
    stack, upstream = pair
    first = ask(stack).json()["id"]
    holder = upstream.asked[-1][0]
    upstream.failing[holder] = 429
    before = len(upstream.asked)

    failed = {ask(stack, first, model="m").status_code for _ in range(3)}
    out = ask(stack, first, model="m")
    anew = ask(stack, model="m")

    assert (failed, out.status_code, anew.status_code) == ({429}, 503, 200)
    assert out.json()["error"]["code"] == "stateful_account_unavailable"
    assert [key for key, _ in upstream.asked[before:]] == [*[holder] * 3, "b" if holder == "a" else "a"]


def test_an_id_nobody_here_knows_is_the_upstreams_to_refuse_once(pair: tuple[Stack, Storing]) -> None:
    stack, upstream = pair

    answer = ask(stack, "resp_from_elsewhere", model="m")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "previous_response_not_found"
    assert len(upstream.asked) == 1


def test_another_protocol_cannot_continue_it(pair: tuple[Stack, Storing]) -> None:
    stack, upstream = pair

    answer = ask(stack, "resp_from_elsewhere", model="chat/x")

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "previous_response_not_found"
    assert not upstream.asked


def test_a_route_without_the_account_says_so_and_no_retry_helps(pair: tuple[Stack, Storing]) -> None:
    stack, upstream = pair
    first = ask(stack).json()["id"]

    answer = ask(stack, first, model="chat/x")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "stateful_account_unavailable")
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers
    assert len(upstream.asked) == 1
