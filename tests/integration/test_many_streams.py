"""Five hundred paced streams at once on one worker, converted: none lost, none cut, every word in its place."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiclient2api.simulator.settings import SimulatorSettings
from tests.harness import KEY, Stack, four_pools, simulated

STREAMS = 500
EVENTS = 20


async def one(stack: Stack, number: int) -> tuple[str, list[str]]:
    """The text of one stream and its event names, read over a bare socket."""
    host, port = stack.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    words = " ".join(f"w{number}-{index}" for index in range(EVENTS - 2))
    body = json.dumps(
        {
            "model": "chat/x",
            "max_tokens": 500,
            "stream": True,
            "messages": [{"role": "user", "content": words}],
        }
    )
    writer.write(
        f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    )
    raw = await reader.read()
    writer.close()
    return text_and_events(raw)


def text_and_events(raw: bytes) -> tuple[str, list[str]]:
    head, _, rest = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        body, rest = body + rest[:length], rest[length + 2 :]
    assert raw.endswith(b"0\r\n\r\n"), "the body's last chunk is missing"
    events: list[dict[str, Any]] = [
        json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: ")
    ]
    text = "".join(
        event["delta"].get("text", "") for event in events if event["type"] == "content_block_delta"
    )
    return text, [event["type"] for event in events]


def test_five_hundred_streams_arrive_whole() -> None:
    settings = SimulatorSettings(events=EVENTS, interval=0.05)

    def sections(url: str) -> dict[str, Any]:
        data = dict(four_pools(url))
        data["accounts"]["chat-1"]["concurrency"] = STREAMS
        return {**data, "log": {"level": "warning"}}

    with simulated(sections, settings) as (stack, simulator):

        async def all_of_them() -> list[tuple[str, list[str]]]:
            return await asyncio.gather(*(one(stack, number) for number in range(STREAMS)))

        answers = asyncio.run(all_of_them())

        assert len(answers) == STREAMS
        for number, (text, events) in enumerate(answers):
            words = " ".join(f"w{number}-{index}" for index in range(EVENTS - 2))
            assert text.startswith("You said: ")
            assert text.removeprefix("You said: ")[:60] == words[:60]
            assert events[0] == "message_start"
            assert events[-2:] == ["message_delta", "message_stop"]
        assert len(simulator.requests) == STREAMS
        assert stack.runtime.metrics.inflight == 0
