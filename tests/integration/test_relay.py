"""Same protocol on both sides: what passes is what was sent."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.harness import KEY, Sections, Stack, serving

EVENTS = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",'
    b'"content":[],"model":"claude-x","stop_reason":null,"stop_sequence":null,"surprise":1.50,'
    b'"usage":{"input_tokens":3,"output_tokens":1}}}\n\n',
    b": a comment nobody asked for\n\n",
    b'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n',
    b'event: brand_new_event\ndata: {"type":"brand_new_event",  "spaces" : [ 1, 2 ]}\n\n',
    'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Héllo 🌍"}}\n\n'.encode(),
    b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n',
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},'
    b'"usage":{"output_tokens":7}}\n\n',
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
)
BODY = (
    b'{"messages":[{"role":"user","content":"Hi  there","unknown":{"n":12345678901234567890123,"x":1.50}}],'
    b'"max_tokens":10,"model":"claude/claude-x","future_member":[1, 2,  3],"stream":true}'
)


class Upstream:
    """A scripted upstream: writes given pieces, remembers requests and connections."""

    def __init__(self, pieces: list[bytes], content_type: str = "text/event-stream") -> None:
        self.pieces = pieces
        self.content_type = content_type
        self.bodies: list[bytes] = []
        self.heads: list[bytes] = []
        self.connections = 0
        self.written = 0
        self.gate: threading.Event | None = None
        """What is behind the first piece waits for it."""
        self.end_gate: threading.Event | None = None
        """The end of the body waits for it."""
        self.ends = 0
        """Bodies whose end was sent."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(
                    next(line for line in head.lower().split(b"\r\n") if b"content-length" in line).split(
                        b":"
                    )[1]
                )
                self.heads.append(head)
                self.bodies.append(await reader.readexactly(length))
                writer.write(
                    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: "
                    + self.content_type.encode()
                    + b"\r\n\r\n"
                )
                for number, piece in enumerate(self.pieces):
                    if number == 1 and self.gate is not None:
                        await asyncio.to_thread(self.gate.wait, 10)
                    writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    await writer.drain()
                    self.written += len(piece)
                if self.end_gate is not None:
                    await asyncio.to_thread(self.end_gate.wait, 10)
                writer.write(b"0\r\n\r\n")
                await writer.drain()
                self.ends += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()


def one_account(url: str) -> Sections:
    account = {
        "provider": "anthropic_compatible",
        "base_url": url,
        "api_key": "upstream-key",
        "pool": "claude",
    }
    return {"accounts": {"a": account}}


def post(stack: Stack, body: bytes, path: str = "/v1/messages") -> httpx.Response:
    return httpx.post(
        f"{stack.url}{path}", content=body, headers={"x-api-key": KEY, "anthropic-beta": "a,b"}, timeout=60
    )


@pytest.mark.parametrize("cut", [1, 7, 64, 10_000])
def test_every_event_passes_byte_for_byte_whatever_the_cuts(cut: int) -> None:
    stream = b"".join(EVENTS)
    upstream = Upstream([stream[at : at + cut] for at in range(0, len(stream), cut)])
    with serving(upstream.running(), one_account) as stack:
        answer = post(stack, BODY)

    assert answer.content == stream
    assert answer.headers["x-a2-conversion"] == "relay"


def test_every_request_member_but_the_model_passes_byte_for_byte() -> None:
    upstream = Upstream(list(EVENTS))
    with serving(upstream.running(), one_account) as stack:
        post(stack, BODY)

    assert upstream.bodies == [BODY.replace(b'"claude/claude-x"', b'"claude-x"')]
    head = upstream.heads[0].lower()
    assert b"anthropic-beta: a,b" in head
    assert KEY.encode() not in head
    assert b"x-api-key: upstream-key" in head


def test_a_body_that_needs_no_splice_is_not_touched_at_all() -> None:
    body = b' { "model" : "claude-x" , "max_tokens":10, "stream" : true , "messages":[ ] } \n'
    upstream = Upstream(list(EVENTS))
    with serving(upstream.running(), one_account) as stack:
        post(stack, body, "/claude/v1/messages")

    assert upstream.bodies == [body]


def test_a_hundred_sequential_calls_use_one_upstream_connection() -> None:
    upstream = Upstream(list(EVENTS))
    with (
        serving(upstream.running(), one_account) as stack,
        httpx.Client(headers={"x-api-key": KEY}) as client,
    ):
        for _ in range(100):
            assert client.post(f"{stack.url}/v1/messages", content=BODY).status_code == 200

    assert upstream.connections == 1


def test_a_unary_call_stays_unary() -> None:
    answer = b'{"id":"msg_1","type":"message","surprise" : 1.50, "content":[],"usage":{"input_tokens":1,"output_tokens":2}}'
    upstream = Upstream([answer], "application/json")
    with serving(upstream.running(), one_account) as stack:
        body = BODY.replace(b',"stream":true', b"")
        received = post(stack, body)

    assert received.content == answer
    assert b'"stream"' not in upstream.bodies[0]


def test_a_reader_that_stops_stops_the_upstream() -> None:
    """50 MB must not pile up in the gateway: what the client does not read is not read from the upstream."""
    piece = (
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"'
        + b"x" * 50_000
        + b'"}}\n\n'
    )
    pieces = [*EVENTS[:3], *([piece] * 1000), *EVENTS[5:]]
    upstream = Upstream(pieces)
    total = sum(len(item) for item in pieces)
    with (
        serving(upstream.running(), one_account) as stack,
        httpx.stream(
            "POST", f"{stack.url}/v1/messages", content=BODY, headers={"x-api-key": KEY}, timeout=60
        ) as answer,
    ):
        chunks = answer.iter_raw()
        seen = len(next(chunks))
        settled = -1
        while settled != upstream.written:  # the sockets' buffers fill up, then nothing moves any more
            settled = upstream.written
            asyncio.run(asyncio.sleep(0.3))
        assert settled < 16 * 1024 * 1024
        seen += sum(len(chunk) for chunk in chunks)

    assert seen == total


def test_chat_usage_is_asked_for_and_taken_out_again() -> None:
    chunk = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[%s]%s}\n\n'
    delta = chunk % (b'{"index":0,"delta":{"content":"Hi"},"finish_reason":null}', b"")
    finish = chunk % (b'{"index":0,"delta":{},"finish_reason":"stop"}', b"")
    usage = chunk % (b"", b',"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}')
    done = b"data: [DONE]\n\n"
    upstream = Upstream([delta, finish, usage, done])

    def chat_account(url: str) -> Sections:
        account = {"provider": "openai_compatible", "base_url": f"{url}/v1", "api_key": "k", "pool": "chat"}
        return {"accounts": {"a": account}}

    with serving(upstream.running(), chat_account) as stack:
        body = b'{"model":"chat/m","messages":[{"role":"user","content":"x"}],"stream":true}'
        plain = post(stack, body, "/v1/chat/completions")
        asked = post(stack, body[:-1] + b',"stream_options":{"include_usage":true}}', "/v1/chat/completions")

    assert plain.content == delta + finish + done
    assert asked.content == delta + finish + usage + done
    assert json.loads(upstream.bodies[0])["stream_options"] == {"include_usage": True}
